package io.aitbc.resilience;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Heartbeat;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Task;
import io.aitbc.contracts.TaskEvent;
import io.aitbc.contracts.TaskResult;
import io.aitbc.contracts.Topics;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.kafka.clients.CommonClientConfigs;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * The evidence of a run: the clients' ledgers, and the topics, which hold all that clients were sent and have reported. Times are in
 * epoch ms: of records by the broker's clock, of assignments by the coordinator's clock. All processes run on one machine.
 */
record Evidence(
        List<Ledger.Line> ledger,
        List<Queued> queued,
        List<Assigned> assigned,
        List<Reported> reported,
        List<DeadLettered> deadLettered,
        List<HeartbeatRecord> heartbeats,
        List<Event> events) {

    /** A task in a queue topic, for one attempt. */
    record Queued(String taskId, int attempt, long at) {}

    /**
     * An assignment in an agent's topic, or in the shared one.
     *
     * @param at time of assignment: the start of the round that made it
     * @param publishedAt time of publication, after the assignment was granted
     * @param uses units of limits that it holds
     * @param taken what it takes of its agent's {@link ProducerProcess#RESOURCE}, in thousandths
     */
    record Assigned(
            String taskId,
            int attempt,
            String agentId,
            long at,
            long publishedAt,
            int timeoutSeconds,
            Map<String, Long> uses,
            long taken) {
        /** An assignment that uses no limit and no resource. */
        Assigned(String taskId, int attempt, String agentId, long at, long publishedAt, int timeoutSeconds) {
            this(taskId, attempt, agentId, at, publishedAt, timeoutSeconds, Map.of(), 0);
        }
    }

    /** A report of an agent. */
    record Reported(String taskId, int attempt, String agentId, TaskResult.Status status, long at) {}

    /** A task in the dead-letter topic. */
    record DeadLettered(String taskId, long at) {}

    /**
     * A heartbeat.
     *
     * @param leaves whether its status takes the agent out of service: any but active, busy and maintenance
     * @param capacity 0 if the heartbeat has no registration
     */
    record HeartbeatRecord(String agentId, long at, boolean leaves, int capacity) {}

    /** An event of a task. */
    record Event(String taskId, int attempt, TaskEvent.Kind kind) {}

    private static final Topics TOPICS = Topics.unprefixed();

    static Evidence collect(String bootstrapServers, Path ledgers) {
        Evidence evidence = new Evidence(
                Ledger.readAll(ledgers),
                new ArrayList<>(),
                new ArrayList<>(),
                new ArrayList<>(),
                new ArrayList<>(),
                new ArrayList<>(),
                new ArrayList<>());
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(
                Map.of(
                        CommonClientConfigs.BOOTSTRAP_SERVERS_CONFIG,
                        bootstrapServers,
                        // Records of aborted transactions do not count.
                        ConsumerConfig.ISOLATION_LEVEL_CONFIG,
                        "read_committed",
                        ConsumerConfig.MAX_POLL_RECORDS_CONFIG,
                        5_000),
                new ByteArrayDeserializer(),
                new ByteArrayDeserializer())) {
            Set<TopicPartition> partitions = consumer.listTopics().values().stream()
                    .flatMap(List::stream)
                    .filter(partition -> !partition.topic().startsWith("__"))
                    .map(partition -> new TopicPartition(partition.topic(), partition.partition()))
                    .collect(Collectors.toSet());
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> left = new HashMap<>(consumer.endOffsets(partitions));
            while (!left.isEmpty()) {
                consumer.poll(Duration.ofMillis(200)).forEach(evidence::take);
                left.entrySet().removeIf(end -> consumer.position(end.getKey()) >= end.getValue());
            }
        }
        return evidence;
    }

    private void take(ConsumerRecord<byte[], byte[]> record) {
        String topic = record.topic();
        try {
            if (topic.equals(TOPICS.deadLetter())) {
                // Malformed records have no task id.
                if (record.key() != null) {
                    deadLettered.add(
                            new DeadLettered(new String(record.key(), StandardCharsets.UTF_8), record.timestamp()));
                }
            } else if (topic.equals(TOPICS.results())) {
                TaskResult result = Json.read(value(record), TaskResult.class);
                reported.add(new Reported(
                        result.taskId(), result.attempt(), result.agentId(), result.status(), record.timestamp()));
            } else if (topic.equals(TOPICS.events())) {
                TaskEvent event = Json.read(value(record), TaskEvent.class);
                events.add(new Event(event.taskId(), event.change().attempt(), event.kind()));
            } else if (topic.equals(TOPICS.heartbeats())) {
                take(Json.read(value(record), Heartbeat.class), record.timestamp());
            } else if (topic.startsWith(TOPICS.assignments(""))) {
                Assignment one = Json.read(value(record), Assignment.class);
                assigned.add(new Assigned(
                        one.taskId(),
                        one.attempt(),
                        topic.equals(TOPICS.sharedAssignments())
                                ? one.agentId()
                                : topic.substring(TOPICS.assignments("").length()),
                        one.assignedAt().toEpochMilli(),
                        record.timestamp(),
                        one.timeoutSeconds(),
                        one.uses(),
                        one.requirements().resources().thousandths().getOrDefault(ProducerProcess.RESOURCE, 0L)));
            } else if (TOPICS.tasks().contains(topic)) {
                Task task = Json.read(value(record), Task.class);
                if (task.taskId() != null) {
                    queued.add(new Queued(task.taskId(), task.attempt(), record.timestamp()));
                }
            }
        } catch (Json.MalformedMessageException e) {
            // A cancellation, or a malformed record injected by a fault.
        }
    }

    private void take(Heartbeat heartbeat, long at) {
        boolean leaves = heartbeat.status() != null
                && !heartbeat.status().wireName().equals("active")
                && !heartbeat.status().wireName().equals("busy")
                && !heartbeat.status().wireName().equals("maintenance");
        heartbeats.add(new HeartbeatRecord(
                heartbeat.agentId(),
                at,
                leaves,
                heartbeat.registration() == null ? 0 : heartbeat.registration().capacity()));
    }

    private static byte[] value(ConsumerRecord<byte[], byte[]> record) {
        return record.value() == null ? new byte[0] : record.value();
    }
}
