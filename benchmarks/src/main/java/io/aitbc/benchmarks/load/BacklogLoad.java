package io.aitbc.benchmarks.load;

import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Heartbeat;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Registration;
import io.aitbc.contracts.Topics;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.IntFunction;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Large backlogs, and agents that count what they are given; all in this process. */
public final class BacklogLoad implements AutoCloseable {
    private static final int BYTES = 250;
    private static final Duration POLL = Duration.ofMillis(20);
    private static final Duration HEARTBEAT_EVERY = Duration.ofSeconds(20);

    private final String bootstrapServers;
    private final Topics topics = Topics.unprefixed();
    private final KafkaProducer<String, byte[]> producer;
    private final Map<String, Registration> agents = new ConcurrentHashMap<>();
    private final BlockingQueue<String> newAgents = new LinkedBlockingQueue<>();
    /** Task id → number of assignments. */
    private final Map<String, Integer> assigned = new ConcurrentHashMap<>();

    /** The ids of tasks in the order in which agents got them. */
    private final List<String> order = Collections.synchronizedList(new ArrayList<>());
    /** By the name of submitted tasks. */
    private final Map<String, Integer> assignedByName = new ConcurrentHashMap<>();

    private final Map<String, Long> lastAssignedByName = new ConcurrentHashMap<>();

    private final Thread thread = new Thread(this::run, "agents");
    private volatile long lastAssignedNanos;
    private volatile boolean completing = true;
    private volatile boolean closing;

    public BacklogLoad(String bootstrapServers) {
        this.bootstrapServers = bootstrapServers;
        this.producer = new KafkaProducer<>(
                Map.of("bootstrap.servers", bootstrapServers, "linger.ms", 5, "batch.size", 128 * 1024),
                new StringSerializer(),
                new ByteArraySerializer());
        thread.start();
    }

    /**
     * Publishes tasks of 250 bytes.
     *
     * @param fields further fields of the task of each number
     */
    public void submit(String name, int count, IntFunction<Priority> priority, IntFunction<String> fields) {
        for (int i = 0; i < count; i++) {
            String id = name + "-" + i;
            String start = "{\"task_id\":\"" + id + "\"," + fields.apply(i) + ",\"task_data\":{\"text\":\"";
            String task = start + "x".repeat(Math.max(0, BYTES - start.length() - 3)) + "\"}}";
            producer.send(
                    new ProducerRecord<>(topics.tasks(priority.apply(i)), id, task.getBytes(StandardCharsets.UTF_8)));
        }
        producer.flush();
    }

    /** The field for a required capability. */
    public static String requires(String capability) {
        return "\"requirements\":{\"capabilities\":[\"" + capability + "\"]}";
    }

    /** Registers an agent over Kafka. */
    public void agent(String id, String capability, int capacity) {
        agents.put(id, Registration.of(id, "worker", List.of(capability), capacity));
        beat(id);
        newAgents.add(id);
    }

    private void beat(String id) {
        producer.send(new ProducerRecord<>(
                topics.heartbeats(),
                id,
                Json.bytes(new Heartbeat(id, AgentStatus.ACTIVE, Map.of(), null, null, agents.get(id)))));
    }

    /** Whether agents complete what they are given at once; otherwise they hold it. */
    public void complete(boolean completing) {
        this.completing = completing;
    }

    /** The number of different tasks that agents have received. */
    public int assigned() {
        return assigned.size();
    }

    /** The same of tasks that were submitted with a name. */
    public int assigned(String name) {
        return assignedByName.getOrDefault(name, 0);
    }

    /** When an agent received the last of them, as {@link System#nanoTime}. */
    public long lastAssignedNanos(String name) {
        return lastAssignedByName.getOrDefault(name, 0L);
    }

    /** The ids of tasks in the order in which agents received them. */
    public List<String> order() {
        synchronized (order) {
            return List.copyOf(order);
        }
    }

    /** The number of assignments beyond the first of each task. */
    public int repeated() {
        return assigned.values().stream().mapToInt(times -> times - 1).sum();
    }

    /** When the last of these was received, as {@link System#nanoTime}. */
    public long lastAssignedNanos() {
        return lastAssignedNanos;
    }

    private void run() {
        Map<String, Object> config = Map.of(
                "bootstrap.servers", bootstrapServers, "auto.offset.reset", "earliest", "max.poll.records", 5_000);
        long nextBeat = System.nanoTime() + HEARTBEAT_EVERY.toNanos();
        try (KafkaConsumer<String, byte[]> consumer =
                new KafkaConsumer<>(config, new StringDeserializer(), new ByteArrayDeserializer())) {
            while (!closing) {
                // Without an assignment a consumer cannot be polled.
                String added = consumer.assignment().isEmpty()
                        ? newAgents.poll(POLL.toMillis(), TimeUnit.MILLISECONDS)
                        : newAgents.poll();
                if (added != null) {
                    consumer.assign(agents.keySet().stream()
                            .map(id -> new TopicPartition(topics.assignments(id), 0))
                            .collect(Collectors.toSet()));
                }
                if (System.nanoTime() - nextBeat >= 0) {
                    agents.keySet().forEach(this::beat);
                    nextBeat = System.nanoTime() + HEARTBEAT_EVERY.toNanos();
                }
                if (!consumer.assignment().isEmpty()) {
                    consumer.poll(POLL).forEach(this::take);
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void take(ConsumerRecord<String, byte[]> assignment) {
        String taskId = assignment.key();
        if (assigned.merge(taskId, 1, Integer::sum) == 1) {
            String name = taskId.substring(0, taskId.lastIndexOf('-'));
            lastAssignedByName.put(name, System.nanoTime());
            assignedByName.merge(name, 1, Integer::sum);
            order.add(taskId);
        }
        lastAssignedNanos = System.nanoTime();
        if (completing) {
            String agentId = assignment.topic().substring(topics.assignments("").length());
            producer.send(new ProducerRecord<>(
                    topics.results(),
                    taskId,
                    ("{\"assignment_id\":\"" + taskId + ":1\",\"task_id\":\"" + taskId
                                    + "\",\"attempt\":1,\"agent_id\":\"" + agentId + "\",\"status\":\"completed\"}")
                            .getBytes(StandardCharsets.UTF_8)));
        }
    }

    @Override
    public void close() {
        closing = true;
        try {
            thread.join();
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
        producer.close(Duration.ofSeconds(2));
    }
}
