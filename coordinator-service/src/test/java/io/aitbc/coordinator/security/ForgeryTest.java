package io.aitbc.coordinator.security;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.TaskHeaders;
import io.aitbc.coordinator.RunningCoordinator;
import io.aitbc.localstack.LocalStack;
import io.lettuce.core.RedisClient;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** Agents that may write to the topics of results and heartbeats write there in the names of others. */
class ForgeryTest {
    private static final Duration LONG = Duration.ofSeconds(60);
    private static final int DATABASE = 11;

    private static RunningCoordinator coordinator;

    @BeforeAll
    static void start() {
        coordinator = RunningCoordinator.start(
                LocalStack.shared(),
                "forgery.",
                DATABASE,
                "--aitbc.security=on",
                "--aitbc.admin.key=admin-key-for-tests-of-32-characters-or-more",
                "--aitbc.settle.retry-backoff=10ms");
    }

    @AfterAll
    static void stop() {
        coordinator.close();
    }

    private static JsonNode createKey(String agentId) {
        return coordinator
                .post("/keys", "{\"name\":\"" + agentId + "\",\"role\":\"agent\",\"agent_id\":\"" + agentId + "\"}")
                .body();
    }

    private static String key(String agentId) {
        return createKey(agentId).get("api_key").asString();
    }

    private static String submitTo(String agentId) {
        return coordinator.submit(
                "{\"task_data\":{},\"requirements\":{\"agent_id\":\"" + agentId + "\"},\"max_attempts\":1}");
    }

    private static double metric(String name) {
        return coordinator
                .text("/metrics")
                .lines()
                .filter(line -> line.startsWith(name + " ") || line.startsWith(name + "{"))
                .mapToDouble(line -> Double.parseDouble(line.substring(line.lastIndexOf(' ') + 1)))
                .sum();
    }

    private static JsonNode agent(String agentId) {
        return coordinator.get("/agents/" + agentId).body().path("agent");
    }

    /** @param key null for no header */
    private static void beat(String agentId, @Nullable String key, String more) {
        ProducerRecord<String, String> record = new ProducerRecord<>(
                coordinator.topics().heartbeats(), agentId, "{\"agent_id\":\"" + agentId + "\"" + more + "}");
        if (key != null) {
            record.headers().add(TaskHeaders.API_KEY, key.getBytes(StandardCharsets.UTF_8));
        }
        coordinator.send(record);
    }

    private static String registration(String agentId, int capacity) {
        return ",\"registration\":{\"agent_id\":\"" + agentId + "\",\"agent_type\":\"worker\",\"capacity\":" + capacity
                + "}";
    }

    @Test
    void aResultCountsWithTheSignatureOfItsAssignmentOnly() {
        coordinator.register("owner", 5);
        coordinator.register("other", 5);
        String task = submitTo("owner");
        String another = submitTo("other");
        JsonNode assignment = coordinator.awaitRecords("assignments.owner", 1).get(0);
        JsonNode ofOther = coordinator.awaitRecords("assignments.other", 1).get(0);
        double before = metric("coordinator_dead_letters_total{reason=\"forged\"}");

        // Without, with a made up one, with one that it was given itself for another task, and in its own name.
        List<ObjectNode> forged = List.of(
                RunningCoordinator.result(assignment, "completed").without("signature"),
                RunningCoordinator.result(assignment, "completed").put("signature", "AAAA"),
                RunningCoordinator.result(assignment, "failed")
                        .put("signature", ofOther.get("signature").asString()),
                RunningCoordinator.result(assignment, "progress").without("signature"),
                RunningCoordinator.result(assignment, "completed").put("agent_id", "other"));
        forged.forEach(coordinator::report);

        await().atMost(LONG)
                .until(() -> metric("coordinator_dead_letters_total{reason=\"forged\"}") == before + forged.size());
        assertThat(coordinator.get("/tasks/" + task).body().get("status").asString())
                .isEqualTo("assigned");
        assertThat(coordinator.get("/tasks/" + task).body().has("progress_at")).isFalse();
        assertThat(coordinator
                        .get("/tasks/dead-letter")
                        .body()
                        .get("dead_letters")
                        .valueStream()
                        .filter(letter -> letter.get("reason").asString().equals("forged"))
                        .map(letter -> letter.get("detail").asString()))
                .contains(
                        "signature is required: repeat that of the assignment",
                        "the signature is not that of this assignment to agent other");
        coordinator.report(assignment, "completed", null);
        coordinator.awaitTask(task, "completed");
        coordinator.report(ofOther, "completed", null);
        coordinator.awaitTask(another, "completed");
    }

    /** It was refused once, and a search for ended attempts must not find it later. */
    @Test
    void aForgedResultDoesNotCountAfterRedisWasEmptiedEither() {
        coordinator.register("robbed", 5);
        String task = submitTo("robbed");
        JsonNode assignment = coordinator.awaitRecords("assignments.robbed", 1).get(0);
        double before = metric("coordinator_dead_letters_total{reason=\"forged\"}");
        coordinator.report(RunningCoordinator.result(assignment, "completed").without("signature"));
        await().atMost(LONG).until(() -> metric("coordinator_dead_letters_total{reason=\"forged\"}") > before);

        try (RedisClient client = RedisClient.create(LocalStack.shared().redisUrl() + "/" + DATABASE)) {
            client.connect().sync().flushdb();
        }

        assertThat(coordinator.awaitTask(task, "assigned").get("attempt").asInt())
                .isEqualTo(1);
        coordinator.report(assignment, "completed", null);
        coordinator.awaitTask(task, "completed");
    }

    @Test
    void aHeartbeatCountsWithTheKeyOfItsAgentOnly() {
        String own = key("beating");
        String foreign = key("beating-other");
        String prefix = key("beat*");
        double before = metric("coordinator_heartbeats_refused_total");

        beat("beating", null, registration("beating", 3));
        beat("beating", foreign, registration("beating", 4));
        beat("beating", "aitbc_unknown", registration("beating", 5));

        await().atMost(LONG).until(() -> metric("coordinator_heartbeats_refused_total") == before + 3);
        assertThat(coordinator.get("/agents/beating").code()).isEqualTo(404);
        beat("beating", own, registration("beating", 6));
        await().atMost(LONG).until(() -> agent("beating").path("capacity").asInt(0) == 6);
        beat("beating", prefix, registration("beating", 7));
        await().atMost(LONG).until(() -> agent("beating").path("capacity").asInt(0) == 7);
        beat("beating", foreign, ",\"status\":\"inactive\"");
        await().atMost(LONG).until(() -> metric("coordinator_heartbeats_refused_total") == before + 4);
        assertThat(agent("beating").get("status").asString()).isEqualTo("active");
    }

    /** Coordinators mark what they write for agents; the mark alone proves nothing. */
    @ParameterizedTest
    @ValueSource(strings = {"coordinator", "coordinator-copy"})
    void theMarkOfACoordinatorDoesNotReplaceAKey(String mark) {
        double before = metric("coordinator_heartbeats_refused_total");
        ProducerRecord<String, String> record = new ProducerRecord<>(
                coordinator.topics().heartbeats(),
                "marked",
                "{\"agent_id\":\"marked\"" + registration("marked", 1) + "}");
        record.headers().add(TaskHeaders.RECORDED_BY, mark.getBytes(StandardCharsets.UTF_8));
        record.headers().add(TaskHeaders.SIGNATURE, "AAAA".getBytes(StandardCharsets.UTF_8));

        coordinator.send(record);
        // In the same partition, and refused whatever it is marked as: then the one before it has been read.
        coordinator.send(new ProducerRecord<>(
                coordinator.topics().heartbeats(),
                "marked",
                "{\"agent_id\":\"marked\"" + registration("marked", 1) + "}"));

        double refused = mark.equals("coordinator") ? 2 : 1;
        await().atMost(LONG).until(() -> metric("coordinator_heartbeats_refused_total") == before + refused);
        assertThat(coordinator.get("/agents/marked").code()).isEqualTo(404);
    }

    @Test
    void aRevokedKeyIsRefused() {
        JsonNode created = createKey("revoked");
        String key = created.get("api_key").asString();
        beat("revoked", key, registration("revoked", 1));
        await().atMost(LONG).until(() -> agent("revoked").isObject());

        coordinator.send("DELETE", "/keys/" + created.at("/key/key_id").asString(), null);
        double before = metric("coordinator_heartbeats_refused_total");
        beat("revoked", key, registration("revoked", 2));

        await().atMost(LONG).until(() -> metric("coordinator_heartbeats_refused_total") == before + 1);
        assertThat(agent("revoked").get("capacity").asInt()).isEqualTo(1);
    }

    /** Registrations over REST are written to the topic by the coordinator, with its signature. */
    @Test
    void theRebuildTakesSignedRegistrationsAndNoForgedOnes() {
        coordinator.post(
                "/agents/register", "{\"agent_id\":\"over-rest\",\"agent_type\":\"worker\",\"delivery\":\"pull\"}");
        double before = metric("coordinator_heartbeats_refused_total");
        beat("ghost", null, registration("ghost", 1));
        await().atMost(LONG).until(() -> metric("coordinator_heartbeats_refused_total") == before + 1);

        try (RedisClient client = RedisClient.create(LocalStack.shared().redisUrl() + "/" + DATABASE)) {
            client.connect().sync().flushdb();
        }

        await().atMost(LONG).until(() -> coordinator.get("/agents/over-rest").code() == 200);
        await().atMost(LONG).until(() -> coordinator.get("/agents/ghost").code() == 404);
    }

    /** The key is a secret: what becomes of a heartbeat does not contain it. */
    @Test
    void theKeyIsNotCopied() {
        String key = key("malformed");
        ProducerRecord<String, String> record =
                new ProducerRecord<>(coordinator.topics().heartbeats(), "malformed", "no heartbeat");
        record.headers().add(TaskHeaders.API_KEY, key.getBytes(StandardCharsets.UTF_8));

        coordinator.send(record);

        await().atMost(LONG)
                .untilAsserted(() -> assertThat(coordinator.awaitRaw("tasks.dead-letter", 1))
                        .filteredOn(letter -> "malformed".equals(letter.key()))
                        .isNotEmpty()
                        .allSatisfy(letter -> assertThat(
                                        List.of(letter.headers().toArray()))
                                .noneMatch(
                                        header -> new String(header.value(), StandardCharsets.UTF_8).contains(key))));
        assertThat(Json.text(coordinator.get("/tasks/dead-letter").body())).doesNotContain(key);
    }
}
