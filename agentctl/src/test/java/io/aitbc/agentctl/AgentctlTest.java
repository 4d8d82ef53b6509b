package io.aitbc.agentctl;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.sun.net.httpserver.HttpServer;
import io.aitbc.contracts.Json;
import io.aitbc.localstack.LocalStack;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringReader;
import java.io.StringWriter;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.security.crypto.bcrypt.BCryptPasswordEncoder;
import tools.jackson.databind.JsonNode;

/** Runs each command as an operator would, against a real coordinator, broker and Redis. */
class AgentctlTest {
    private static final Duration LONG = Duration.ofSeconds(90);
    private static final String ECHO = "{\"task_type\": \"echo\", \"x\": 1}";
    private static final String HOLD = "{\"task_type\": \"hold\"}";
    private static final String FAIL = "{\"task_type\": \"fail\"}";

    private static LiveCluster cluster;

    @TempDir
    Path folder;

    @TempDir
    static Path shared;

    private static Path adminKeyFile;

    @BeforeAll
    static void start() throws IOException {
        cluster = new LiveCluster(shared.resolve("postgres"));
        adminKeyFile = Files.writeString(shared.resolve("admin-key"), LiveCluster.ADMIN_KEY + "\n");
    }

    @AfterAll
    static void end() {
        cluster.close();
    }

    @Test
    void aQueueIsPausedShownClearedAndResumed() {
        assertThat(run("queues", "pause", "low").said()).isEqualTo("The low queue is paused");
        submit("low-1", ECHO, "--priority", "low");
        submit("low-2", ECHO, "--priority", "LOW");
        await().atMost(LONG).until(() -> row(run("queues"), "low").matches("low 2 \\d+s \\d+\\.\\d 0\\.0 paused"));
        assertThat(run("queues").out().lines().findFirst())
                .hasValueSatisfying(
                        header -> assertThat(words(header)).isEqualTo("QUEUE WAITING OLDEST IN/S OUT/S STATE"));
        assertThat(row(run("queues"), "critical")).isEqualTo("critical 0 - 0.0 0.0 open");
        JsonNode low = run("queues", "--output", "json").json().at("/queues/low");
        assertThat(low.get("size").asInt()).isEqualTo(2);
        assertThat(low.get("paused").asBoolean()).isTrue();

        Said unasked = run("queues", "clear", "low");
        assertThat(unasked.code()).isEqualTo(2);
        assertThat(unasked.err().lines().findFirst())
                .hasValue(
                        "Cannot ask for confirmation to cancel 2 tasks in the low queue without a terminal: use --yes.");
        Said declined = answering("\n", "queues", "clear", "low");
        assertThat(declined.code()).isEqualTo(1);
        assertThat(declined.err()).isEqualTo("Cancel 2 tasks in the low queue? [y/N] Nothing was cancelled.\n");
        assertThat(answering("yes\n", "queues", "clear", "low").said()).isEqualTo("Cleared 2 tasks from the low queue");
        assertThat(run("queues", "clear", "low", "--yes").said()).isEqualTo("Cleared 0 tasks from the low queue");
        JsonNode resumed = run("queues", "resume", "low", "--output", "json").json();
        assertThat(resumed.get("paused").asBoolean()).isFalse();
    }

    @Test
    void agentsAreShownFilteredAndSorted() {
        Said all = run("agents");
        assertThat(all.code()).isZero();
        assertThat(all.out().lines())
                .hasSize(3)
                .element(0)
                .isEqualTo("AGENT  TYPE      STATUS       HEALTH   LOAD  REGION   HEARTBEAT");
        assertThat(row(all, "ada")).matches("ada provider maintenance 0\\.80 0/4 eu-west (\\d+m )?\\d+s ago");
        assertThat(row(all, "grace")).matches("grace worker active [01]\\.\\d\\d 0/200 - (\\d+m )?\\d+s ago");
        assertThat(run("agents", "--sort", "type").out().lines().skip(1).map(line -> line.split(" ")[0]))
                .containsExactly("ada", "grace");
        assertThat(run("agents", "--status", "ACTIVE").out().lines()).hasSize(2);
        assertThat(run("agents", "--status", "busy").out().lines()).hasSize(1);
        JsonNode json = run("agents", "--sort", "region", "--output", "json").json();
        assertThat(json.get("agents")
                        .valueStream()
                        .map(agent -> agent.get("agent_id").asString()))
                .containsExactly("grace", "ada");
        assertThat(json.get("total").asInt()).isEqualTo(2);
    }

    @Test
    void oneAgentIsShownWithWhatItHolds() {
        run("drain", "ada", "--undo");
        submit("held-by-ada", "{}", "--agent", "ada");
        awaitStatus("held-by-ada", "assigned");
        Said one = run("agents", "ada");
        assertThat(one.code()).isZero();
        assertThat(one.out().lines()).contains("load          1/4", "capabilities  analysis", "region        eu-west");
        assertThat(row(one, "held-by-ada")).matches("held-by-ada 1 \\d+s ago in 9m \\d+s");
        JsonNode json = run("agents", "ada", "--output", "json").json();
        assertThat(json.at("/agent/inflight").asInt()).isEqualTo(1);
        assertThat(json.at("/assignments/0/task_id").asString()).isEqualTo("held-by-ada");
        assertThat(run("tasks", "cancel", "held-by-ada").said())
                .isEqualTo("Task cancelled, agent ada is being notified");
        assertThat(run("drain", "ada").said()).isEqualTo("Agent ada accepts no new tasks and holds none.");
    }

    @Test
    void tasksAreListedByWhatTheyAre() {
        submit("listed-1", FAIL, "--max-attempts", "1");
        submit("listed-2", ECHO, "--label", "team=search");
        awaitStatus("listed-1", "failed");
        awaitStatus("listed-2", "completed");
        await().atMost(LONG)
                .until(() -> run("tasks", "list", "--where", "id=listed-").out().contains("2 tasks"));

        Said failed = run(
                "tasks", "list", "--where", "status=failed", "--where", "id=listed-", "--where", "submitted_after=1h");
        assertThat(failed.code()).isZero();
        assertThat(words(failed.out().lines().findFirst().orElseThrow()))
                .isEqualTo("TASK STATUS ATTEMPT AGENT TYPE SUBMITTED TOOK ERROR");
        assertThat(row(failed, "listed-1")).matches("listed-1 failed 1 grace fail (\\d+m )?\\d+s ago \\d+\\.\\d s .+");
        assertThat(failed.out()).endsWith("\n1 task\n");
        assertThat(run("tasks", "list", "--where", "label.team=search", "--output", "json")
                        .json()
                        .at("/tasks/0/task_id")
                        .asString())
                .isEqualTo("listed-2");
        Said first = run("tasks", "list", "--where", "id=listed-", "--sort", "submitted_at", "--limit", "1");
        String cursor = first.out().strip().replaceFirst("(?s).*--cursor ", "");
        assertThat(run(
                                "tasks",
                                "list",
                                "--where",
                                "id=listed-",
                                "--sort",
                                "submitted_at",
                                "--limit",
                                "1",
                                "--cursor",
                                cursor)
                        .out())
                .contains("listed-2");

        assertThat(run("history", "rebuild").said()).isEqualTo("The history is being rebuilt from tasks.events");
        Said attempts = run("tasks", "get", "listed-1");
        assertThat(row(attempts, "1")).matches("1 grace failed (\\d+m )?\\d+s ago \\d+\\.\\d s .+");
        Said wrong = run("tasks", "list", "--where", "stauts=failed");
        assertThat(wrong.code()).isEqualTo(1);
        assertThat(wrong.err()).isEqualTo("unknown parameter stauts\n");
        assertThat(run("tasks", "list", "--where", "failed").err())
                .startsWith("\"failed\" is not a condition such as status=failed");
    }

    @Test
    void tasksAreRedrivenAndCancelledByWhatTheyAre() {
        for (int i = 0; i < 3; i++) {
            submit("bulk-" + i, FAIL, "--max-attempts", "1");
            awaitStatus("bulk-" + i, "failed");
        }
        String[] failed = {"--where", "id=bulk-", "--where", "status=failed"};
        await().atMost(LONG)
                .until(() -> run("tasks", "list", "--where", "id=bulk-", "--where", "status=failed")
                        .out()
                        .contains("3 tasks"));

        Said unasked = run("tasks", "redrive", failed[0], failed[1]);
        assertThat(unasked.code()).isEqualTo(2);
        assertThat(unasked.err().lines().findFirst())
                .hasValue("3 tasks would be redriven. Cannot ask for confirmation without a terminal: use --yes.");
        Said declined = answering("\n", "tasks", "redrive", failed[0], failed[1]);
        assertThat(declined.code()).isEqualTo(1);
        assertThat(declined.err()).isEqualTo("3 tasks would be redriven. Continue? [y/N] No task was redriven.\n");
        assertThat(answering("yes\n", "tasks", "redrive", failed[0], failed[1]).said())
                .isEqualTo("3 tasks redriven");
        assertThat(run("tasks", "cancel", "--where", "id=none-at-all", "--yes").said())
                .isEqualTo("No tasks match.");
        assertThat(run("tasks", "cancel").err()).startsWith("Give either a task id or conditions with --where.");
    }

    @Test
    void deadLettersCoordinatorsAndTheStrategyAreShown() {
        submit("lettered", FAIL, "--max-attempts", "1");
        awaitStatus("lettered", "failed");
        await().atMost(LONG).until(() -> run("dead-letters").out().contains("lettered"));
        assertThat(row(run("dead-letters"), letterOffset()))
                .matches("\\d+ (\\d+m )?\\d+s ago lettered attempts_exhausted attempt 1 of 1 .+");
        assertThat(run("coordinators").out().lines().skip(1)).hasSize(1);
        assertThat(words(run("coordinators").out().lines().findFirst().orElseThrow()))
                .isEqualTo("COORDINATOR REPORTED PARTITIONS WAITING IN/S OUT/S BACKLOG");

        assertThat(run("strategy", "round_robin").said()).contains("round_robin");
        assertThat(run("strategy").out().lines().findFirst()).hasValue("round_robin");
        assertThat(run("strategy").out()).contains("Others: least_connections, ");
        assertThat(run("strategy", "none-such").code()).isEqualTo(1);
        run("strategy", "least_connections");
    }

    @Test
    void limitsAreDefinedListedAndRemoved() {
        assertThat(run(
                                "limits",
                                "set",
                                "ctl/model-x",
                                "{\"concurrency\": 2, \"rate\": {\"units\": 10, \"per_seconds\": 60}}")
                        .said())
                .contains("The limit ctl/model-x is defined.");
        assertThat(run("limits").out())
                .containsPattern("LIMIT +ALLOWS +IN USE +ROOM +SPENT +WAITING +OLDEST")
                .containsPattern("ctl/model-x +2 at once; 10 per 60 s, burst 1 +0 +\\d +- +0");
        assertThat(run("limits", "show", "ctl/model-x").out())
                .contains("ctl/model-x: 2 at once; 10 per 60", "in use 0");
        assertThat(run("tasks", "submit", "--uses", "ctl/model-x=3", "--data", "{}")
                        .err())
                .contains("the task uses 3 units of the limit ctl/model-x, whose concurrency is 2");
        assertThat(run("tasks", "submit", "--resource", "gpu=0.0001", "--data", "{}")
                        .err())
                .contains("resources.gpu must be from 0.001 to 1000000000, with at most three decimals");
        assertThat(run("limits", "set", "ctl/model-x", "{\"concurency\": 2}").err())
                .contains("a limit needs a concurrency, a rate or a budget");
        assertThat(run("limits", "set", "no limit", "{}").err()).contains("the name of a limit must be");
        assertThat(run("limits", "set", "ctl/model-x", "{").err()).startsWith("The definition is not JSON");
        assertThat(run("limits", "remove", "ctl/model-x").said()).contains("The limit ctl/model-x was removed.");
        assertThat(run("limits", "remove", "ctl/model-x").err()).contains("no limit ctl/model-x is defined");
    }

    @Test
    void weightsOfFairnessKeysAreSetAndListed() {
        assertThat(run("fairness", "set", "acme/eu west", "2.5").said()).contains("The weight of acme/eu west is 2.5.");
        assertThat(run("fairness").out()).containsPattern("KEY +WEIGHT +WAITING +OLDEST\\Racme/eu west +2\\.5 +0 +-");
        assertThat(run("fairness", "set", "acme", "0").code()).isEqualTo(1);
        for (String key : List.of("a/../b", "a//b", "..", "x;y", "50%", "a\\b", "/a")) {
            assertThat(run("fairness", "set", key, "2").err())
                    .startsWith("This key cannot be named in a path: give its tasks a fairness_weight.");
        }
        assertThat(run("fairness", "unset", "acme/eu west").said()).contains("The weight of acme/eu west was removed");
        assertThat(run("fairness").out()).doesNotContain("acme");
        assertThat(run("fairness", "unset", "acme/eu west").err()).contains("no weight is set for this fairness key");

        submit(
                "waits-fairly",
                "{}",
                "--capability",
                "nobody-has-it",
                "--fairness-key",
                "beta",
                "--fairness-weight",
                "3");
        await().atMost(LONG).until(() -> run("fairness").out().contains("beta"));
        run("tasks", "cancel", "waits-fairly");
    }

    private static String letterOffset() {
        return run("dead-letters", "--output", "json")
                .json()
                .get("dead_letters")
                .valueStream()
                .filter(letter -> letter.path("task_id").asString("").equals("lettered"))
                .map(letter -> String.valueOf(letter.get("offset").asLong()))
                .findFirst()
                .orElseThrow();
    }

    @Test
    void aTaskIsSubmittedOnce() {
        assertThat(run("tasks", "submit", "--data", ECHO, "--id", "once", "--priority", "high")
                        .said())
                .isEqualTo("Task submitted: once, high");
        assertThat(run("tasks", "submit", "--data", ECHO, "--id", "once").said())
                .startsWith("Task was already submitted: once, ");
        assertThat(run("tasks", "submit", "--data", ECHO, "--id", "once", "--wait")
                        .code())
                .isZero();
        assertThat(run("tasks", "submit", "--data", ECHO, "--id", "once").said())
                .isEqualTo("Task was already submitted: once, high, completed; it will not run again");
        JsonNode json =
                run("tasks", "submit", "--data", ECHO, "--output", "json").json();
        assertThat(json.get("message").asString()).isEqualTo("Task submitted");
        assertThat(json.get("task_id").asString()).isNotEmpty();
    }

    @Test
    void anAwaitedTaskIsShownOnceItHasEnded() {
        Said completed = run(
                "tasks",
                "submit",
                "--data",
                ECHO,
                "--id",
                "awaited",
                "--capability",
                "echo",
                "--agent",
                "grace",
                "--label",
                "team=search",
                "--label",
                "stage=test",
                "--wait");
        assertThat(completed.code()).isZero();
        assertThat(completed.out().lines())
                .contains(
                        "task id            awaited",
                        "status             completed",
                        "priority           normal",
                        "attempt            1",
                        "max attempts       3",
                        "agent id           grace",
                        "requirements       {\"capabilities\":[\"echo\"],\"agent_id\":\"grace\"}",
                        "labels             {\"team\":\"search\",\"stage\":\"test\"}",
                        "result             {\"task_type\":\"echo\",\"x\":1}");
        Said failed = run("tasks", "submit", "--data", FAIL, "--id", "burnt", "--max-attempts", "1", "--wait");
        assertThat(failed.code()).isEqualTo(1);
        assertThat(failed.err()).isEqualTo("Task burnt has failed: disk on fire\n");
        Said json = run("tasks", "submit", "--data", ECHO, "--id", "awaited-2", "--wait", "--output", "json");
        assertThat(json.json().get("status").asString()).isEqualTo("completed");
    }

    @Test
    void aTaskIsShown() {
        run("tasks", "submit", "--data", ECHO, "--id", "shown", "--wait");
        assertThat(run("tasks", "get", "shown").out().lines()).contains("status             completed");
        assertThat(run("tasks", "get", "shown", "--output", "json")
                        .json()
                        .at("/result/x")
                        .asInt())
                .isEqualTo(1);
    }

    @Test
    void eachChangeOfATaskIsShownUntilItEnds() {
        assertThat(run("queues", "pause", "urgent").code()).isZero();
        submit("watched", HOLD, "--priority", "urgent");
        Typed watching = new Typed("", false);
        CompletableFuture<Said> watched =
                CompletableFuture.supplyAsync(() -> withKey(watching, "tasks", "watch", "watched"));
        await().atMost(LONG).until(() -> watching.out().contains("queued"));
        run("queues", "resume", "urgent");
        await().atMost(LONG).until(() -> watching.out().contains("assigned"));
        assertThat(watched).isNotDone();
        cluster.letGo();
        assertThat(watched.join().code()).isZero();
        assertThat(watched.join().out().lines())
                .containsExactly(
                        "queued     attempt 1 of 3",
                        "assigned   attempt 1 of 3 by grace",
                        "completed  attempt 1 of 3 by grace: {\"held\":true}");
        Said ended = run("tasks", "watch", "watched", "--output", "json");
        assertThat(ended.out().lines()).hasSize(1);
        assertThat(ended.json().get("status").asString()).isEqualTo("completed");
    }

    @Test
    void whyATaskWaitsIsToldAndThenItIsCancelled() {
        submit("unwanted", "{}", "--capability", "nobody-has-this");
        Said why = run("tasks", "explain", "unwanted");
        assertThat(why.code()).isZero();
        assertThat(why.out()
                        .lines()
                        .map(AgentctlTest::words)
                        .filter(line -> !line.startsWith("waiting for") && !line.startsWith("queue ")))
                .containsExactly(
                        "queued: no agent can take it; the closest is grace: it has no capability" + " nobody-has-this",
                        "",
                        "priority normal",
                        "requirements {\"capabilities\":[\"nobody-has-this\"]}",
                        "agents 0 of 2 can take it",
                        "",
                        "RULED OUT BY AGENTS",
                        "missing capability 2",
                        "not active 1",
                        "",
                        "CLOSEST AGENTS WHY NOT",
                        "grace it has no capability nobody-has-this",
                        "ada it has no capability nobody-has-this; its status is maintenance");
        JsonNode json = run("tasks", "explain", "unwanted", "--output", "json").json();
        assertThat(json.at("/waiting/agents/ruled_out/missing_capability").asInt())
                .isEqualTo(2);
        assertThat(run("tasks", "cancel", "unwanted", "--output", "json")
                        .json()
                        .get("message")
                        .asString())
                .isEqualTo("Task cancelled before it was assigned");
        assertThat(run("tasks", "explain", "unwanted").said()).isEqualTo("cancelled: it has ended: cancelled");
        Said watched = run("tasks", "watch", "unwanted");
        assertThat(watched.code()).isEqualTo(1);
        assertThat(watched.err()).isEqualTo("Task unwanted was cancelled\n");
    }

    @Test
    void aTaskThatHasEndedIsNotCancelled() {
        run("tasks", "submit", "--data", ECHO, "--id", "too-late", "--wait");
        Said refused = run("tasks", "cancel", "too-late");
        assertThat(refused.code()).isEqualTo(1);
        assertThat(refused.out()).isEmpty();
        assertThat(refused.err()).isEqualTo("the task has already ended as completed\n");
    }

    @Test
    void anAgentIsDrainedOnceItHoldsNothing() {
        submit("drained", HOLD, "--agent", "grace");
        awaitStatus("drained", "assigned");
        CompletableFuture<Said> draining = CompletableFuture.supplyAsync(() -> run("drain", "grace"));
        await().atMost(LONG).until(() -> row(run("agents"), "grace").startsWith("grace worker maintenance"));
        assertThat(run("drain", "grace", "--no-wait").said())
                .isEqualTo("Agent grace accepts no new tasks and holds 1 task.");
        assertThat(draining).isNotDone();
        cluster.letGo();
        assertThat(draining.join().said()).isEqualTo("Agent grace accepts no new tasks and holds none.");
        assertThat(run("drain", "grace", "--output", "json").out())
                .isEqualTo("{\"agent_id\":\"grace\",\"status\":\"maintenance\",\"inflight\":0,\"drained\":true}\n");
        assertThat(run("drain", "grace", "--undo").said()).isEqualTo("Agent grace accepts tasks again.");
    }

    @Test
    void aDrainThatSomeoneEndsFails() {
        submit("not-drained", HOLD, "--agent", "grace");
        awaitStatus("not-drained", "assigned");
        CompletableFuture<Said> draining = CompletableFuture.supplyAsync(() -> run("drain", "grace"));
        await().atMost(LONG).until(() -> row(run("agents"), "grace").startsWith("grace worker maintenance"));
        run("drain", "grace", "--undo");
        assertThat(draining.join().err()).isEqualTo("Agent grace is active again: the drain was undone.\n");
        cluster.letGo();
        awaitStatus("not-drained", "completed");
    }

    @Test
    void theTasksOfAFileAreSubmittedInBatchesAndAwaited() throws IOException {
        List<String> lines = new ArrayList<>();
        for (int i = 1; i <= 1_010; i++) {
            lines.add("{\"task_id\": \"batch-" + i + "\", \"task_data\": " + ECHO + "}");
        }
        Said all = run("tasks", "submit", "--file", file(lines), "--wait");
        assertThat(all.err()).isEmpty();
        assertThat(all.code()).isZero();
        assertThat(all.out()).isEqualTo("""
                1,010 tasks accepted
                OUTCOME    TASKS
                completed   1010
                """);
        Said again = run("tasks", "submit", "--file", file(lines));
        assertThat(again.said()).isEqualTo("0 tasks accepted, 1,010 already submitted (1,010 completed)");
    }

    @Test
    void ofAFileEachTaskThatDoesNotCompleteIsNamed() throws IOException {
        List<String> lines = List.of(
                "{\"task_id\": \"mixed-1\", \"task_data\": " + ECHO + "}",
                "",
                "{\"task_data\": 3}",
                "{\"task_id\": \"mixed-2\", \"max_attempts\": 1, \"task_data\": " + FAIL + "}");
        Said some = answering(String.join("\n", lines), "tasks", "submit", "--file", "-", "--wait");
        assertThat(some.code()).isEqualTo(1);
        assertThat(some.out()).isEqualTo("""
                2 tasks accepted, 1 refused
                OUTCOME    TASKS
                completed      1
                failed         1
                """);
        assertThat(some.err()).isEqualTo("""
                Line 3 was refused: task_data has the wrong type or form (expected an object)
                Task mixed-2 has failed: disk on fire
                """);
        Said json = run("tasks", "submit", "--file", file(lines), "--wait", "--output", "json");
        assertThat(json.code()).isEqualTo(1);
        assertThat(json.json().get("repeated").asInt()).isEqualTo(2);
        assertThat(json.json().at("/refusals/0/line").asInt()).isEqualTo(3);
        assertThat(json.json().at("/task_ids").toString()).isEqualTo("[\"mixed-1\",\"mixed-2\"]");
        assertThat(json.json().at("/ended").toString()).isEqualTo("{\"completed\":1,\"failed\":1}");
        assertThat(json.json().at("/not_completed/0/error").asString()).isEqualTo("disk on fire");
    }

    @Test
    void aFieldThatIsSpelledWronglyIsWarnedOf() throws IOException {
        List<String> lines =
                List.of("{\"task_data\": " + ECHO + "}", "", "{\"task_data\": " + ECHO + ", \"time_out\": 3}");
        Said said = run("tasks", "submit", "--file", file(lines));
        assertThat(said.code()).isZero();
        assertThat(said.out()).isEqualTo("2 tasks accepted\n");
        assertThat(said.err()).isEqualTo("Warning: line 3: unknown field time_out has no effect here.\n");
    }

    @Test
    void aTaskThatIsLargerThanABodyMayBeDoesNotSpoilTheOthers() throws IOException {
        Said some = run(
                "tasks",
                "submit",
                "--file",
                file(List.of(
                        "{\"task_data\": " + ECHO + "}",
                        "{\"task_data\": {\"x\": \"" + "x".repeat(1_100_000) + "\"}}",
                        "{\"task_data\": " + ECHO + "}")));
        assertThat(some.out()).isEqualTo("2 tasks accepted, 1 refused\n");
        assertThat(some.err()).isEqualTo("Line 2 was refused: the body exceeds 1048576 bytes\n");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "tasks get nobody",
                "tasks watch nobody",
                "tasks explain nobody",
                "tasks cancel nobody",
                "tasks get queues"
            })
    void anUnknownTaskIsNotFound(String command) {
        Said said = run(command.split(" "));
        assertThat(said.code()).isEqualTo(1);
        assertThat(said.out()).isEmpty();
        assertThat(said.err()).isEqualTo("Task not found\n");
    }

    @Test
    void aKeyIsCreatedListedUsedAndRevoked() throws IOException {
        String key = run("keys", "create", "--name", "night shift", "--role", "viewer", "--expires-in-days", "30")
                .said();
        assertThat(key).startsWith("aitbc_");
        Path keyFile = Files.writeString(folder.resolve("key"), key);
        String id = run("keys")
                .out()
                .lines()
                .filter(line -> line.endsWith("night shift"))
                .findFirst()
                .orElseThrow()
                .split(" ")[0];
        assertThat(new Typed("", false)
                        .run(cluster.url(), "--key-file", keyFile.toString(), "queues")
                        .code())
                .isZero();
        assertThat(new Typed("", false)
                        .run(cluster.url(), "--key-file", keyFile.toString(), "queues", "pause", "low")
                        .err())
                .isEqualTo("role viewer may not POST /tasks/queues/{priority}/pause: it needs admin or operator\n");

        assertThat(run("keys", "revoke", id).said()).isEqualTo("Key " + id + " revoked.");

        assertThat(new Typed("", false)
                        .run(cluster.url(), "--key-file", keyFile.toString(), "queues")
                        .err())
                .isEqualTo("the key is unknown, revoked or expired\n");
        assertThat(run("keys", "revoke", id).err()).isEqualTo("Key not found\n");
        assertThat(run("keys", "create", "--name", "x", "--role", "agent").err())
                .isEqualTo("--agent is required for role agent, and for no other.\n");
    }

    @Test
    void whoDidWhatIsShown() {
        run("queues", "pause", "critical");
        run("queues", "resume", "critical");
        String resumed = "POST /tasks/queues/{priority}/resume";
        await().atMost(LONG)
                .until(() ->
                        run("audit").out().lines().anyMatch(line -> line.endsWith(resumed + "  priority=critical")));

        Said said = run("audit", "--since", "1h");
        assertThat(words(said.out().lines().findFirst().orElseThrow()))
                .isEqualTo("OFFSET TIME WHO ROLE FROM STATUS ACTION DETAILS");
        assertThat(said.out().lines().map(AgentctlTest::words))
                .anyMatch(line -> line.matches(
                        "\\d+ \\S+Z AITBC_ADMIN_KEY admin 127\\.0\\.0\\.1 200 POST /tasks/queues/\\{priority}/pause"
                                + " priority=critical"));
        JsonNode latest = run("audit", "--limit", "1", "--output", "json").json();
        assertThat(latest.get("count").asInt()).isEqualTo(1);
        long offset = latest.at("/records/0/offset").asLong();
        assertThat(run("audit", "--limit", "1", "--before", String.valueOf(offset), "--output", "json")
                        .json()
                        .at("/records/0/offset")
                        .asLong())
                .isLessThan(offset);
        assertThat(run("audit", "--limit", "0").err()).startsWith("limit must be");
    }

    @Test
    void aPasswordIsHashed(@TempDir Path folder) throws IOException {
        String hash = piped("correct horse\n", "hash-password").said();
        assertThat(new BCryptPasswordEncoder().matches("correct horse", hash)).isTrue();
        assertThat(piped("", "hash-password").err()).isEqualTo("A password must have at least 8 characters.\n");
        assertThat(piped("ä".repeat(37), "hash-password").err()).isEqualTo("A password must have at most 72 bytes.\n");
        // A person whose password would be shown: this output is not a terminal.
        assertThat(answering("correct horse\n", "hash-password").err())
                .isEqualTo("The password would be shown, because the output is not the terminal: use --file.\n");

        Path users = folder.resolve("users");
        for (String user : List.of("ada:operator", "bob:viewer")) {
            assertThat(piped("correct horse\n", "hash-password", user, "--file", users.toString())
                            .code())
                    .isZero();
        }
        assertThat(Files.readAllLines(users)).hasSize(2).first().asString().matches("ada:operator:\\$2a\\$10\\$.{53}");
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(users)))
                .isEqualTo("rw-------");
        assertThat(piped("correct horse\n", "hash-password", "ada").err()).startsWith("USER:ROLE must be");
        assertThat(piped("correct horse\n", "hash-password", "ada:viewer", "--file", folder.toString())
                        .err())
                .isEqualTo("Cannot write the file " + folder + ".\n");
    }

    @Test
    void withoutAKeyItSaysHowToGiveOne() {
        Said said = new Typed("", false).run(cluster.url(), "queues");
        assertThat(said.code()).isEqualTo(1);
        assertThat(said.err())
                .isEqualTo("The coordinator requires a key: set AGENTCTL_API_KEY, or --key-file to a file with it.\n");
        assertThat(new Typed("", false)
                        .run(cluster.url(), "--key-file", "no-such-file", "queues")
                        .err())
                .startsWith("Cannot read the key file no-such-file.\n");
    }

    @ParameterizedTest
    @ValueSource(strings = {"agents nobody", "drain nobody"})
    void anUnknownAgentIsNotFound(String command) {
        assertThat(run(command.split(" ")).err()).isEqualTo("Agent not found\n");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '~', textBlock = """
            queues pause soon                         | Invalid value for positional parameter at index 0 (PRIORITY): Invalid priority: soon (one of urgent, critical, high, normal, low)
            tasks submit --data {} --priority soon    | Invalid value for option '--priority': Invalid priority: soon (one of urgent, critical, high, normal, low)
            tasks submit --data []                    | --data must be a JSON object: the message must be a JSON object
            tasks submit                              | One of --data and --file is required.
            tasks submit --file no-such-file          | no-such-file is not a readable file.
            tasks submit --file - --priority low      | --priority cannot be combined with --file: the file describes its tasks completely.
            tasks                                     | Missing required subcommand
            audit --since yesterday                   | Invalid value for option '--since': "yesterday" is not a duration such as 90s, 15m, 12h or 7d
            agents --status asleep                    | Invalid value for option '--status': Invalid status: asleep (one of active, busy, maintenance, inactive, stale, error)
            agents ada --sort load                    | --status and --sort cannot be combined with an agent id.
            drain ada --undo --no-wait                | --no-wait cannot be combined with --undo.
            queues --url localhost:9001               | "localhost:9001" is not a valid coordinator URL: http:// or https:// and a host are required
            """)
    void whatCannotBeMeantIsSaidInASentence(String command, String sentence) {
        Said said = new Typed("", false).run(null, command.split(" "));
        assertThat(said.err().lines().findFirst()).hasValue(sentence);
        assertThat(said.code()).isEqualTo(2);
        assertThat(said.out()).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {"queues", "agents", "tasks get x", "tasks submit --data {}", "drain ada --output json"})
    void thatNoCoordinatorIsThereIsSaidWithTheUrl(String command) {
        String url = "http://127.0.0.1:" + LocalStack.freePort();
        Said said = new Typed("", false).run(url, command.split(" "));
        assertThat(said.code()).isEqualTo(1);
        assertThat(said.out()).isEmpty();
        assertThat(said.err())
                .isEqualTo("Cannot reach a coordinator at " + url + "; set --url or AGENTCTL_URL to its URL.\n");
    }

    @Test
    void howFarAFileCameIsSaidWhenTheCoordinatorGoesAway() throws IOException {
        String url = "http://127.0.0.1:" + LocalStack.freePort();
        Said said = new Typed("{\"task_data\": {}}", false).run(url, "tasks", "submit", "--file", "-");
        assertThat(said.code()).isEqualTo(1);
        assertThat(said.err().lines().skip(1))
                .containsExactly(
                        "0 tasks accepted before the error: resubmit from line 1, or the whole file if each task"
                                + " has a task_id.");
    }

    @Test
    void anotherServerIsNoCoordinator() throws IOException {
        HttpServer other = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        other.start();
        try {
            String url = "http://127.0.0.1:" + other.getAddress().getPort();
            assertThat(new Typed("", false).run(url, "queues").err())
                    .isEqualTo("The server at " + url + " is not a coordinator: it answered 404 to a coordinator"
                            + " request.\n");
        } finally {
            other.stop(0);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"bash", "zsh"})
    void aShellLearnsTheCommands(String shell) {
        Said script = run("completion", shell);
        assertThat(script.code()).isZero();
        assertThat(script.out())
                .contains(
                        "complete -F _complete_agentctl",
                        "queues agents tasks drain dead-letters coordinators strategy fairness limits history keys audit hash-password size")
                .contains("urgent", "maintenance", "heartbeat", "table");
    }

    @Test
    void sizeNeedsNoCoordinator() {
        Said table = new Typed("", false).run(null, "size", "--tasks-per-second", "1000", "--agents", "200");
        assertThat(table.code()).isZero();
        assertThat(table.out())
                .containsPattern("coordinators +2  1 core, heap 512 MiB")
                .contains("3 % of it in use", "AITBC_SETTLE_TASK_RETENTION");

        Said json = new Typed("", false)
                .run(
                        null,
                        "size",
                        "--tasks-per-second",
                        "1000",
                        "--average",
                        "10",
                        "--agents",
                        "2",
                        "--output",
                        "json");
        assertThat(json.out()).contains("\"running_tasks\":1000.0", "\"ended_bytes\":656640000");

        Said wrong = new Typed("", false).run(null, "size", "--tasks-per-second", "0", "--agents", "2");
        assertThat(wrong.code()).isEqualTo(2);
        assertThat(wrong.err()).startsWith("Tasks per second must be above 0");
        String most = String.valueOf(Long.MAX_VALUE);
        assertThat(size("--waiting", most)).startsWith("At most a billion tasks may wait.");
        assertThat(size("--task-bytes", most, "--result-bytes", most)).startsWith("This load is too large");
        assertThat(size("--task-retention", "100000000000000d")).startsWith("This load is too large");
    }

    private static String size(String... options) {
        List<String> all = new ArrayList<>(List.of("size", "--tasks-per-second", "1000", "--agents", "2"));
        all.addAll(List.of(options));
        return new Typed("", false).run(null, all.toArray(String[]::new)).err();
    }

    @Test
    void helpNamesEachCommandAndTheExitCodes() {
        Said help = new Typed("", false).run(null, "--help");
        assertThat(help.code()).isZero();
        assertThat(help.out())
                .contains("queues", "agents", "tasks", "drain", "completion", "--url", "--output", "Exit codes:");
        assertThat(new Typed("", false).run(null, "tasks", "submit", "--help").out())
                .contains("--file", "--wait", "--url");
        assertThat(new Typed("", false).run(null, "queues", "pause", "--help").out())
                .contains("Usage: agentctl queues pause", "until it is resumed");
        assertThat(new Typed("", false)
                        .run(null, "queues", "pause", "--version")
                        .out())
                .isEqualTo("agentctl 0.3.0\n");
    }

    private record Said(int code, String out, String err) {
        /** Returns the only line of output of a successful command. */
        String said() {
            assertThat(code).as(err).isZero();
            assertThat(out.lines()).hasSize(1);
            return out.strip();
        }

        JsonNode json() {
            assertThat(out.lines()).hasSize(1);
            return Json.MAPPER.readTree(out);
        }
    }

    /** A user at a terminal, or a script without one. */
    private static final class Typed {
        private final String input;
        private final boolean someoneIsThere;
        private final StringWriter out = new StringWriter();
        private final StringWriter err = new StringWriter();

        Typed(String input, boolean someoneIsThere) {
            this.input = input;
            this.someoneIsThere = someoneIsThere;
        }

        Said run(@Nullable String url, String... args) {
            Terminal terminal = new Terminal(
                    new BufferedReader(new StringReader(input)),
                    new PrintWriter(out, true),
                    new PrintWriter(err, true),
                    () -> someoneIsThere,
                    () -> false,
                    () -> false);
            String[] all = url == null
                    ? args
                    : Stream.concat(Stream.of("--url", url), Stream.of(args)).toArray(String[]::new);
            int code = Agentctl.commandLine(terminal).execute(all);
            return new Said(code, out(), err.toString());
        }

        String out() {
            return out.toString();
        }
    }

    private static Said withKey(Typed typed, String... args) {
        return typed.run(
                cluster.url(),
                Stream.concat(Stream.of("--key-file", adminKeyFile.toString()), Stream.of(args))
                        .toArray(String[]::new));
    }

    private static Said run(String... args) {
        return withKey(new Typed("", false), args);
    }

    /** Nobody is at the terminal. */
    private static Said piped(String input, String... args) {
        return withKey(new Typed(input, false), args);
    }

    private static Said answering(String input, String... args) {
        return withKey(new Typed(input, true), args);
    }

    private static void submit(String id, String data, String... more) {
        String[] args = Stream.concat(Stream.of("tasks", "submit", "--id", id, "--data", data), Stream.of(more))
                .toArray(String[]::new);
        assertThat(run(args).said()).startsWith("Task submitted: " + id);
    }

    private static void awaitStatus(String id, String status) {
        await().atMost(LONG)
                .until(() -> cluster.rest().task(id, Duration.ZERO).status().equals(status));
    }

    /** Returns the row that begins with a word, with single spaces between cells. */
    private static String row(Said said, String first) {
        return said.out()
                .lines()
                .map(AgentctlTest::words)
                .filter(line -> line.startsWith(first + " "))
                .findFirst()
                .orElse("");
    }

    private static String words(String line) {
        return line.strip().replaceAll(" +", " ");
    }

    private String file(List<String> lines) throws IOException {
        return Files.write(folder.resolve("tasks.ndjson"), lines).toString();
    }
}
