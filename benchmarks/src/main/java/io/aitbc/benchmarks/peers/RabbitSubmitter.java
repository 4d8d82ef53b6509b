package io.aitbc.benchmarks.peers;

import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.DefaultConsumer;
import com.rabbitmq.client.Envelope;
import com.rabbitmq.client.MessageProperties;
import io.aitbc.benchmarks.cluster.ChildProcess;
import io.aitbc.benchmarks.cluster.Cluster;
import java.io.IOException;
import java.time.Duration;
import java.util.Arrays;
import java.util.Map;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicLong;

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
            AtomicLong settled = new AtomicLong();
            results.basicQos(10_000);
            results.basicConsume(RabbitAgents.RESULTS, false, new DefaultConsumer(results) {
                @Override
                public void handleDelivery(String tag, Envelope envelope, AMQP.BasicProperties properties, byte[] body)
                        throws IOException {
                    getChannel().basicAck(envelope.getDeliveryTag(), false);
                    settled.incrementAndGet();
                }
            });
            ChildProcess.listen(order -> flood(tasks, settled, Integer.parseInt(order.get(0))));
        }
    }

    private static Object flood(Channel tasks, AtomicLong settled, int count) {
        byte[] task = new byte[250];
        Arrays.fill(task, (byte) 'x');
        settled.set(0);
        long start = System.nanoTime();
        try {
            for (int i = 0; i < count; i++) {
                tasks.basicPublish(
                        "",
                        RabbitAgents.TASKS,
                        MessageProperties.MINIMAL_PERSISTENT_BASIC
                                .builder()
                                .priority(1 + i % RabbitAgents.PRIORITIES)
                                .build(),
                        task);
                if (i % CONFIRMED_AT_ONCE == CONFIRMED_AT_ONCE - 1) {
                    tasks.waitForConfirms();
                }
            }
            tasks.waitForConfirms();
        } catch (IOException | InterruptedException e) {
            throw new IllegalStateException(e);
        }
        Cluster.await("results", Duration.ofMinutes(5), () -> settled.get() >= count);
        return Map.of("perSecond", count * 1e9 / (System.nanoTime() - start));
    }
}
