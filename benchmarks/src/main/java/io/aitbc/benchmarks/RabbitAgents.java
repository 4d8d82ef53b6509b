package io.aitbc.benchmarks;

import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.DefaultConsumer;
import com.rabbitmq.client.Envelope;
import com.rabbitmq.client.MessageProperties;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Agents and submitters on RabbitMQ: a durable queue with five priorities, persistent messages, publisher confirms. An agent takes the next
 * task, sends its result to a durable queue, and acknowledges the task once the result is confirmed, with many in flight.
 */
final class RabbitAgents {
    private static final int PRIORITIES = 5;
    private static final int UNDERWAY = 100;
    private static final int CONFIRMED_AT_ONCE = 2_000;
    private static final String TASKS = "tasks";
    private static final String RESULTS = "results";

    private RabbitAgents() {}

    static Connection connect(String port) throws IOException, TimeoutException {
        ConnectionFactory factory = new ConnectionFactory();
        factory.setHost("127.0.0.1");
        factory.setPort(Integer.parseInt(port));
        return factory.newConnection();
    }

    /** @param args the port and the number of agents */
    static void play(String[] args) throws IOException, TimeoutException {
        try (Connection connection = connect(args[0])) {
            try (Channel channel = connection.createChannel()) {
                channel.queueDeclare(TASKS, true, false, false, Map.of("x-max-priority", PRIORITIES));
                channel.queueDeclare(RESULTS, true, false, false, Map.of());
            }
            for (int i = 0; i < Integer.parseInt(args[1]); i++) {
                Channel channel = connection.createChannel();
                channel.basicQos(UNDERWAY);
                channel.confirmSelect();
                channel.basicConsume(TASKS, false, new Agent(channel));
            }
            ChildProcess.listen(order -> Map.of());
        }
    }

    private static final class Agent extends DefaultConsumer {
        private static final byte[] DONE =
                "{\"status\":\"completed\",\"result\":{\"ok\":true}}".getBytes(StandardCharsets.UTF_8);

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
                getChannel().basicPublish("", RESULTS, MessageProperties.MINIMAL_PERSISTENT_BASIC, DONE);
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

    /** @param args the port */
    static void submit(String[] args) throws IOException, TimeoutException {
        try (Connection connection = connect(args[0]);
                Channel tasks = connection.createChannel();
                Channel results = connection.createChannel()) {
            tasks.confirmSelect();
            AtomicLong settled = new AtomicLong();
            results.basicQos(10_000);
            results.basicConsume(RESULTS, false, new DefaultConsumer(results) {
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
                        TASKS,
                        MessageProperties.MINIMAL_PERSISTENT_BASIC
                                .builder()
                                .priority(1 + i % PRIORITIES)
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
