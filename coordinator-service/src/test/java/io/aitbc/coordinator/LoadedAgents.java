package io.aitbc.coordinator;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Topics;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.IntStream;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tools.jackson.databind.JsonNode;

/**
 * Many agents in one thread: each reads its own topic, drops duplicates, and completes the rest at once. Records the executed tasks for the
 * test to audit.
 */
final class LoadedAgents implements AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(LoadedAgents.class);

    private final Topics topics;
    private final KafkaConsumer<String, String> consumer;
    private final KafkaProducer<String, String> producer;
    private final Set<String> seen = new HashSet<>();
    private final Set<String> executed = ConcurrentHashMap.newKeySet();
    private final Thread thread = new Thread(this::run, "agents");
    private volatile boolean closing;

    private LoadedAgents(String bootstrapServers, Topics topics, List<String> agentIds) {
        this.topics = topics;
        this.consumer = new KafkaConsumer<>(
                Map.of(
                        ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG,
                        bootstrapServers,
                        ConsumerConfig.MAX_POLL_RECORDS_CONFIG,
                        5_000),
                new StringDeserializer(),
                new StringDeserializer());
        this.producer = new KafkaProducer<>(
                Map.of(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrapServers, ProducerConfig.LINGER_MS_CONFIG, 5),
                new StringSerializer(),
                new StringSerializer());
        List<TopicPartition> partitions = agentIds.stream()
                .map(id -> new TopicPartition(topics.assignments(id), 0))
                .toList();
        consumer.assign(partitions);
        consumer.seekToBeginning(partitions);
    }

    /** Registers and starts agents. */
    static LoadedAgents start(
            RunningCoordinator coordinator, String bootstrapServers, int count, int capacity, String... capabilities) {
        List<String> ids = IntStream.range(0, count)
                .mapToObj(i -> String.join("-", capabilities) + "-agent-" + i)
                .toList();
        ids.forEach(id -> coordinator.register(id, capacity, capabilities));
        LoadedAgents agents = new LoadedAgents(bootstrapServers, coordinator.topics(), ids);
        agents.thread.start();
        return agents;
    }

    /** Returns the ids of the executed tasks. */
    Set<String> executed() {
        return executed;
    }

    @Override
    public void close() {
        closing = true;
        try {
            thread.join();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        producer.close();
    }

    private void run() {
        try (consumer) {
            while (!closing) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(100))) {
                    take(Json.MAPPER.readTree(record.value()));
                }
            }
        } catch (RuntimeException e) {
            log.error("The agents have ended", e);
        }
    }

    private void take(JsonNode assignment) {
        if (seen.add(assignment.get("assignment_id").asString())) {
            String taskId = assignment.get("task_id").asString();
            executed.add(taskId);
            producer.send(new ProducerRecord<>(
                    topics.results(),
                    taskId,
                    "{\"assignment_id\":\"" + assignment.get("assignment_id").asString() + "\",\"task_id\":\"" + taskId
                            + "\",\"attempt\":" + assignment.get("attempt").asInt() + ",\"agent_id\":\""
                            + assignment.get("agent_id").asString()
                            + "\",\"status\":\"completed\",\"result\":{}}"));
        }
    }
}
