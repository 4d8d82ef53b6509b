package io.aitbc.coordinator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.localstack.LocalPostgres;
import io.aitbc.localstack.LocalStack;
import io.lettuce.core.RedisClient;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;

/** Search over REST, with a real PostgreSQL. */
class HistoryTest {
    private static final int DATABASE = 12;
    private static final String PREFIX = "history.";
    private static final Duration LONG = Duration.ofSeconds(30);

    @TempDir
    private static Path folder;

    private static final int PORT = LocalStack.freePort();
    private static LocalPostgres postgres;
    private static RunningCoordinator coordinator;

    @BeforeAll
    static void start() {
        postgres = LocalPostgres.start(folder, PORT);
        coordinator = RunningCoordinator.start(
                LocalStack.shared(),
                PREFIX,
                DATABASE,
                "--aitbc.settle.retry-backoff=10ms",
                "--aitbc.history.url=" + postgres.url());
    }

    @AfterAll
    static void end() {
        coordinator.close();
        postgres.close();
    }

    private static List<String> search(String query) {
        RunningCoordinator.Answer answer = coordinator.get("/tasks?" + query);
        assertThat(answer.code()).as(answer.body().toString()).isEqualTo(200);
        return answer.body()
                .get("tasks")
                .valueStream()
                .map(task -> task.get("task_id").asString())
                .toList();
    }

    private static void awaitFound(String query, String... ids) {
        await().atMost(LONG).untilAsserted(() -> assertThat(search(query)).containsExactlyInAnyOrder(ids));
    }

    @Test
    void whatFailedOnAnAgentAndWhy() {
        coordinator.register("night-1", 1, "night");
        String id = coordinator.submit(
                "{\"task_data\":{\"task_type\":\"resize\",\"x\":1},\"max_attempts\":2,\"labels\":{\"team\":\"search\"},"
                        + "\"requirements\":{\"capabilities\":[\"night\"]}}");
        coordinator.report(coordinator.awaitRecords("assignments.night-1", 1).get(0), "failed", "disk full");
        coordinator.report(coordinator.awaitRecords("assignments.night-1", 2).get(1), "failed", "disk still full");
        coordinator.awaitTask(id, "failed");

        awaitFound("status=failed&agent_id=night-1&error=disk", id);
        assertThat(search("status=failed&agent_id=night-1&error=memory")).isEmpty();
        assertThat(search("label.team=search&task_type=resize&capability=night&status=failed,expired"))
                .containsExactly(id);
        assertThat(search("label.team=other")).isEmpty();
        assertThat(search("id=" + id.substring(0, 20))).contains(id);
        assertThat(search("agent_id=night-1&submitted_after=" + Instant.now().minusSeconds(600) + "&finished_before="
                        + Instant.now().plusSeconds(60)))
                .containsExactly(id);

        JsonNode task = coordinator.get("/tasks/" + id).body();
        assertThat(task.at("/task_data/x").asInt()).isEqualTo(1);
        assertThat(task.get("attempts")
                        .valueStream()
                        .map(attempt -> attempt.get("error").asString()))
                .containsExactly("disk full", "disk still full");
        assertThat(task.at("/attempts/0/agent_id").asString()).isEqualTo("night-1");
        assertThat(task.at("/attempts/1/outcome").asString()).isEqualTo("failed");
    }

    @Test
    void pagesFollowEachOther() {
        coordinator.register("paged", 100, "paged");
        for (int i = 0; i < 5; i++) {
            coordinator.submit("{\"task_id\":\"paged-" + i
                    + "\",\"task_data\":{},\"requirements\":{\"capabilities\":[\"paged\"]}}");
        }
        awaitFound("id=paged-", "paged-0", "paged-1", "paged-2", "paged-3", "paged-4");

        JsonNode first =
                coordinator.get("/tasks?id=paged-&limit=3&sort=submitted_at").body();
        assertThat(first.get("count").asInt()).isEqualTo(5);
        assertThat(first.get("count_exact").asBoolean()).isTrue();
        assertThat(first.get("live").asBoolean()).isTrue();
        JsonNode second = coordinator
                .get("/tasks?id=paged-&limit=3&sort=submitted_at&cursor="
                        + first.get("next_cursor").asString())
                .body();
        assertThat(second.get("tasks")
                        .valueStream()
                        .map(task -> task.get("task_id").asString()))
                .containsExactly("paged-3", "paged-4");
        assertThat(second.has("next_cursor")).isFalse();
    }

    /** Also when Redis has forgotten it. */
    @Test
    void aTaskIsFoundAfterRedisHasForgottenIt() {
        coordinator.register("forgotten", 1, "forgotten");
        String id = coordinator.submit("{\"task_data\":{\"x\":2},\"requirements\":{\"capabilities\":[\"forgotten\"]}}");
        coordinator.report(coordinator.awaitRecords("assignments.forgotten", 1).get(0), "completed", null);
        coordinator.awaitTask(id, "completed");
        awaitFound("id=" + id + "&status=completed", id);
        try (RedisClient client = RedisClient.create(LocalStack.shared().redisUrl() + "/" + DATABASE)) {
            client.connect().sync().del("task:" + id);
        }

        JsonNode task = coordinator.get("/tasks/" + id).body();

        assertThat(task.get("status").asString()).isEqualTo("completed");
        assertThat(task.at("/result/done").asBoolean()).isTrue();
        assertThat(task.at("/task_data/x").asInt()).isEqualTo(2);
        assertThat(coordinator.get("/tasks/" + id + "-unknown").code()).isEqualTo(404);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "stauts=failed | unknown parameter stauts",
                "status=broken | status must be one of queued, assigned, completed, failed, cancelled, expired",
                "submitted_after=yesterday | submitted_after must be a time such as 2026-01-31T12:00:00Z",
                "min_duration=long | min_duration must be a duration such as 90s or 5m",
                "sort=priority | sort must be submitted_at, -submitted_at, finished_at or -finished_at",
                "cursor=x | cursor must be that of an earlier page",
                "limit=0 | limit must be greater than or equal to 1",
                "agent_id=a&agent_id=b | agent_id must be given once",
            })
    void aBadQueryIsRefusedWithASentence(String query, String detail) {
        RunningCoordinator.Answer answer = coordinator.get("/tasks?" + query);

        assertThat(answer.code()).isEqualTo(422);
        assertThat(answer.detail()).isEqualTo(detail);
    }

    private static List<String> assigned(String agent, int count) {
        return coordinator.awaitRecords("assignments." + agent, count).stream()
                .map(one -> one.get("task_id").asString())
                .toList();
    }

    private static JsonNode awaitDone(String bulkId) {
        await().atMost(LONG)
                .until(() -> coordinator
                        .get("/tasks/bulk/" + bulkId)
                        .body()
                        .get("state")
                        .asString()
                        .equals("done"));
        return coordinator.get("/tasks/bulk/" + bulkId).body();
    }

    @Test
    void waitingAndRunningTasksAreSampled() {
        coordinator.register("sampled", 1, "sampled");
        for (int i = 0; i < 3; i++) {
            coordinator.submit("{\"task_data\":{},\"requirements\":{\"capabilities\":[\"sampled\"]}}");
        }

        await().atMost(LONG)
                .until(() -> coordinator
                        .get("/stats/tasks?last=15m")
                        .body()
                        .get("steps")
                        .valueStream()
                        .anyMatch(step -> step.path("waiting").asDouble(0) >= 2
                                && step.path("running").asDouble(0) >= 1));
    }

    @Test
    void progressReportsAreCounted() {
        coordinator.register("progressing", 1, "progressing");
        String id = coordinator.submit(
                "{\"task_data\":{},\"max_attempts\":3,\"requirements\":{\"capabilities\":[\"progressing\"]}}");
        int[] reports = {2, 0, 1};
        for (int attempt = 1; attempt <= 3; attempt++) {
            JsonNode assignment =
                    coordinator.awaitRecords("assignments.progressing", attempt).get(attempt - 1);
            for (int i = 0; i < reports[attempt - 1]; i++) {
                coordinator.report(assignment, "progress", null);
            }
            int expected = reports[attempt - 1];
            await().atMost(LONG)
                    .until(() -> coordinator
                                    .get("/tasks/" + id)
                                    .body()
                                    .path("progress_reports")
                                    .asInt(0)
                            == expected);
            coordinator.report(assignment, attempt < 3 ? "failed" : "completed", attempt < 3 ? "no luck" : null);
        }
        coordinator.awaitTask(id, "completed");

        await().atMost(LONG).untilAsserted(() -> {
            JsonNode attempts = coordinator.get("/tasks/" + id).body().path("attempts");
            assertThat(attempts).hasSize(3);
            assertThat(attempts.get(0).path("progress_reports").asInt(0)).isEqualTo(2);
            assertThat(attempts.get(1).has("progress_reports")).isFalse();
            assertThat(attempts.get(2).path("progress_reports").asInt(0)).isEqualTo(1);
        });
    }

    @Test
    void allFailedTasksOfASearchAreRedriven() {
        coordinator.register("lossy", 100, "lossy");
        for (int i = 0; i < 6; i++) {
            coordinator.submit("{\"task_id\":\"lossy-" + i + "\",\"task_data\":{\"task_type\":\"" + (i < 4 ? "a" : "b")
                    + "\"},\"max_attempts\":1,\"requirements\":{\"capabilities\":[\"lossy\"]}}");
        }
        coordinator.awaitRecords("assignments.lossy", 6).forEach(one -> coordinator.report(one, "failed", "lost it"));
        awaitFound("status=failed&id=lossy-", "lossy-0", "lossy-1", "lossy-2", "lossy-3", "lossy-4", "lossy-5");
        String filter = "\"filter\":{\"error\":\"lost\",\"id\":\"lossy-\",\"task_type\":\"a\"}";

        JsonNode preview = coordinator
                .post("/tasks/bulk/redrive", "{\"dry_run\":true," + filter + "}")
                .body();
        assertThat(preview.get("message").asString()).isEqualTo("4 tasks would be redriven");
        assertThat(preview.get("examples")).hasSize(4);
        assertThat(preview.has("bulk_id")).isFalse();

        String request = "{\"bulk_id\":\"lossy\"," + filter + ",\"rate\":100}";
        assertThat(coordinator.post("/tasks/bulk/redrive", request).code()).isEqualTo(200);
        JsonNode done = awaitDone("lossy");
        assertThat(done.get("count").asInt()).isEqualTo(4);
        assertThat(done.get("done").asInt()).isEqualTo(4);
        assertThat(assigned("lossy", 10).subList(6, 10))
                .containsExactlyInAnyOrder("lossy-0", "lossy-1", "lossy-2", "lossy-3");

        // They fail again, and a repeated request does nothing.
        coordinator
                .awaitRecords("assignments.lossy", 10)
                .subList(6, 10)
                .forEach(one -> coordinator.report(one, "failed", "lost it"));
        awaitFound("status=failed&id=lossy-&task_type=a", "lossy-0", "lossy-1", "lossy-2", "lossy-3");
        assertThat(coordinator
                        .post("/tasks/bulk/redrive", request)
                        .body()
                        .get("done")
                        .asInt())
                .isEqualTo(4);
        RunningCoordinator.Answer other =
                coordinator.post("/tasks/bulk/redrive", "{\"bulk_id\":\"lossy\",\"filter\":{\"id\":\"other\"}}");
        assertThat(other.code()).isEqualTo(409);
        assertThat(other.detail()).isEqualTo("bulk_id lossy is that of another operation");
    }

    @Test
    void allOpenTasksOfASearchAreCancelled() {
        coordinator.register("slow", 2, "slow");
        for (int i = 0; i < 5; i++) {
            coordinator.submit("{\"task_id\":\"slow-" + i
                    + "\",\"task_data\":{},\"labels\":{\"run\":\"7\"},\"requirements\":{\"capabilities\":[\"slow\"]}}");
        }
        coordinator.report(coordinator.awaitRecords("assignments.slow", 2).get(0), "completed", null);
        await().atMost(LONG)
                .until(() -> search("label.run=7&status=queued,assigned").size() == 4);

        coordinator.post(
                "/tasks/bulk/cancel",
                "{\"bulk_id\":\"slow\",\"filter\":{\"label.run\":\"7\",\"status\":[\"queued\",\"assigned\"]}}");

        assertThat(awaitDone("slow").get("done").asInt()).isEqualTo(4);
        await().atMost(LONG).until(() -> search("label.run=7&status=cancelled").size() == 4);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "cancel | {} | filter is required",
                "cancel | {'filter':{}} | filter must have a condition; a whole queue is cleared with POST /tasks/queues/{priority}/clear",
                "cancel | {'filter':{'status':'failed'}} | only queued and assigned tasks can be cancelled",
                "redrive | {'filter':{'status':'completed'}} | only failed tasks can be redriven",
                "redrive | {'filter':{'stauts':'x'}} | unknown parameter stauts",
                "redrive | {'filter':{'id':1}} | filter.id must be a text, or a list of texts",
                "redrive | {'filter':{'id':'x'},'rate':0} | rate must be from 1 to 2000",
                "redrive | {'filter':{'id':'x'},'bulk_id':'a b'} | bulk_id must be 1 to 200 characters of A-Z a-z 0-9 . _ - and neither . nor ..",
                "redrive | {'filter':{'id':'x'},'dryrun':true} | unknown field dryrun",
            })
    void aBadBulkRequestIsRefusedWithASentence(String kind, String body, String detail) {
        RunningCoordinator.Answer answer = coordinator.post("/tasks/bulk/" + kind, body.replace('\'', '"'));

        assertThat(answer.code()).isEqualTo(422);
        assertThat(answer.detail()).isEqualTo(detail);
    }

    @Test
    void aBulkOperationIsStopped() {
        for (int i = 0; i < 20; i++) {
            coordinator.submit("{\"task_id\":\"many-" + i
                    + "\",\"task_data\":{},\"requirements\":{\"capabilities\":[\"nobody-has\"]}}");
        }
        await().atMost(LONG).until(() -> search("id=many-").size() == 20);
        coordinator.post("/tasks/bulk/cancel", "{\"bulk_id\":\"long\",\"rate\":1,\"filter\":{\"id\":\"many-\"}}");
        // It does not hold back another one.
        coordinator.post("/tasks/bulk/cancel", "{\"bulk_id\":\"short\",\"filter\":{\"id\":\"many-19\"}}");
        awaitDone("short");

        assertThat(coordinator
                        .post("/tasks/bulk/long/stop", "")
                        .body()
                        .get("state")
                        .asString())
                .isEqualTo("stopped");

        assertThat(coordinator.get("/tasks/bulk/long").body().get("done").asInt())
                .isLessThan(20);
        assertThat(search("id=many-&status=queued")).isNotEmpty();
    }

    @Test
    void aTaskIsRetriedWithOtherInput() {
        coordinator.register("again", 1, "again");
        String id = coordinator.submit(
                "{\"task_data\":{\"x\":1},\"max_attempts\":1,\"priority\":\"high\",\"labels\":{\"team\":\"a\"},"
                        + "\"requirements\":{\"capabilities\":[\"again\"]}}");
        coordinator.report(coordinator.awaitRecords("assignments.again", 1).get(0), "failed", "x is 1");
        coordinator.awaitTask(id, "failed");
        awaitFound("status=failed&id=" + id, id);

        JsonNode retried = coordinator
                .post("/tasks/" + id + "/retry", "{\"task_data\":{\"x\":2}}")
                .body();

        JsonNode assignment = coordinator.awaitRecords("assignments.again", 2).get(1);
        assertThat(assignment.get("task_id").asString())
                .isEqualTo(retried.get("task_id").asString())
                .isNotEqualTo(id);
        assertThat(assignment.at("/task_data/x").asInt()).isEqualTo(2);
        assertThat(assignment.get("priority").asString()).isEqualTo("high");
        assertThat(assignment.at("/labels/team").asString()).isEqualTo("a");
        assertThat(assignment.get("max_attempts").asInt()).isEqualTo(1);
        RunningCoordinator.Answer open =
                coordinator.post("/tasks/" + retried.get("task_id").asString() + "/retry", "");
        assertThat(open.code()).isIn(404, 409);
        await().atMost(LONG)
                .until(() -> coordinator
                        .get("/tasks/" + retried.get("task_id").asString())
                        .body()
                        .path("retry_of")
                        .asString("")
                        .equals(id));
        assertThat(coordinator.post("/tasks/never-was/retry", "").code()).isEqualTo(404);
    }

    /** Its tables were emptied, or it was restored from a backup. */
    @Test
    void whatIsMissingIsAddedByARebuild() throws SQLException {
        coordinator.register("rebuilt", 1, "rebuilt");
        String id = coordinator.submit("{\"task_data\":{\"x\":4},\"requirements\":{\"capabilities\":[\"rebuilt\"]}}");
        coordinator.report(coordinator.awaitRecords("assignments.rebuilt", 1).get(0), "completed", null);
        awaitFound("status=completed&id=" + id, id);
        try (Connection connection = DriverManager.getConnection("jdbc:" + postgres.url());
                Statement sql = connection.createStatement()) {
            sql.execute("DELETE FROM tasks WHERE task_id = '" + id + "'");
        }
        assertThat(search("id=" + id)).isEmpty();

        assertThat(coordinator.post("/history/rebuild", "").code()).isEqualTo(200);

        awaitFound("status=completed&id=" + id, id);
    }

    /** As after a restore from a backup: the coordinator believes that the day has a partition. */
    @Test
    void aDayThatIsGoneIsAddedAgain() throws SQLException {
        coordinator.register("gone", 2, "gone");
        String before = coordinator.submit("{\"task_data\":{},\"requirements\":{\"capabilities\":[\"gone\"]}}");
        awaitFound("id=" + before, before);
        try (Connection connection = DriverManager.getConnection("jdbc:" + postgres.url());
                Statement sql = connection.createStatement()) {
            sql.execute("SELECT drop_history_days(current_date + 2)");
        }

        String after = coordinator.submit("{\"task_data\":{},\"requirements\":{\"capabilities\":[\"gone\"]}}");

        awaitFound("id=" + after, after);
        assertThat(coordinator.text("/metrics")).contains("coordinator_history_lost_total 0.0");
    }

    /** Nothing but search needs the database. */
    @Test
    void withoutItsDatabaseEverythingElseWorks() {
        coordinator.register("alone", 10, "alone");
        postgres.close();
        try {
            String id = coordinator.submit("{\"task_data\":{\"x\":3},\"requirements\":{\"capabilities\":[\"alone\"]}}");
            coordinator.report(coordinator.awaitRecords("assignments.alone", 1).get(0), "completed", null);
            coordinator.awaitTask(id, "completed");
            await().atMost(LONG).untilAsserted(() -> {
                JsonNode health = coordinator.get("/health").body();
                assertThat(health.get("status").asString()).isEqualTo("healthy");
                assertThat(health.at("/history/state").asString()).isEqualTo("down");
                assertThat(health.at("/history/detail").asString()).startsWith("events are not written: ");
            });
            RunningCoordinator.Answer answer = coordinator.get("/tasks?status=failed");
            assertThat(answer.code()).isEqualTo(503);
            assertThat(answer.detail()).startsWith("the history of tasks is not available: ");
            assertThat(coordinator.get("/tasks/" + id).body().get("status").asString())
                    .isEqualTo("completed");

            postgres = LocalPostgres.start(folder, PORT);

            awaitFound("id=" + id + "&status=completed", id);
            await().atMost(LONG)
                    .until(() -> coordinator
                            .get("/health")
                            .body()
                            .at("/history/state")
                            .asString()
                            .equals("up"));
        } finally {
            if (coordinator
                    .get("/health")
                    .body()
                    .at("/history/state")
                    .asString()
                    .equals("down")) {
                postgres = LocalPostgres.start(folder, PORT);
            }
        }
    }
}
