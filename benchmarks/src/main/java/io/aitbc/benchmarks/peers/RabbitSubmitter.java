package io.aitbc.benchmarks.peers;

import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.DefaultConsumer;
import com.rabbitmq.client.Envelope;
import com.rabbitmq.client.MessageProperties;
import java.io.IOException;
import java.util.concurrent.TimeoutException;

/** Submits tasks to {@link RabbitAgents} and reads their results. */
final class RabbitSubmitter {
    private static final int CONFIRMED_AT_ONCE = 2_000;

    private RabbitSubmitter() {}

    /** @param args the port */
    public static void main(String[] args) throws IOException, TimeoutException {
        try (Connection connection = RabbitAgents.connect(args[0]);
                Channel tasks = connection.createChannel();
                Channel results = connection.createChannel()) {
            tasks.confirmSelect();
            Floods floods = new Floods();
            results.basicQos(10_000);
            results.basicConsume(RabbitAgents.RESULTS, false, new DefaultConsumer(results) {
                @Override
                public void handleDelivery(String tag, Envelope envelope, AMQP.BasicProperties properties, byte[] body)
                        throws IOException {
                    getChannel().basicAck(envelope.getDeliveryTag(), false);
                    floods.received(body);
                }
            });
            floods.listen((from, to) -> submit(tasks, from, to));
        }
    }

    private static void submit(Channel tasks, int from, int to) throws IOException, InterruptedException {
        for (int i = from; i < to; i++) {
            tasks.basicPublish(
                    "",
                    RabbitAgents.TASKS,
                    MessageProperties.MINIMAL_PERSISTENT_BASIC
                            .builder()
                            .priority(1 + i % RabbitAgents.PRIORITIES)
                            .build(),
                    Bodies.task(i));
            if (i % CONFIRMED_AT_ONCE == CONFIRMED_AT_ONCE - 1) {
                tasks.waitForConfirms();
            }
        }
        tasks.waitForConfirms();
    }
}
