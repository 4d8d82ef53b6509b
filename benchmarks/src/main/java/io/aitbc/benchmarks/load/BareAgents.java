package io.aitbc.benchmarks.load;

import io.aitbc.benchmarks.cluster.ChildProcess;
import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Heartbeat;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Registration;
import io.aitbc.contracts.Topics;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.HdrHistogram.Histogram;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Many agents in one process that complete each task at once, as cheaply as possible: the benchmark measures what is between submitters
 * and agents. Both sides use the same agents, so these read nothing of an assignment but its key.
 */
final class BareAgents implements AutoCloseable {
    /** Memory of the best agent; the others have less and less. */
    static final int MAX_MEMORY = 1_000;

    private static final Duration HEARTBEAT_EVERY = Duration.ofSeconds(20);

    private final Topics topics;
    private final String bootstrapServers;
    private final List<String> ids;
    private final int capacity;
    private final KafkaProducer<String, byte[]> producer;
    private final ScheduledExecutorService heartbeats = Executors.newSingleThreadScheduledExecutor();
    private final Thread reading = new Thread(this::read, "agents");
    private Histogram reached = Timestamps.histogram();
    private Histogram urgentReached = Timestamps.histogram();
    private volatile boolean idle;
    private volatile boolean closing;

    private BareAgents(String bootstrapServers, String prefix, int count, int capacity) {
        this.bootstrapServers = bootstrapServers;
        this.topics = new Topics(prefix);
        this.ids = ids(count);
        this.capacity = capacity;
        this.producer = new KafkaProducer<>(
                Map.of("bootstrap.servers", bootstrapServers, "linger.ms", 1, "batch.size", 128 * 1024),
                new StringSerializer(),
                new ByteArraySerializer());
    }

    static List<String> ids(int count) {
        return IntStream.range(0, count).mapToObj(i -> "worker-" + i).toList();
    }

    public static void main(String[] args) throws IOException {
        try (BareAgents agents =
                new BareAgents(args[0], args[1], Integer.parseInt(args[2]), Integer.parseInt(args[3]))) {
            ChildProcess.listen(order -> agents.execute(order.get(0)));
        }
    }

    private synchronized Object execute(String order) {
        switch (order) {
            case "register" ->
                heartbeats.scheduleAtFixedRate(this::beatAll, 0, HEARTBEAT_EVERY.toMillis(), TimeUnit.MILLISECONDS);
            case "work" -> work();
            case "rest" -> idle = true;
            case "reset" -> {
                reached = Timestamps.histogram();
                urgentReached = Timestamps.histogram();
            }
            case "figures" -> {
                return Map.of("reached", Timestamps.encode(reached), "urgent", Timestamps.encode(urgentReached));
            }
            default -> throw new IllegalArgumentException(order);
        }
        return Map.of();
    }

    private void work() {
        idle = false;
        if (!reading.isAlive()) {
            reading.start();
        }
    }

    private void beatAll() {
        for (int i = 0; i < ids.size(); i++) {
            beat(ids.get(i), MAX_MEMORY * (i + 1) / ids.size());
        }
    }

    private void beat(String id, int memory) {
        producer.send(new ProducerRecord<>(
                topics.heartbeats(),
                id,
                Json.bytes(new Heartbeat(
                        id,
                        AgentStatus.ACTIVE,
                        Map.of("cpu_usage", 0.2, "memory_usage", 0.3),
                        null,
                        null,
                        Registration.of(id, "worker", List.of("hash", "memory:" + memory), capacity)))));
    }

    private void read() {
        Map<String, Object> config = Map.of(
                "bootstrap.servers", bootstrapServers, "auto.offset.reset", "earliest", "max.poll.records", 5_000);
        try (KafkaConsumer<String, byte[]> consumer =
                new KafkaConsumer<>(config, new StringDeserializer(), new ByteArrayDeserializer())) {
            consumer.assign(ids.stream()
                    .map(id -> new TopicPartition(topics.assignments(id), 0))
                    .toList());
            while (!closing) {
                if (idle) {
                    consumer.pause(consumer.assignment());
                } else {
                    consumer.resume(consumer.paused());
                }
                take(consumer.poll(Duration.ofMillis(100)));
            }
        }
    }

    private synchronized void take(Iterable<ConsumerRecord<String, byte[]>> records) {
        long now = Timestamps.now();
        for (ConsumerRecord<String, byte[]> record : records) {
            String taskId = record.key();
            if (Timestamps.isStamped(taskId)) {
                Timestamps.record(
                        taskId.startsWith(Submitter.URGENT) ? urgentReached : reached,
                        now - Timestamps.submittedAt(taskId));
            }
            String agentId = record.topic().substring(topics.assignments("").length());
            producer.send(new ProducerRecord<>(topics.results(), taskId, done(taskId, agentId)));
        }
    }

    private static byte[] done(String taskId, String agentId) {
        String result =
                "{\"assignment_id\":\"" + taskId + ":1\",\"task_id\":\"" + taskId + "\",\"attempt\":1,\"agent_id\":\""
                        + agentId + "\",\"status\":\"completed\",\"result\":{\"ok\":true}}";
        return result.getBytes(StandardCharsets.UTF_8);
    }

    @Override
    public void close() {
        closing = true;
        heartbeats.shutdownNow();
        try {
            reading.join();
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
        producer.close(Duration.ofSeconds(2));
    }
}
