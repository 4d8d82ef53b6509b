package io.aitbc.benchmarks.load;

import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Heartbeat;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Registration;
import io.aitbc.contracts.TaskResult;
import io.aitbc.contracts.Topics;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Agents that wait for the duration of each task, all run by one thread. */
public final class PlainAgents implements AutoCloseable {
    /**
     * The traits of an agent.
     *
     * @param takes milliseconds per task
     * @param cpu the CPU usage that it reports
     */
    public record Traits(Registration registration, Duration takes, double cpu) {}

    private static final Topics TOPICS = Topics.unprefixed();

    private final Map<String, Object> servers;
    private final Map<String, Traits> agents = new TreeMap<>();
    private final Map<String, Integer> counts = new ConcurrentHashMap<>();
    private final KafkaProducer<String, byte[]> producer;
    private final ScheduledExecutorService working = Executors.newScheduledThreadPool(2);
    private final Thread reading = new Thread(this::read, "agents");
    private volatile boolean closing;

    public PlainAgents(String bootstrapServers, List<Traits> agents) {
        servers = Map.of("bootstrap.servers", bootstrapServers, "auto.offset.reset", "earliest");
        producer = new KafkaProducer<>(
                Map.of("bootstrap.servers", bootstrapServers), new StringSerializer(), new ByteArraySerializer());
        for (Traits agent : agents) {
            String id = agent.registration().agentId();
            this.agents.put(id, agent);
            counts.put(id, 0);
            send(
                    TOPICS.heartbeats(),
                    id,
                    new Heartbeat(
                            id,
                            AgentStatus.ACTIVE,
                            Map.of("cpu_usage", agent.cpu(), "memory_usage", 0.3),
                            null,
                            null,
                            agent.registration()));
        }
    }

    /** Starts once the agents' topics exist. */
    public void work() {
        reading.start();
    }

    /** Completed tasks by agent. */
    public Map<String, Integer> counts() {
        return new TreeMap<>(counts);
    }

    private void read() {
        try (KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(servers, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> partitions = agents.keySet().stream()
                    .map(id -> new TopicPartition(TOPICS.assignments(id), 0))
                    .toList();
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            while (!closing) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(100))) {
                    take(Json.read(record.value(), Assignment.class));
                }
            }
        }
    }

    private void take(Assignment assignment) {
        working.schedule(
                () -> {
                    send(
                            TOPICS.results(),
                            assignment.taskId(),
                            TaskResult.of(assignment, TaskResult.Status.COMPLETED, null, null, null, null));
                    counts.merge(assignment.agentId(), 1, Integer::sum);
                },
                agents.get(assignment.agentId()).takes().toMillis(),
                TimeUnit.MILLISECONDS);
    }

    private void send(String topic, String key, Object message) {
        producer.send(new ProducerRecord<>(topic, key, Json.bytes(message)));
    }

    @Override
    public void close() {
        closing = true;
        working.shutdownNow();
        try {
            reading.join();
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
        producer.close();
    }
}
