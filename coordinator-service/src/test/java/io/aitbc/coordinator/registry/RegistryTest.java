package io.aitbc.coordinator.registry;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.awaitility.Awaitility.await;

import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Heartbeat;
import io.aitbc.contracts.Registration;
import io.aitbc.coordinator.RunningCoordinator;
import io.aitbc.coordinator.RunningCoordinator.Answer;
import io.aitbc.coordinator.agent.HealthPolicy;
import io.aitbc.coordinator.kafka.TopicCatalog;
import io.aitbc.coordinator.kafka.TopicSettings;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.localstack.LocalStack;
import io.lettuce.core.KillArgs;
import io.lettuce.core.RedisClient;
import io.lettuce.core.api.sync.RedisCommands;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;
import tools.jackson.databind.JsonNode;

/** The registry as seen by agents, operators with redis-cli and REST clients, on a real Kafka and a real Redis. */
@ExtendWith(OutputCaptureExtension.class)
class RegistryTest {
    private static final int DATABASE = 9;
    private static final String PREFIX = "registry.";
    private static final Duration LONG = Duration.ofSeconds(90);

    private static final Map<String, Object> KAFKA =
            Map.of("bootstrap.servers", LocalStack.shared().bootstrapServers());

    private static final Admin ADMIN = Admin.create(KAFKA);

    private static RunningCoordinator coordinator;
    private static RedisClient client;
    private static RedisCommands<String, String> redis;

    @BeforeAll
    static void start() {
        coordinator = RunningCoordinator.start(
                LocalStack.shared(), PREFIX, DATABASE, "--aitbc.topics.departed-agent-retention=1s");
        client = RedisClient.create(LocalStack.shared().redisUrl() + "/" + DATABASE);
        redis = client.connect().sync();
    }

    @AfterAll
    static void end() {
        client.shutdown();
        coordinator.close();
        ADMIN.close();
    }

    @Test
    void anAgentIsReadableInRedis() {
        heartbeat(
                "readable",
                "\"load_metrics\":{\"cpu_usage\":0.5},\"registration\":{\"agent_id\":\"readable\",\"agent_type\":\"worker\","
                        + "\"capabilities\":[\"hash\",\"gpu:2\"],\"metadata\":{\"owner\":\"me\"},\"tags\":[\"spot\"]}");
        await().atMost(LONG).until(() -> redis.sismember("agents:active", "readable"));
        Map<String, String> hash = redis.hgetall("agent:readable");
        assertThat(hash)
                .containsEntry("agent_id", "readable")
                .containsEntry("agent_type", "worker")
                .containsEntry("status", "active")
                .containsEntry("capabilities", "[\"hash\",\"gpu:2\"]")
                .containsEntry("services", "[]")
                .containsEntry("endpoints", "{}")
                .containsEntry("metadata", "{\"owner\":\"me\"}")
                .containsEntry("tags", "[\"spot\"]")
                .containsEntry("load_metrics", "{\"cpu_usage\":0.5}")
                .containsEntry("health_score", "1.000")
                .containsEntry("version", "1.0.0");
        assertThat(Instant.parse(hash.get("last_heartbeat")))
                .isEqualTo(Instant.parse(hash.get("registration_time")))
                .isCloseTo(Instant.now(), within(30, ChronoUnit.SECONDS));
        assertThat(redis.zscore("agents:heartbeats", "readable"))
                .isEqualTo(Instant.parse(hash.get("last_heartbeat")).toEpochMilli());
    }

    /** An agent alternates between Kafka and REST: updates of both are merged, and none is lost. */
    @Test
    void heartbeatsOverKafkaAndRestAreEquivalent() {
        String registration = "\"registration\":{\"agent_id\":\"both\",\"agent_type\":\"worker\",\"capacity\":";
        heartbeat("both", registration + "7}");
        awaitAgent("both", agent -> agent.path("capacity").asInt() == 7);
        coordinator.post("/agents/both/heartbeat", "{\"load_metrics\":{\"cpu_usage\":0.8}}");
        assertThat(agent("both").at("/load_metrics/cpu_usage").asDouble()).isEqualTo(0.8);
        heartbeat("both", "\"status\":\"busy\"");
        awaitAgent("both", agent -> agent.get("status").asString().equals("busy"));
        assertThat(redis.sismember("agents:active", "both")).isFalse();
        heartbeat("both", registration + "9}");
        awaitAgent("both", agent -> agent.get("capacity").asInt() == 9);
        assertThat(agent("both").get("status").asString()).isEqualTo("busy");
        assertThat(agent("both").at("/load_metrics/cpu_usage").asDouble()).isEqualTo(0.8);
        coordinator.send("PUT", "/agents/both/status", "{\"status\":\"active\"}");
        assertThat(redis.sismember("agents:active", "both")).isTrue();
    }

    @Test
    void healthListsItsFactors() {
        coordinator.register("tired", 4);
        coordinator.send(
                "PUT",
                "/agents/tired/status",
                "{\"status\":\"busy\",\"load_metrics\":{\"cpu_usage\":85,\"memory_usage\":0.2}}");
        JsonNode agent = agent("tired");
        assertThat(agent.get("health_score").asDouble()).isEqualTo(0.675);
        assertThat(agent.at("/health/load").asDouble()).isEqualTo(0.75);
        assertThat(agent.at("/health/status").asDouble()).isEqualTo(0.9);
        assertThat(agent.at("/health/costs"))
                .extracting(JsonNode::asString)
                .containsExactly(
                        "its CPU usage is 85 % and its memory usage 20 %; usage above 70 % reduces its health",
                        "its status is busy");
        assertThat(redis.hget("agent:tired", "health_score")).isEqualTo("0.675");
    }

    @Test
    void anUnknownAgentIsCountedNamedAndIgnored(CapturedOutput output) {
        long before = unknownHeartbeats();
        for (int i = 0; i < 5; i++) {
            heartbeat("nobody-" + i % 2, "\"load_metrics\":{}");
        }
        // Of several heartbeats of an agent in one batch, only the newest counts.
        await().atMost(LONG).untilAsserted(() -> assertThat(unknownHeartbeats()).isBetween(before + 2, before + 5));
        assertThat(coordinator.get("/agents/nobody-1").code()).isEqualTo(404);
        await().atMost(LONG)
                .untilAsserted(() -> assertThat(output.getOut())
                        .contains("heartbeats from unregistered agents ignored: ")
                        .contains("nobody-1"));
    }

    @Test
    void absurdLoadIsDeadLetteredWithAnExplanation() {
        coordinator.register("absurd", 1);
        heartbeat("absurd", "\"load_metrics\":{\"cpu_usage\":1e300}");
        heartbeat("absurd", "\"load_metrics\":{\"cpu_usage\":\"NaN\"}");
        heartbeat("absurd", "\"load_metrics\":{\"cpu_usage\":0.3}");
        awaitAgent("absurd", agent -> agent.at("/load_metrics/cpu_usage").asDouble() == 0.3);
        assertThat(coordinator.awaitRaw("tasks.dead-letter", 2))
                .extracting(record ->
                        new String(record.headers().lastHeader("detail").value()))
                .contains(
                        "load_metrics.cpu_usage must be a number from 0 to 1e15 but was 1.0E300",
                        "load_metrics.cpu_usage has the wrong type or form (expected a number)");
    }

    /** Its heartbeats carry two timestamps of a wrong clock, and are accepted nevertheless. */
    @Test
    void aWrongClockIsReportedAndHarmless() throws Exception {
        coordinator.register("late-clock", 1);
        Instant wrong = Instant.now().minus(Duration.ofDays(3));
        try (KafkaProducer<String, String> producer =
                new KafkaProducer<>(KAFKA, new StringSerializer(), new StringSerializer())) {
            producer.send(new ProducerRecord<>(
                            PREFIX + "agents.heartbeat",
                            null,
                            wrong.toEpochMilli(),
                            "late-clock",
                            "{\"agent_id\":\"late-clock\",\"sent_at\":\"" + wrong + "\"}"))
                    .get();
        }
        JsonNode agent = awaitAgent("late-clock", one -> one.has("clock_ahead_seconds"));
        assertThat(agent.get("clock_ahead_seconds").asDouble()).isCloseTo(-3 * 86_400, within(60.0));
        assertThat(Instant.parse(agent.get("last_heartbeat").asString()))
                .isCloseTo(Instant.now(), within(60, ChronoUnit.SECONDS));
        coordinator.post("/agents/late-clock/heartbeat", "{\"sent_at\":\"+1000000000-12-31T23:59:59Z\"}");
        assertThat(agent("late-clock").get("clock_ahead_seconds").asDouble()).isGreaterThan(1e11);
    }

    @Test
    void aRestartDoesNotContestAnIdButTwoProcessesDo() {
        coordinator.register("twin", 1);
        heartbeatOfInstance("twin", "first");
        heartbeatOfInstance("twin", "second");
        heartbeatOfInstance("twin", "second");
        assertThat(agent("twin").get("instance_id").asString()).isEqualTo("second");
        assertThat(agent("twin").has("contested")).isFalse();
        heartbeatOfInstance("twin", "first");
        JsonNode contested = agent("twin").get("contested");
        assertThat(contested.get("detail").asString()).contains("two processes use this id");
        assertThat(contested.get("other_instance_id").asString()).isEqualTo("second");
        assertThat(contested.has("last_seen")).isTrue();
    }

    @Test
    void aSharedAgentIdIsLogged(CapturedOutput output) {
        coordinator.register("rivals", 1);
        for (String instance : List.of("a", "b", "a")) {
            heartbeat("rivals", "\"instance_id\":\"" + instance + "\"");
            awaitAgent("rivals", agent -> agent.path("instance_id").asString("").equals(instance));
        }
        await().atMost(LONG)
                .untilAsserted(() -> assertThat(output.getOut())
                        .contains("two processes with the same agent id")
                        .contains("rivals"));
    }

    @Test
    void maintenanceDrains() {
        coordinator.register("draining", 2, "drain");
        String first = coordinator.submit(requiring("drain"));
        JsonNode held = coordinator.awaitRecords("assignments.draining", 1).get(0);
        coordinator.send("PUT", "/agents/draining/status", "{\"status\":\"maintenance\"}");
        assertThat(agent("draining").get("drained").asBoolean()).isFalse();
        String second = coordinator.submit(requiring("drain"));
        coordinator.awaitTask(second, "queued");
        coordinator.report(held, "completed", null);
        coordinator.awaitTask(first, "completed");
        assertThat(agent("draining").get("drained").asBoolean()).isTrue();
        // A heartbeat without a status does not change the status.
        coordinator.post("/agents/draining/heartbeat", "{}");
        assertThat(agent("draining").get("status").asString()).isEqualTo("maintenance");
        assertThat(coordinator
                        .get("/tasks/" + second + "/explain")
                        .body()
                        .get("explanation")
                        .asString())
                .contains("its status is maintenance");
        coordinator.send("PUT", "/agents/draining/status", "{\"status\":\"active\"}");
        coordinator.awaitTask(second, "assigned");
    }

    @Test
    void theAssignmentsOfAnAgentAreListed() {
        coordinator.register("holder", 3, "hold");
        List<String> ids = IntStream.range(0, 3)
                .mapToObj(i -> coordinator.submit("{\"task_data\":{},\"timeout_seconds\":" + (600 - i)
                        + ",\"requirements\":{\"capabilities\":[\"hold\"]}}"))
                .toList();
        List<JsonNode> given = coordinator.awaitRecords("assignments.holder", 3);
        JsonNode page = coordinator.get("/agents/holder/assignments?limit=2").body();
        assertThat(page.get("total").asInt()).isEqualTo(3);
        assertThat(page.get("assignments"))
                .extracting(one -> one.get("assignment_id").asString())
                .containsExactly(ids.get(2) + ":1", ids.get(1) + ":1");
        JsonNode first = given.stream()
                .filter(one -> one.get("task_id").asString().equals(ids.get(2)))
                .findFirst()
                .orElseThrow();
        assertThat(page.at("/assignments/0/deadline")).isEqualTo(first.get("deadline"));
        assertThat(page.at("/assignments/0/assigned_at")).isEqualTo(first.get("assigned_at"));
        // Progress moves the deadline.
        coordinator.report(first, "progress", null);
        await().atMost(LONG)
                .until(() -> Instant.parse(coordinator
                                .get("/agents/holder/assignments")
                                .body()
                                .at("/assignments/0/deadline")
                                .asString())
                        .isAfter(Instant.parse(first.get("deadline").asString())));
        given.forEach(assignment -> coordinator.report(assignment, "completed", null));
        await().atMost(LONG)
                .until(() -> coordinator
                                .get("/agents/holder/assignments")
                                .body()
                                .get("total")
                                .asInt()
                        == 0);
        assertThat(coordinator.get("/agents/nobody/assignments").code()).isEqualTo(404);
        assertThat(coordinator.get("/agents/holder/assignments?limit=0").code()).isEqualTo(422);
        assertThat(agent("holder").get("response_seconds").asDouble()).isGreaterThan(0);
    }

    @Test
    void capabilitiesAreFoundByQuantityAndVersion() {
        coordinator.register("small-gpu", 5, "gpu:1", "cuda:11.8");
        coordinator.register("large-gpu", 5, "gpu:4", "cuda:12.4");
        String id = coordinator.submit(requiring("gpu>=2\",\"cuda>=12"));
        assertThat(coordinator.awaitTask(id, "assigned").get("agent_id").asString())
                .isEqualTo("large-gpu");
        String tooMuch = coordinator.submit(requiring("gpu>=8"));
        coordinator.awaitTask(tooMuch, "queued");
        assertThat(coordinator.get("/tasks/" + tooMuch + "/explain").body().toString())
                .contains("it has no capability gpu>=8");
        assertThat(coordinator
                        .post("/agents/discover", "{\"capabilities\":[\"gpu>=2\"]}")
                        .body()
                        .at("/agents/0/agent_id")
                        .asString())
                .isEqualTo("large-gpu");
    }

    /** A notice is lost: the view detects the gap in the sequence numbers, and updates the matcher. */
    @Test
    void aViewThatMissedANoticeRepairsItself() {
        coordinator.register("missed", 1, "missed");
        List<String> ids = IntStream.range(0, 3)
                .mapToObj(i -> coordinator.submit(requiring("missed")))
                .toList();
        coordinator.awaitRecords("assignments.missed", 1);
        redis.hset("agent:missed", "capacity", "3");
        redis.incr("agents:events");
        ids.forEach(id -> coordinator.awaitTask(id, "assigned"));
    }

    @Test
    void aViewWhoseConnectionBreaksRepairsItself() {
        coordinator.register("cut", 1, "cut");
        String id = coordinator.submit(requiring("cut"));
        coordinator.awaitRecords("assignments.cut", 1);
        String second = coordinator.submit(requiring("cut"));
        coordinator.awaitTask(second, "queued");
        redis.clientKill(KillArgs.Builder.typePubsub());
        coordinator.register("cut-2", 1, "cut");
        coordinator.awaitTask(second, "assigned");
        assertThat(id).isNotEqualTo(second);
    }

    @Test
    void anAgentsTopicIsRemovedOnceItHasDeparted() throws Exception {
        coordinator.register("departing", 2, "depart");
        String id = coordinator.submit(requiring("depart"));
        JsonNode held = coordinator.awaitRecords("assignments.departing", 1).get(0);
        assertThat(topics()).contains(PREFIX + "assignments.departing");
        coordinator.send("DELETE", "/agents/departing", null);
        coordinator.register("staying", 2, "depart");
        // Its tasks are requeued first: until then, the topic is needed.
        coordinator.awaitRecords("assignments.staying", 1);
        await().atMost(LONG).until(() -> !topics().contains(PREFIX + "assignments.departing"));
        assertThat(agent("departing").get("status").asString()).isEqualTo("inactive");
        assertThat(redis.sismember("agents:known", "departing")).isFalse();
        assertThat(redis.zscore("agents:departed", "departing")).isNull();
        coordinator.report(held, "completed", null);
        // When the agent returns, its topic is re-created.
        coordinator.register("departing", 2, "depart-again");
        String again = coordinator.submit(requiring("depart-again"));
        assertThat(coordinator
                        .awaitRecords("assignments.departing", 1)
                        .get(0)
                        .get("task_id")
                        .asString())
                .isEqualTo(again);
        assertThat(redis.ttl("agent:departing")).isEqualTo(-1);
        assertThat(id).isNotEqualTo(again);
    }

    @Test
    void aTopicWithUnsettledTasksIsNotRemoved() throws Exception {
        coordinator.register("indebted", 2);
        redis.hset("agent:indebted:inflight", "a-task", "1 1767225600000 4922899200000 -");
        coordinator.send("DELETE", "/agents/indebted", null);
        coordinator.register("debtless", 2);
        coordinator.send("DELETE", "/agents/debtless", null);
        // It departed later, so the other agent has been checked by then.
        await().atMost(LONG).until(() -> !topics().contains(PREFIX + "assignments.debtless"));
        assertThat(topics()).contains(PREFIX + "assignments.indebted");
        redis.del("agent:indebted:inflight");
        await().atMost(LONG).until(() -> !topics().contains(PREFIX + "assignments.indebted"));
    }

    @Test
    void anAgentCannotRegisterWhileItsTopicIsBeingRemoved() {
        coordinator.register("returning", 1);
        coordinator.send("DELETE", "/agents/returning", null);
        redis.zrem("agents:departed", "returning");
        redis.hset("agent:returning", "topic", "removing " + Instant.now().toEpochMilli());
        Answer answer = coordinator.post("/agents/register", "{\"agent_id\":\"returning\",\"agent_type\":\"worker\"}");
        assertThat(answer.code()).isEqualTo(409);
        assertThat(answer.detail()).contains("try again in a second");
        // The coordinator that was removing it has crashed.
        redis.hset(
                "agent:returning",
                "topic",
                "removing " + Instant.now().minusSeconds(61).toEpochMilli());
        coordinator.register("returning", 1);
        assertThat(agent("returning").get("status").asString()).isEqualTo("active");
    }

    /** The topic was deleted externally: no other task waits for it, and the task still arrives. */
    @Test
    void aDeletedTopicIsRecreated() throws Exception {
        coordinator.register("bereft", 1, "bereft");
        ADMIN.deleteTopics(List.of(PREFIX + "assignments.bereft")).all().get();
        String id = coordinator.submit(requiring("bereft"));
        coordinator.register("beside", 1, "beside");
        String other = coordinator.submit(requiring("beside"));
        coordinator.report(coordinator.awaitRecords("assignments.beside", 1).get(0), "completed", null);
        coordinator.awaitTask(other, "completed");
        coordinator.report(coordinator.awaitRecords("assignments.bereft", 1).get(0), "completed", null);
        coordinator.awaitTask(id, "completed");
    }

    @Test
    void aThousandAgentsRegisterAtOnce() throws Exception {
        ExecutorService agents = Executors.newFixedThreadPool(100);
        Instant start = Instant.now();
        try {
            List<Callable<Answer>> calls = IntStream.range(0, 1_000)
                    .<Callable<Answer>>mapToObj(i -> () -> registerPatiently("crowd-" + i % 900))
                    .toList();
            for (Future<Answer> answer : agents.invokeAll(calls)) {
                assertThat(answer.get().code()).as("%s", answer.get().body()).isEqualTo(200);
            }
        } finally {
            agents.shutdown();
        }
        assertThat(Duration.between(start, Instant.now())).isLessThan(Duration.ofSeconds(30));
        // Redis may be slow to answer after so many at once: a query may get a 503 first.
        await().atMost(LONG)
                .until(() -> coordinator
                                .get("/agents?agent_type=crowd&limit=1")
                                .body()
                                .path("total")
                                .asInt()
                        == 900);
        await().atMost(LONG)
                .until(() -> topics().stream()
                                .filter(name -> name.startsWith(PREFIX + "assignments.crowd-"))
                                .count()
                        == 900);
    }

    /** One that has no Kafka client would take tasks, and never answer. */
    @Test
    void anAgentThatDoesNotReadItsTopicIsAssignedNothing() {
        Answer registered = coordinator.post(
                "/agents/register", "{\"agent_id\":\"deaf\",\"agent_type\":\"worker\",\"capabilities\":[\"hearing\"]}");
        assertThat(registered.body().get("warnings").toString())
                .contains("nothing is assigned to deaf until it sends a heartbeat over Kafka");
        assertThat(agent("deaf").get("status").asString()).isEqualTo("active");
        String id = coordinator.submit(requiring("hearing"));
        await().atMost(LONG)
                .until(() -> coordinator
                        .get("/tasks/" + id + "/explain")
                        .body()
                        .toString()
                        .contains("it does not read its topic"));
        // Heartbeats over REST prove nothing.
        coordinator.post("/agents/deaf/heartbeat", "{}");
        coordinator.send("PUT", "/agents/deaf/status", "{\"status\":\"active\"}");
        coordinator.register("hearing-one", 1, "hearing");
        coordinator.awaitRecords("assignments.hearing-one", 1);
        assertThat(agent("deaf").has("not_reached")).isTrue();

        String next = coordinator.submit(requiring("hearing"));
        coordinator.reach("deaf");
        assertThat(coordinator
                        .awaitRecords("assignments.deaf", 1)
                        .get(0)
                        .get("task_id")
                        .asString())
                .isEqualTo(next);
        assertThat(agent("deaf").has("not_reached")).isFalse();
        assertThat(coordinator
                        .post(
                                "/agents/register",
                                "{\"agent_id\":\"deaf\",\"agent_type\":\"worker\",\"capabilities\":[\"hearing\"],\"version\":\"2\"}")
                        .body()
                        .has("warnings"))
                .isFalse();
    }

    /** It was given assignments by an earlier registration, say. */
    @Test
    void aResultOverKafkaShowsThatAnAgentReadsItsTopic() {
        coordinator.post("/agents/register", "{\"agent_id\":\"reporter\",\"agent_type\":\"worker\"}");
        assertThat(agent("reporter").has("not_reached")).isTrue();
        await().atMost(LONG).until(() -> {
            coordinator.publish(
                    "tasks.results",
                    "earlier",
                    "{\"task_id\":\"earlier\",\"attempt\":1,\"agent_id\":\"reporter\",\"status\":\"completed\"}");
            return !agent("reporter").has("not_reached");
        });
    }

    /** The copy may have been appended just before the agent changed its registration. */
    @Test
    void aRegistrationRepeatedForARebuildChangesNothing() {
        coordinator.register("copied", 1);
        coordinator
                .part(HeartbeatTopic.class)
                .appendCopy(Registration.of("copied", "earlier-type", List.of(), 9))
                .join();
        // In the same partition, so read after the copy.
        coordinator.publish(
                "agents.heartbeat", "copied", "{\"agent_id\":\"copied\",\"load_metrics\":{\"cpu_usage\":0.25}}");
        await().atMost(LONG)
                .until(() -> agent("copied").at("/load_metrics/cpu_usage").asDouble(0) == 0.25);
        assertThat(agent("copied").get("agent_type").asString()).isEqualTo("worker");
        assertThat(agent("copied").get("capacity").asInt()).isEqualTo(1);
    }

    @Test
    void aMemberOfItsConsumerGroupShowsThatAnAgentReadsItsTopic() {
        coordinator.post(
                "/agents/register",
                "{\"agent_id\":\"reader\",\"agent_type\":\"worker\",\"capabilities\":[\"reading\"]}");
        assertThat(agent("reader").has("not_reached")).isTrue();
        String id = coordinator.submit(requiring("reading"));
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(
                Map.of(
                        ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG,
                        LocalStack.shared().bootstrapServers(),
                        ConsumerConfig.GROUP_ID_CONFIG,
                        coordinator.topics().agentGroup("reader"),
                        ConsumerConfig.AUTO_OFFSET_RESET_CONFIG,
                        "earliest"),
                new StringDeserializer(),
                new StringDeserializer())) {
            consumer.subscribe(List.of(coordinator.topics().assignments("reader")));
            List<ConsumerRecord<String, String>> records = new ArrayList<>();
            await().atMost(LONG).until(() -> {
                consumer.poll(Duration.ofMillis(100)).forEach(records::add);
                return !records.isEmpty();
            });
            assertThat(records.get(0).key()).isEqualTo(id);
        }
        assertThat(agent("reader").has("not_reached")).isFalse();
    }

    /** A 503 is temporary: under load, Redis may not answer in time. */
    private static Answer registerPatiently(String agentId) {
        return await().atMost(LONG)
                .until(
                        () -> coordinator.post(
                                "/agents/register", "{\"agent_id\":\"" + agentId + "\",\"agent_type\":\"crowd\"}"),
                        answer -> answer.code() != 503);
    }

    @Test
    void aStaleAgentLosesItsTasksAndReturns() throws InterruptedException {
        ScheduledExecutorService heartbeats = Executors.newSingleThreadScheduledExecutor();
        try (RunningCoordinator watching = RunningCoordinator.start(
                LocalStack.shared(),
                "stale.",
                14,
                "--aitbc.registry.heartbeat-interval=1s",
                "--aitbc.registry.heartbeat-timeout=3s",
                "--aitbc.settle.retry-backoff=50ms")) {
            String id = watching.submit(requiring("work"));
            watching.register("silent", 1, "work");
            JsonNode first = watching.awaitRecords("assignments.silent", 1).get(0);
            await().atMost(LONG)
                    .until(() -> watching.get("/agents/silent")
                            .body()
                            .at("/agent/status")
                            .asString()
                            .equals("stale"));
            assertThat(watching.get("/agents/silent")
                            .body()
                            .at("/agent/health_score")
                            .asDouble())
                    .isZero();
            watching.register("loud", 1, "work");
            heartbeats.scheduleAtFixedRate(
                    () -> watching.post("/agents/loud/heartbeat", "{}"), 0, 500, TimeUnit.MILLISECONDS);
            JsonNode second = watching.awaitRecords("assignments.loud", 1).get(0);
            assertThat(second.get("assignment_id").asString()).isEqualTo(id + ":2");
            watching.report(first, "completed", null);
            // Counted at least once: a batch of results that is read again counts again.
            await().atMost(LONG)
                    .untilAsserted(() -> assertThat(watching.get("/tasks/status")
                                    .body()
                                    .at("/stats/late_results")
                                    .asLong())
                            .isPositive());
            watching.report(second, "completed", null);
            assertThat(watching.awaitTask(id, "completed").get("agent_id").asString())
                    .isEqualTo("loud");
            heartbeats.shutdown();
            assertThat(heartbeats.awaitTermination(30, TimeUnit.SECONDS)).isTrue();
            watching.send("DELETE", "/agents/loud", null);
            watching.post("/agents/silent/heartbeat", "{}");
            assertThat(watching.get("/agents/silent").body().at("/agent/status").asString())
                    .isEqualTo("active");
            String next = watching.submit(requiring("work"));
            assertThat(watching.awaitRecords("assignments.silent", 2)
                            .get(1)
                            .get("task_id")
                            .asString())
                    .isEqualTo(next);
        } finally {
            heartbeats.shutdownNow();
        }
    }

    /** Heartbeats read again after a crash are ignored once the agent has sent newer ones. */
    @Test
    void repeatedHeartbeatsChangeNothing() throws Exception {
        Registry registry = registry();
        Instant then = Instant.now();
        Registration registration = Registration.of("heard", "worker", List.of(), 3);
        List<Registry.Received> received = List.of(
                new Registry.Received(new Heartbeat("heard", null, null, null, "first", registration), then, true),
                new Registry.Received(
                        new Heartbeat("heard", AgentStatus.INACTIVE, null, null, "first", null),
                        then.plusMillis(1),
                        true),
                new Registry.Received(
                        new Heartbeat("heard", AgentStatus.ACTIVE, null, null, "second", registration),
                        then.plusMillis(2),
                        true));
        registry.recordHeartbeats(received, then.plusMillis(2));
        redis.zrem("agents:gone", "heard");

        assertThat(registry.recordHeartbeats(received, then.plusMillis(2)))
                .doesNotContain(Registry.HeartbeatOutcome.CONTESTED);

        assertThat(agent("heard").get("status").asString()).isEqualTo("active");
        assertThat(agent("heard").get("instance_id").asString()).isEqualTo("second");
        assertThat(redis.zscore("agents:gone", "heard")).isNull();
        // A current request counts even if the clock of the coordinator that recorded the agent's last heartbeat is
        // ahead.
        registry.recordHeartbeat(
                new Heartbeat("heard", AgentStatus.BUSY, null, null, null, null), then.minusSeconds(9));
        assertThat(agent("heard").get("status").asString()).isEqualTo("busy");
        registry.deregister("heard", then.plusMillis(5));
        registry.recordHeartbeats(received, then.plusMillis(6));
        assertThat(agent("heard").get("status").asString()).isEqualTo("inactive");
    }

    @Test
    void withoutAHeartbeatTimeoutNoAgentIsSilent() {
        Registry registry = new Registry(
                new Redis(client, DATABASE),
                catalog(),
                new HealthPolicy(Duration.ofSeconds(30), Duration.ZERO, 0.5, 0.98, 0.98));
        coordinator.register("hermit", 1);

        assertThat(registry.silentAgents(Instant.now().plus(Duration.ofDays(1_000))))
                .isEmpty();
        assertThat(registry().silentAgents(Instant.now().plus(Duration.ofDays(1_000))))
                .contains("hermit");
    }

    /** The agent was lost and has returned before its tasks were requeued: it keeps those it received since. */
    @Test
    void aReturnedAgentKeepsTheTasksItReceivedSince() {
        coordinator.register("back", 2, "back");
        String id = coordinator.submit(requiring("back"));
        coordinator.awaitRecords("assignments.back", 1);
        double before = Instant.now().minusSeconds(60).toEpochMilli();
        redis.zadd("agents:gone", before, "back");
        await().atMost(LONG).until(() -> redis.zscore("agents:gone", "back") == null);
        assertThat(coordinator.get("/tasks/" + id).body().get("status").asString())
                .isEqualTo("assigned");
        redis.zadd("agents:gone", Instant.now().toEpochMilli(), "back");
        assertThat(coordinator
                        .awaitRecords("assignments.back", 2)
                        .get(1)
                        .get("assignment_id")
                        .asString())
                .isEqualTo(id + ":2");
    }

    /** An agent may be given a task after it has said that it leaves, and before that is read. */
    @Test
    void tasksGivenToALeavingAgentAreRequeued() throws InterruptedException {
        coordinator.register("leaving", 1, "leaving");
        Instant said = Instant.now();
        String id = coordinator.submit(requiring("leaving"));
        coordinator.awaitRecords("assignments.leaving", 1);

        registry()
                .recordHeartbeats(
                        List.of(new Registry.Received(
                                new Heartbeat("leaving", AgentStatus.INACTIVE, null, null, null, null), said, true)),
                        said);

        await().atMost(LONG)
                .until(() -> coordinator
                        .get("/tasks/" + id)
                        .body()
                        .get("status")
                        .asString()
                        .equals("queued"));
    }

    /** An agent that fails at once must not count as the fastest. */
    @Test
    void failingCountsAsSlow() {
        coordinator.register("flaky", 1, "flaky");
        coordinator.submit("{\"task_data\":{},\"max_attempts\":1,\"requirements\":{\"capabilities\":[\"flaky\"]}}");
        coordinator.report(coordinator.awaitRecords("assignments.flaky", 1).get(0), "failed", "always");
        assertThat(awaitAgent("flaky", agent -> agent.has("response_seconds"))
                        .get("response_seconds")
                        .asDouble())
                .isGreaterThanOrEqualTo(10);
    }

    @Test
    void aCorruptHashHidesNoOtherAgent() {
        coordinator.register("broken", 1);
        coordinator.register("whole", 1, "whole");
        // Its registration is also published to Kafka; read after the hash is quarantined, it would make the agent
        // known
        // again.
        coordinator.publish(
                "agents.heartbeat", "broken", "{\"agent_id\":\"broken\",\"load_metrics\":{\"cpu_usage\":0.2}}");
        awaitAgent("broken", agent -> agent.at("/load_metrics/cpu_usage").asDouble() == 0.2);
        redis.hset("agent:broken", "capacity", "lots");
        assertThat(coordinator
                        .get("/agents?capability=whole")
                        .body()
                        .get("total")
                        .asInt())
                .isEqualTo(1);
        assertThat(coordinator.get("/agents/broken").code()).isEqualTo(404);
        assertThat(redis.hget("spoilt:agent:broken", "capacity")).isEqualTo("lots");
    }

    /** Heartbeats published while no coordinator ran are read before any agent counts as silent. */
    @Test
    void noAgentIsStaleBeforeAllHeartbeatsAreRead() {
        String heartbeat = "{\"agent_id\":\"patient\",\"load_metrics\":{\"cpu_usage\":0.2}}";
        try (RedisClient other = RedisClient.create(LocalStack.shared().redisUrl() + "/15")) {
            RedisCommands<String, String> store = other.connect().sync();
            try (RunningCoordinator first = RunningCoordinator.start(LocalStack.shared(), "outage.", 15)) {
                first.register("patient", 1);
                first.publish("agents.heartbeat", "patient", heartbeat);
                await().atMost(LONG)
                        .until(() -> first.get("/agents/patient")
                                        .body()
                                        .at("/agent/load_metrics/cpu_usage")
                                        .asDouble()
                                == 0.2);
                first.publish("agents.heartbeat", "patient", heartbeat.replace("0.2", "0.3"));
            }
            store.zadd("agents:heartbeats", 1, "patient");
            store.hset("agent:patient", "heard_ms", "1");
            try (RunningCoordinator second = RunningCoordinator.start(LocalStack.shared(), "outage.", 15)) {
                second.publish("agents.heartbeat", "patient", heartbeat.replace("0.2", "0.4"));
                await().atMost(LONG)
                        .until(() -> second.get("/agents/patient")
                                        .body()
                                        .at("/agent/load_metrics/cpu_usage")
                                        .asDouble()
                                == 0.4);
                assertThat(store.zscore("agents:gone", "patient")).isNull();
            }
        }
    }

    private static Registry registry() {
        return new Registry(
                new Redis(client, DATABASE),
                catalog(),
                new HealthPolicy(Duration.ofSeconds(30), Duration.ofSeconds(300), 0.5, 0.98, 0.98));
    }

    private static TopicCatalog catalog() {
        return new TopicCatalog(
                ADMIN,
                coordinator.topics(),
                new TopicSettings(
                        PREFIX,
                        3,
                        (short) 0,
                        Duration.ofDays(7),
                        Duration.ofDays(7),
                        Duration.ofMinutes(1),
                        Duration.ofDays(1)),
                true);
    }

    private static void heartbeatOfInstance(String agentId, String instance) {
        Answer answer = coordinator.post("/agents/" + agentId + "/heartbeat", "{\"instance_id\":\"" + instance + "\"}");
        assertThat(answer.code()).isEqualTo(200);
    }

    private static void heartbeat(String agentId, String rest) {
        coordinator.publish("agents.heartbeat", agentId, "{\"agent_id\":\"" + agentId + "\"," + rest + "}");
    }

    private static JsonNode agent(String agentId) {
        return coordinator.get("/agents/" + agentId).body().path("agent");
    }

    private static JsonNode awaitAgent(String agentId, Predicate<JsonNode> state) {
        return await().atMost(LONG).until(() -> agent(agentId), state);
    }

    private static long unknownHeartbeats() {
        return coordinator
                .get("/registry/stats")
                .body()
                .at("/stats/unknown_heartbeats")
                .asLong();
    }

    private static Set<String> topics() throws Exception {
        return ADMIN.listTopics().names().get();
    }

    private static String requiring(String capability) {
        return "{\"task_data\":{},\"requirements\":{\"capabilities\":[\"" + capability + "\"]}}";
    }
}
