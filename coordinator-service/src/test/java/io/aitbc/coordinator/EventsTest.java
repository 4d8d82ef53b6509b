package io.aitbc.coordinator;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Task;
import io.aitbc.contracts.TaskEvent;
import io.aitbc.contracts.TaskResult;
import io.aitbc.coordinator.assign.Reservations;
import io.aitbc.coordinator.assign.Verdict;
import io.aitbc.coordinator.match.Placement;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.match.WaitingTask;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.redis.Script;
import io.aitbc.coordinator.settle.Settlement;
import io.aitbc.coordinator.taskstate.TaskRecord;
import io.aitbc.localstack.LocalStack;
import io.lettuce.core.RedisClient;
import java.time.Duration;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.StringSerializer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/** What readers of {@code tasks.events} see of tasks. */
class EventsTest {
    private static final int DATABASE = 14;
    private static final String PREFIX = "events.";
    private static final Duration LONG = Duration.ofSeconds(90);
    private static final Script CANCEL = Script.loadFencedWithLimits(Reservations.class, "cancel");
    private static final Script SETTLE = Script.loadFencedWithLimits(Settlement.class, "settle");

    private static RunningCoordinator coordinator;
    private static RedisClient client;
    private static Redis redis;

    @BeforeAll
    static void start() {
        startCoordinator();
        client = RedisClient.create(LocalStack.shared().redisUrl() + "/" + DATABASE);
        redis = new Redis(client, DATABASE);
    }

    private static void startCoordinator() {
        coordinator =
                RunningCoordinator.start(LocalStack.shared(), PREFIX, DATABASE, "--aitbc.settle.retry-backoff=10ms");
    }

    @AfterAll
    static void end() {
        coordinator.close();
        redis.close();
        client.shutdown();
    }

    @Test
    void aTaskThatCompletes() {
        aTaskThatCompletes("completing");
    }

    private static void aTaskThatCompletes(String agent) {
        coordinator.register(agent, 1, agent);
        String id = coordinator.submit(
                "{\"task_data\":{\"x\": 1},\"priority\":\"high\",\"labels\":{\"team\":\"search\"},\"requirements\":{\"capabilities\":[\""
                        + agent + "\"]}}");
        JsonNode assignment =
                coordinator.awaitRecords("assignments." + agent, 1).get(0);
        coordinator.report(assignment, "completed", null);

        Map<String, TaskEvent> events = events(id, "1:completed");

        assertThat(events.keySet()).containsExactly("1:assigned", "1:completed");
        TaskEvent.Change assigned = events.get("1:assigned").change();
        assertThat(assigned.agentId()).isEqualTo(agent);
        assertThat(assigned.priority()).isEqualTo(Priority.HIGH);
        assertThat(assigned.assignedAt())
                .isEqualTo(Instant.parse(assignment.get("assigned_at").asString()));
        Task task = assigned.task();
        assertThat(task.payload().tree().get("x").asInt()).isEqualTo(1);
        assertThat(task.labels()).isEqualTo(Map.of("team", "search"));
        assertThat(task.requirements().capabilities()).containsExactly(agent);
        assertThat(events.get("1:completed").change().agentId()).isEqualTo(agent);
        assertThat(events.get("1:completed").change().result().get("done").asBoolean())
                .isTrue();
    }

    @Test
    void aTaskThatFailsAndIsRedriven() {
        coordinator.register("failing", 1, "failing");
        String id = coordinator.submit(
                "{\"task_data\":{},\"max_attempts\":2,\"requirements\":{\"capabilities\":[\"failing\"]}}");
        report("failing", 1, "failed", "disk full");
        report("failing", 2, "failed", "disk still full");
        coordinator.awaitTask(id, "failed");
        coordinator.post("/tasks/dead-letter/" + id + "/redrive", "");
        report("failing", 3, "completed", null);

        Map<String, TaskEvent> events = events(id, "3:completed");

        assertThat(events.keySet())
                .containsExactly(
                        "1:assigned",
                        "1:attempt_failed",
                        "2:assigned",
                        "2:failed",
                        "3:redriven",
                        "3:assigned",
                        "3:completed");
        TaskEvent.Change failed = events.get("1:attempt_failed").change();
        assertThat(failed.reason()).isEqualTo("failed");
        assertThat(failed.error().asString()).isEqualTo("disk full");
        assertThat(failed.agentId()).isEqualTo("failing");
        assertThat(failed.nextAttempt()).isEqualTo(2);
        assertThat(failed.notBefore()).isAfter(failed.assignedAt());
        assertThat(events.get("2:failed").change().error().asString()).isEqualTo("disk still full");
        assertThat(events.get("2:failed").change().nextAttempt()).isNull();
        assertThat(events.get("3:redriven").change().priority()).isEqualTo(Priority.NORMAL);
    }

    @Test
    void aWaitingTaskThatIsCancelled() {
        String id = coordinator.submit("{\"task_data\":{\"n\":7},\"requirements\":{\"capabilities\":[\"nobody\"]}}");
        coordinator.post("/tasks/" + id + "/cancel", "");

        Map<String, TaskEvent> events = events(id, "1:accepted", "1:cancelled");

        assertThat(events.keySet()).containsExactly("1:accepted", "1:cancelled");
        assertThat(events.get("1:accepted")
                        .change()
                        .task()
                        .payload()
                        .tree()
                        .get("n")
                        .asInt())
                .isEqualTo(7);
        assertThat(events.get("1:cancelled").change().agentId()).isNull();
    }

    @Test
    void anAssignedTaskThatIsCancelled() {
        coordinator.register("cancelled", 1, "cancelled");
        String id = coordinator.submit("{\"task_data\":{},\"requirements\":{\"capabilities\":[\"cancelled\"]}}");
        coordinator.awaitTask(id, "assigned");
        coordinator.post("/tasks/" + id + "/cancel", "");

        Map<String, TaskEvent> events = events(id, "1:cancelled");

        assertThat(events.keySet()).containsExactly("1:assigned", "1:cancelled");
        assertThat(events.get("1:cancelled").change().agentId()).isEqualTo("cancelled");
    }

    @Test
    void aTaskThatExpires() {
        String id = coordinator.submit("{\"task_data\":{},\"expires_at\":\""
                + Instant.now().plusMillis(300) + "\",\"requirements\":{\"capabilities\":[\"nobody\"]}}");

        assertThat(events(id, "1:expired").keySet()).containsExactly("1:accepted", "1:expired");
    }

    @Test
    void tasksOfAQueueThatIsCleared() {
        String one = coordinator.submit(
                "{\"task_data\":{},\"priority\":\"low\",\"requirements\":{\"capabilities\":[\"nobody\"]}}");
        String two = coordinator.submit(
                "{\"task_data\":{},\"priority\":\"low\",\"requirements\":{\"capabilities\":[\"nobody\"]}}");
        coordinator.post("/tasks/queues/low/clear", "");

        Stream.of(one, two)
                .forEach(id ->
                        assertThat(events(id, "1:cancelled").keySet()).containsExactly("1:accepted", "1:cancelled"));
    }

    @Test
    void eventsAreCloudEventsKeyedByTask() {
        String id = coordinator.submit("{\"task_data\":{},\"requirements\":{\"capabilities\":[\"nobody\"]}}");
        events(id, "1:accepted");

        assertThat(coordinator.records("tasks.events"))
                .allMatch(record -> record.key()
                        .equals(Json.read(record.value(), TaskEvent.class).taskId()))
                .allMatch(record -> new String(
                                record.headers().lastHeader("content-type").value(), UTF_8)
                        .equals("application/cloudevents+json"))
                .anyMatch(record -> record.key().equals(id));
    }

    /** An agent may report twice, and something else the second time. */
    @Test
    void aSecondResultIsNotPublished() {
        coordinator.register("twice", 1, "twice");
        String id = coordinator.submit("{\"task_data\":{},\"requirements\":{\"capabilities\":[\"twice\"]}}");
        JsonNode assignment = coordinator.awaitRecords("assignments.twice", 1).get(0);
        coordinator.report(RunningCoordinator.result(assignment, "completed").put("result", "first"));
        coordinator.report(RunningCoordinator.result(assignment, "completed").put("result", "second"));
        String next = coordinator.submit("{\"task_data\":{},\"requirements\":{\"capabilities\":[\"twice\"]}}");
        // In the same partition, behind the others.
        JsonNode last = coordinator.awaitRecords("assignments.twice", 2).get(1);
        coordinator.publish("tasks.results", id, Json.text(RunningCoordinator.result(last, "completed")));
        events(next, "1:completed");

        assertThat(coordinator.records("tasks.events").stream()
                        .map(record -> Json.read(record.value(), TaskEvent.class))
                        .filter(event -> event.id().equals(id + ":1:completed"))
                        .map(event -> event.change().result().asString()))
                .containsOnly("first");
    }

    @Test
    void aResultTooLargeForAnEventIsLeftOut() {
        coordinator.register("verbose", 1, "verbose");
        String id = coordinator.submit("{\"task_data\":{},\"requirements\":{\"capabilities\":[\"verbose\"]}}");
        JsonNode assignment = coordinator.awaitRecords("assignments.verbose", 1).get(0);
        String result = Json.text(RunningCoordinator.result(assignment, "completed"));
        // Each number takes one character more once it is written again.
        String numbers = "[1" + ",1e6".repeat(520_000) + "]";
        coordinator.publish(
                "tasks.results", id, result.substring(0, result.length() - 1) + ",\"result\":" + numbers + "}");

        TaskEvent completed = events(id, "1:completed").get("1:completed");

        assertThat(completed.change().truncated()).isTrue();
        assertThat(completed.change().result()).isNull();
        assertThat(completed.change().agentId()).isEqualTo("verbose");
    }

    /** The coordinator that executed the command died before it published the event. The task does not wait, so that no lane publishes it. */
    @Test
    void aCancellationThatNobodyPublishedIsPublishedByAnother() {
        coordinator.register("outbox", 1, "outbox");
        String id = coordinator.submit("{\"task_data\":{},\"requirements\":{\"capabilities\":[\"outbox\"]}}");
        events(id, "1:assigned");
        CANCEL.runSync(redis, List.of(id, String.valueOf(Instant.now().toEpochMilli()), "1"));

        Map<String, TaskEvent> events = events(id, "1:cancelled");

        assertThat(events.keySet()).containsExactly("1:assigned", "1:cancelled");
        assertThat(events.get("1:cancelled").change().agentId()).isEqualTo("outbox");
        await().atMost(LONG).until(() -> !redis.sync().hexists(Keys.UNPUBLISHED_EVENTS, id + ":1:cancelled"));
    }

    /** An operator, or a broker that created the topic for a reader, may have set another limit. */
    @Test
    void anEventThatIsLargerThanTheTopicAllowsIsTruncated() throws Exception {
        coordinator.register("narrow", 1, "narrow");
        ConfigResource topic = new ConfigResource(ConfigResource.Type.TOPIC, PREFIX + "tasks.events");
        try (Admin admin =
                Admin.create(Map.of("bootstrap.servers", LocalStack.shared().bootstrapServers()))) {
            String before = admin.describeConfigs(List.of(topic))
                    .all()
                    .get()
                    .get(topic)
                    .get("max.message.bytes")
                    .value();
            limit(admin, topic, "2000");
            try {
                // Random, because events are compressed.
                String text =
                        new Random(1).ints(1_000).mapToObj(Integer::toHexString).collect(Collectors.joining());
                String id = coordinator.submit(
                        "{\"task_data\":{\"text\":\"" + text + "\"},\"requirements\":{\"capabilities\":[\"narrow\"]}}");
                TaskEvent assigned = events(id, "1:assigned").get("1:assigned");
                assertThat(assigned.change().truncated()).isTrue();
                assertThat(assigned.change().task()).isNull();

                limit(admin, topic, "100");
                coordinator.report(
                        coordinator.awaitRecords("assignments.narrow", 1).get(0), "completed", null);
                coordinator.awaitTask(id, "completed");
                await().atMost(LONG)
                        .until(() -> coordinator.text("/metrics").contains("coordinator_events_lost_total 1.0"));
            } finally {
                limit(admin, topic, before);
            }
        }
        aTaskThatCompletes("after-the-limit");
    }

    private static void limit(Admin admin, ConfigResource topic, String bytes) throws Exception {
        admin.incrementalAlterConfigs(Map.of(
                        topic,
                        List.of(new AlterConfigOp(
                                new ConfigEntry("max.message.bytes", bytes), AlterConfigOp.OpType.SET))))
                .all()
                .get();
    }

    @Test
    void aNoteThatCannotBeReadIsSetAside() {
        redis.sync().hset(Keys.UNPUBLISHED_EVENTS, "spoilt:1:cancelled", "when");

        await().atMost(LONG)
                .until(() ->
                        redis.sync().hexists(Keys.QUARANTINE_PREFIX + Keys.UNPUBLISHED_EVENTS, "spoilt:1:cancelled"));
        assertThat(redis.sync().hexists(Keys.UNPUBLISHED_EVENTS, "spoilt:1:cancelled"))
                .isFalse();
    }

    /** A coordinator died between a script and the event that belongs to it, or one step later. */
    @ParameterizedTest
    @ValueSource(strings = {"granted", "settled", "cancelled"})
    void whatADyingCoordinatorDidIsPublished(String step) throws Exception {
        String id = "died-" + step;
        coordinator.register("heir", 10, "heir");
        coordinator.close();
        // As that coordinator would have done.
        Task task = Task.of(id, Json.object().put("step", step), Requirements.capabilities("heir"))
                .accepted(id, Instant.now());
        RecordMetadata appended = publish("tasks.normal", id, Json.text(task));
        Position position = new Position(Priority.NORMAL, appended.partition(), appended.offset());
        Verdict verdict = new Reservations(redis, "dead")
                .reserve(
                        List.of(new Placement(new WaitingTask(task, position, task.acceptedAt(), 100), "heir")),
                        Instant.now())
                .join()
                .get(0);
        assertThat(verdict.ruling()).isEqualTo(Verdict.Ruling.GRANTED);
        String now = String.valueOf(Instant.now().toEpochMilli());
        if (step.equals("settled")) {
            TaskResult result = new TaskResult(
                    id + ":1", id, 1, "heir", TaskResult.Status.COMPLETED, Json.tree("ok"), null, null, null);
            publish("tasks.results", id, Json.text(result));
            String letters = (String) SETTLE.runSync(
                            redis,
                            List.of(
                                    now,
                                    Script.pack(List.of(
                                            id, TaskRecord.live(1), "heir", "completed", TaskRecord.outcome(result)))))
                    .get(0);
            assertThat(letters).isEqualTo("c");
        } else if (step.equals("cancelled")) {
            CANCEL.runSync(redis, List.of(id, now, "1"));
        }

        startCoordinator();

        Map<String, TaskEvent> events = step.equals("granted")
                ? events(id, "1:assigned")
                : events(id, "1:assigned", step.equals("settled") ? "1:completed" : "1:cancelled");
        TaskEvent assigned = events.get("1:assigned");
        assertThat(assigned.change().task().payload().tree().get("step").asString())
                .isEqualTo(step);
        assertThat(assigned.change().assignedAt()).isEqualTo(verdict.assignedAt());
        if (step.equals("settled")) {
            assertThat(events.get("1:completed").change().result().asString()).isEqualTo("ok");
            assertThat(coordinator.get("/tasks/" + id).body().get("status").asString())
                    .isEqualTo("completed");
        }
    }

    @Test
    void withEventsOffThereIsNoTopic() throws Exception {
        String prefix = "no-events.";
        try (RunningCoordinator silent =
                        RunningCoordinator.start(LocalStack.shared(), prefix, 13, "--aitbc.events.enabled=false");
                Admin admin = Admin.create(
                        Map.of("bootstrap.servers", LocalStack.shared().bootstrapServers()))) {
            silent.register("silent", 1, "silent");
            String id = silent.submit("{\"task_data\":{},\"requirements\":{\"capabilities\":[\"silent\"]}}");
            silent.report(silent.awaitRecords("assignments.silent", 1).get(0), "completed", null);
            silent.awaitTask(id, "completed");
            String cancelled = silent.submit("{\"task_data\":{},\"requirements\":{\"capabilities\":[\"nobody\"]}}");
            assertThat(silent.post("/tasks/" + cancelled + "/cancel", "").code())
                    .isEqualTo(200);

            Set<String> topics = admin.listTopics().names().get();
            assertThat(topics).contains(prefix + "tasks.results").doesNotContain(prefix + "tasks.events");
            try (RedisClient other = RedisClient.create(LocalStack.shared().redisUrl() + "/13")) {
                assertThat(other.connect().sync().exists(Keys.UNPUBLISHED_EVENTS))
                        .isZero();
            }
        }
    }

    /** Publishes while no coordinator runs. */
    private static RecordMetadata publish(String topic, String key, String value) throws Exception {
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(
                Map.of("bootstrap.servers", LocalStack.shared().bootstrapServers()),
                new StringSerializer(),
                new StringSerializer())) {
            return producer.send(new ProducerRecord<>(PREFIX + topic, key, value))
                    .get();
        }
    }

    private static void report(String agentId, int number, String status, String error) {
        coordinator.report(
                coordinator.awaitRecords("assignments." + agentId, number).get(number - 1), status, error);
    }

    /** Awaits events of a task, and returns all that came until then: each once, in order, by attempt and kind. */
    private static Map<String, TaskEvent> events(String taskId, String... awaited) {
        Map<String, TaskEvent> bySequence = new TreeMap<>();
        coordinator.follow("tasks.events", 0, json -> {
            TaskEvent event = Json.read(json, TaskEvent.class);
            if (event.taskId().equals(taskId)) {
                TaskEvent before = bySequence.putIfAbsent(event.sequence(), event);
                assertThat(before == null ? event.id() : before.id()).isEqualTo(event.id());
            }
            return !names(bySequence).keySet().containsAll(Set.of(awaited));
        });
        return names(bySequence);
    }

    private static Map<String, TaskEvent> names(Map<String, TaskEvent> bySequence) {
        Map<String, TaskEvent> named = new LinkedHashMap<>();
        bySequence
                .values()
                .forEach(event -> named.put(event.id().substring(event.taskId().length() + 1), event));
        return named;
    }
}
