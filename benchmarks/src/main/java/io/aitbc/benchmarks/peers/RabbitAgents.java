package io.aitbc.benchmarks.peers;

import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.DefaultConsumer;
import com.rabbitmq.client.Envelope;
import com.rabbitmq.client.MessageProperties;
import io.aitbc.benchmarks.cluster.ChildProcess;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.TimeoutException;

/**
 * Agents on RabbitMQ: a durable queue with five priorities, persistent messages, publisher confirms. An agent takes the next
 * task, sends its result to a durable queue, and acknowledges the task once the result is confirmed, with many in flight.
 */
final class RabbitAgents {
    static final int PRIORITIES = 5;
    static final String TASKS = "tasks";
    static final String RESULTS = "results";

    private RabbitAgents() {}

    static Connection connect(String port) throws IOException, TimeoutException {
        ConnectionFactory factory = new ConnectionFactory();
        factory.setHost(Peer.HOST);
        factory.setPort(Integer.parseInt(port));
        return factory.newConnection();
    }

    /** @param args the port, the number of agents and their capacity */
    public static void main(String[] args) throws IOException, TimeoutException {
        try (Connection connection = connect(args[0])) {
            try (Channel channel = connection.createChannel()) {
                channel.queueDeclare(TASKS, true, false, false, Map.of("x-max-priority", PRIORITIES));
                channel.queueDeclare(RESULTS, true, false, false, Map.of());
            }
            for (int i = 0; i < Integer.parseInt(args[1]); i++) {
                Channel channel = connection.createChannel();
                channel.basicQos(Integer.parseInt(args[2]));
                channel.confirmSelect();
                channel.basicConsume(TASKS, false, new Agent(channel));
            }
            ChildProcess.listen(order -> Map.of());
        }
    }

    private static final class Agent extends DefaultConsumer {
        private final Queue<long[]> unconfirmed = new ArrayDeque<>();

        Agent(Channel channel) {
            super(channel);
            channel.addConfirmListener(this::confirmed, (number, all) -> {
                throw new IllegalStateException("a result was refused");
            });
        }

        @Override
        public void handleDelivery(String tag, Envelope envelope, AMQP.BasicProperties properties, byte[] body)
                throws IOException {
            synchronized (this) {
                unconfirmed.add(new long[] {getChannel().getNextPublishSeqNo(), envelope.getDeliveryTag()});
                getChannel().basicPublish("", RESULTS, MessageProperties.MINIMAL_PERSISTENT_BASIC, Bodies.result(body));
            }
        }

        private synchronized void confirmed(long number, boolean all) throws IOException {
            long acknowledged = 0;
            while (!unconfirmed.isEmpty() && unconfirmed.peek()[0] <= number) {
                acknowledged = unconfirmed.remove()[1];
            }
            if (acknowledged > 0) {
                getChannel().basicAck(acknowledged, true);
            }
        }
    }
}
