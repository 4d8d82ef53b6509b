package io.aitbc.coordinator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.AppenderBase;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Topics;
import io.aitbc.localstack.LocalStack;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.slf4j.LoggerFactory;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Publishes mutated tasks, results, heartbeats and control messages, and arbitrary bytes, and checks that everything still works
 * afterwards. Every record is derived from a number: for others, run this class with {@code -Dfuzz.seed=<number>} or a larger {@code
 * -Dfuzz.count=<how many>}.
 */
class TopicFuzzTest {
    private static final long SEED = Long.getLong("fuzz.seed", 1);
    /** Number of consecutive records from one producer. */
    private static final int RUN = 20;

    private static final long COUNT = Long.getLong("fuzz.count", 4_000);
    private static final Topics TOPICS = new Topics("fuzz-topics.");
    private static final Duration LONG = Duration.ofSeconds(90);
    private static final long MOST_KEPT_BYTES = 64L << 20;
    private static final int RECORDS_PER_LINE = 20;

    private static final String TASK = """
            {"task_id": "TASK", "task_data": {"task_type": "hash", "list": [1, {"a": null}]}, "priority": "high",
             "requirements": {"agent_type": "worker", "capabilities": ["hash", "gpu>=2"], "services": ["text"], "tags": ["spot"],
              "min_health_score": 0.5, "region": "eu", "location": {"lat": 52.3, "lon": 4.8}, "agent_id": "AGENT",
              "affinity_key": "k"},
             "max_attempts": 2, "timeout_seconds": 60, "not_before": "2020-01-01T00:00:00Z", "expires_at": "2100-01-01T00:00:00Z",
             "submitted_at": "2025-01-01T00:00:00Z", "attempt": 1, "rejected_by": "AGENT"}
            """;
    private static final String RESULT = """
            {"assignment_id": "TASK:1", "task_id": "TASK", "attempt": 1, "agent_id": "AGENT", "status": "RESULT",
             "result": {"a": [1]}, "error": "no", "started_at": "2025-01-01T00:00:00Z", "finished_at": "2025-01-01T00:00:01Z"}
            """;
    private static final String HEARTBEAT = """
            {"agent_id": "AGENT", "status": "STATUS", "load_metrics": {"cpu_usage": 0.2, "memory_usage": 40, "x": 1},
             "sent_at": "2025-01-01T00:00:00Z", "instance_id": "AGENT.1",
             "registration": {"agent_id": "AGENT", "agent_type": "worker", "capabilities": ["hash", "gpu:4"], "services": ["text"],
              "endpoints": {"http": "x"}, "metadata": {"a": 1}, "tags": ["spot"], "version": "2", "capacity": 20, "weight": 2.0,
              "region": "eu", "location": {"lat": 52.3, "lon": 4.8}, "chain_id": "c", "island_id": "i"}}
            """;
    private static final List<String> CONTROL = List.of("""
            {"type": "clear_queue", "command_id": "TASK", "priority": "low", "end_offsets": {"0": 9, "1": 9},
             "issued_at": "2025-01-01T00:00:00Z"}
            """, """
            {"type": "queue_cleared", "command_id": "TASK", "priority": "low", "partition": 1}
            """, """
            {"type": "pause_queue", "command_id": "TASK", "priority": "high", "paused": true,
             "issued_at": "2025-01-01T00:00:00Z"}
            """, """
            {"type": "switch_strategy", "strategy": "least_response_time", "issued_at": "2025-01-01T00:00:00Z"}
            """);

    @Test
    void everythingWorksWhateverIsPublished() throws Exception {
        Lines lines = new Lines();
        try (RunningCoordinator coordinator = RunningCoordinator.start(LocalStack.shared(), TOPICS.prefix(), 5)) {
            coordinator.register("fuzz-1", 50, "hash");
            coordinator.register("fuzz-2", 50);
            long heapBefore = usedHeap();
            lines.start();
            publish();
            awaitRead("agent-coordinator.heartbeats", TOPICS.heartbeats());
            awaitRead("agent-coordinator.results", TOPICS.results());
            // The tasks of nonexistent agents are requeued gradually, so a single clear is not enough.
            await().atMost(LONG).until(() -> {
                clear(coordinator);
                return coordinator
                        .get("/tasks/queues")
                        .body()
                        .get("queue_sizes")
                        .valueStream()
                        .allMatch(size -> size.asLong() == 0);
            });
            assertDispatches(coordinator);
            lines.stop();
            assertThat(lines.written).hasSizeLessThan((int) (setAside(coordinator) / RECORDS_PER_LINE));
            assertThat(usedHeap() - heapBefore).isLessThan(MOST_KEPT_BYTES);
            assertThat(coordinator.get("/health").code()).isEqualTo(200);
        } catch (AssertionError | RuntimeException e) {
            throw new AssertionError(
                    e.getMessage() + " (again with -Dfuzz.seed=" + SEED + " -Dfuzz.count=" + COUNT + ")", e);
        } finally {
            lines.stop();
        }
    }

    /** Publishes all records. Every tenth run is sent in a transaction, and every second of these is aborted. */
    private static void publish() {
        try (KafkaProducer<byte[], byte[]> producer = producer(Map.of());
                KafkaProducer<byte[], byte[]> transactional =
                        producer(Map.of(ProducerConfig.TRANSACTIONAL_ID_CONFIG, TOPICS.prefix() + "fuzz"))) {
            transactional.initTransactions();
            long seed = SEED;
            while (seed < SEED + COUNT) {
                long end = Math.min(SEED + COUNT, seed + RUN);
                if (seed / RUN % 10 == 0) {
                    transactional.beginTransaction();
                    for (; seed < end; seed++) {
                        transactional.send(new Message(seed).record());
                    }
                    if (end / RUN % 20 < 10) {
                        transactional.commitTransaction();
                    } else {
                        transactional.flush();
                        transactional.abortTransaction();
                    }
                }
                for (; seed < end; seed++) {
                    producer.send(new Message(seed).record());
                }
            }
        }
    }

    private static KafkaProducer<byte[], byte[]> producer(Map<String, Object> more) {
        Map<String, Object> config = new HashMap<>(more);
        config.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, LocalStack.shared().bootstrapServers());
        return new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
    }

    private static void awaitRead(String group, String topic) {
        try (Admin admin = Admin.create(Map.of(
                AdminClientConfig.BOOTSTRAP_SERVERS_CONFIG, LocalStack.shared().bootstrapServers()))) {
            await().atMost(LONG).until(() -> {
                var committed = admin.listConsumerGroupOffsets(TOPICS.prefix() + group)
                        .partitionsToOffsetAndMetadata()
                        .get();
                Map<TopicPartition, OffsetSpec> latest = List.of(0, 1, 2).stream()
                        .collect(Collectors.toMap(
                                partition -> new TopicPartition(topic, partition), partition -> OffsetSpec.latest()));
                return admin.listOffsets(latest).all().get().entrySet().stream()
                        .allMatch(end -> end.getValue().offset() == 0
                                || committed.containsKey(end.getKey())
                                        && committed.get(end.getKey()).offset()
                                                == end.getValue().offset());
            });
        }
    }

    private static void clear(RunningCoordinator coordinator) {
        for (Priority priority : Priority.values()) {
            String queue = "/tasks/queues/" + priority.wireName();
            assertThat(coordinator.post(queue + "/resume", "").code()).isEqualTo(200);
            assertThat(coordinator.post(queue + "/clear", "").code()).isEqualTo(200);
        }
    }

    /** Checks that a valid task is executed by a healthy agent. */
    private static void assertDispatches(RunningCoordinator coordinator) {
        coordinator.register("after", 1, "after");
        String taskId = coordinator.submit("{\"task_data\":{\"x\":1},\"requirements\":{\"capabilities\":[\"after\"]}}");
        JsonNode assignment = coordinator.awaitRecords("assignments.after", 1).get(0);
        assertThat(assignment.get("task_id").asString()).isEqualTo(taskId);
        coordinator.report(assignment, "completed", null);
        coordinator.awaitTask(taskId, "completed");
    }

    /** Returns the number of dead letters of rejected records, after checking that each has its reason and origin. */
    private static long setAside(RunningCoordinator coordinator) {
        JsonNode letters =
                coordinator.get("/tasks/dead-letter?limit=1000").body().get("dead_letters");
        assertThat(letters.valueStream()
                        .filter(letter ->
                                !letter.path("reason").asString("").matches("attempts_exhausted|payload_lost")))
                .isNotEmpty()
                .allSatisfy(letter -> {
                    assertThat(letter.path("reason").asString("")).isIn("malformed", "oversized");
                    assertThat(letter.path("detail").asString("")).isNotBlank();
                    assertThat(letter.path("source_topic").asString("")).startsWith(TOPICS.prefix());
                    assertThat(letter.path("source_partition").isInt()).isTrue();
                    assertThat(letter.path("source_offset").isNumber()).isTrue();
                });
        return letters.get(0).get("offset").asLong() + 1;
    }

    private static long usedHeap() {
        System.gc();
        return Runtime.getRuntime().totalMemory() - Runtime.getRuntime().freeMemory();
    }

    /** Captures the log. */
    private static final class Lines extends AppenderBase<ILoggingEvent> {
        private final Logger root = (Logger) LoggerFactory.getLogger(org.slf4j.Logger.ROOT_LOGGER_NAME);
        final Queue<String> written = new ConcurrentLinkedQueue<>();

        @Override
        public void start() {
            super.start();
            root.addAppender(this);
        }

        @Override
        public void stop() {
            root.detachAppender(this);
            super.stop();
        }

        @Override
        protected void append(ILoggingEvent event) {
            // The broker runs in the same process.
            if (!event.getLoggerName().startsWith("kafka.")) {
                written.add(event.getLoggerName() + ": " + event.getFormattedMessage());
            }
        }
    }

    /** A record derived from a number. */
    private static final class Message {
        private static final Set<String> ALWAYS =
                Set.of("type", "task_id", "agent_id", "task_data", "attempt", "status", "command_id", "priority");

        private final SplittableRandom random;
        private final Mutations mutations;

        Message(long seed) {
            random = new SplittableRandom(seed);
            mutations = new Mutations(random);
        }

        ProducerRecord<byte[], byte[]> record() {
            int kind = random.nextInt(100);
            ProducerRecord<byte[], byte[]> record = kind < 45
                    ? record(mutations.one(TOPICS.tasks()), TASK)
                    : kind < 65
                            ? record(TOPICS.results(), RESULT)
                            : kind < 90
                                    ? record(TOPICS.heartbeats(), HEARTBEAT)
                                    : record(TOPICS.control(), mutations.one(CONTROL));
            if (mutations.chance(0.05)) {
                record.headers().add("traceparent", mutations.garbage()).add("", null);
            }
            return record;
        }

        private ProducerRecord<byte[], byte[]> record(String topic, String template) {
            String agent = mutations.one(List.of("fuzz-1", "fuzz-2", "fuzz-3"));
            String task = "task-" + random.nextInt(500);
            ObjectNode message = (ObjectNode) Json.MAPPER.readTree(template.replace("AGENT", agent)
                    .replace("TASK", task)
                    .replace("RESULT", mutations.one(List.of("completed", "failed", "rejected", "progress")))
                    .replace(
                            "STATUS",
                            mutations.one(List.of(
                                    "active", "active", "active", "busy", "maintenance", "inactive", "error"))));
            thin(message, 0.4, ALWAYS);
            if (message.get("requirements") instanceof ObjectNode requirements) {
                thin(requirements, 0.8, Set.of());
            }
            return new ProducerRecord<>(
                    topic, key(topic, topic.equals(TOPICS.heartbeats()) ? agent : task), value(message));
        }

        private void thin(ObjectNode object, double probability, Set<String> kept) {
            List.copyOf(object.propertyNames()).stream()
                    .filter(name -> !kept.contains(name) && mutations.chance(probability))
                    .forEach(object::remove);
        }

        /** Compacted topics reject records without a key. */
        private byte @Nullable [] key(String topic, String good) {
            return topic.startsWith(TOPICS.prefix() + "tasks.") && mutations.chance(0.1)
                    ? null
                    : mutations.chance(0.1) ? mutations.garbage() : bytes(good);
        }

        private byte @Nullable [] value(JsonNode good) {
            return mutations.chance(0.03) ? null : mutations.chance(0.03) ? mutations.garbage() : mutations.bytes(good);
        }

        private static byte[] bytes(String text) {
            return text.getBytes(StandardCharsets.UTF_8);
        }
    }
}
