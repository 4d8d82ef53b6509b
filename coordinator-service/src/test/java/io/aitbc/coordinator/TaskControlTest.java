package io.aitbc.coordinator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.coordinator.RunningCoordinator.Answer;
import io.aitbc.localstack.LocalStack;
import io.micrometer.core.instrument.LongTaskTimer;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/** Commands of clients and operators on tasks and queues, while tasks wait or run. There is memory for the payloads of few of them. */
class TaskControlTest {
    private static final Duration LONG = Duration.ofSeconds(90);
    /** Their payloads do not fit into memory. */
    private static final int MANY = 192;

    private static RunningCoordinator coordinator;

    @BeforeAll
    static void start() {
        coordinator =
                RunningCoordinator.start(LocalStack.shared(), "control.", 7, "--aitbc.dispatch.payload-memory=10000");
    }

    @AfterAll
    static void end() {
        coordinator.close();
    }

    /** Control messages of newer or unknown senders must not stop the messages behind them. */
    @Test
    void anInvalidControlMessageIsIgnored() {
        for (String message : List.of(
                "{\"type\":\"switch_strategy\",\"strategy\":\"best\"}",
                "{\"type\":\"switch_strategy\"}",
                "{\"type\":\"pause_queue\",\"command_id\":\"c\",\"priority\":\"low\"}",
                "{\"type\":\"clear_queue\",\"command_id\":\"c\",\"priority\":\"low\",\"end_offsets\":{\"0\":null}}")) {
            coordinator.publish("coordinator.control", "odd", message);
        }

        assertThat(coordinator
                        .send("PUT", "/load-balancer/strategy", "{\"strategy\":\"least_connections\"}")
                        .code())
                .isEqualTo(200);
        assertThat(coordinator.get("/health").code()).isEqualTo(200);
    }

    @Test
    void aTaskCancelledWhileItWaitsIsNeverAssigned() {
        String cancelled = coordinator.submit(requiring("cancel-waiting"));
        assertThat(cancel(cancelled).body().get("message").asString()).contains("before it was assigned");
        String other = coordinator.submit(requiring("cancel-waiting"));

        coordinator.register("cancel-waiting-agent", 5, "cancel-waiting");

        assertThat(coordinator.awaitRecords("assignments.cancel-waiting-agent", 1))
                .extracting(record -> record.get("task_id").asString())
                .containsExactly(other);
        coordinator.awaitTask(cancelled, "cancelled");
        assertThat(cancel(cancelled).body().get("message").asString()).isEqualTo("Task was already cancelled");
    }

    @Test
    void theAgentOfACancelledTaskIsNotifiedAndItsResultIgnored() {
        coordinator.register("cancel-live-agent", 1, "cancel-live");
        String id = coordinator.submit(requiring("cancel-live"));
        JsonNode assignment =
                coordinator.awaitRecords("assignments.cancel-live-agent", 1).get(0);

        assertThat(cancel(id).code()).isEqualTo(200);

        JsonNode told =
                coordinator.awaitRecords("assignments.cancel-live-agent", 2).get(1);
        assertThat(told.get("type").asString()).isEqualTo("cancellation");
        assertThat(told.get("assignment_id")).isEqualTo(assignment.get("assignment_id"));
        long lateBefore = stat("late_results");
        coordinator.report(assignment, "completed", null);
        await().atMost(LONG).until(() -> stat("late_results") == lateBefore + 1);
        assertThat(coordinator.awaitTask(id, "cancelled").has("result")).isFalse();
        // The slot is free again.
        String next = coordinator.submit(requiring("cancel-live"));
        assertThat(coordinator
                        .awaitRecords("assignments.cancel-live-agent", 3)
                        .get(2)
                        .get("task_id")
                        .asString())
                .isEqualTo(next);
    }

    @Test
    void anEndedOrUnknownTaskCannotBeCancelled() {
        coordinator.register("cancel-ended-agent", 1, "cancel-ended");
        String id = coordinator.submit(requiring("cancel-ended"));
        coordinator.report(
                coordinator.awaitRecords("assignments.cancel-ended-agent", 1).get(0), "completed", null);
        coordinator.awaitTask(id, "completed");

        assertThat(cancel(id).code()).isEqualTo(409);
        assertThat(cancel(id).detail()).isEqualTo("the task has already ended as completed");
        assertThat(cancel("nobody-knows").code()).isEqualTo(404);
    }

    @Test
    void aCallerMayWaitForTheEnd() {
        coordinator.register("wait-agent", 1, "wait");
        String id = coordinator.submit(requiring("wait"));
        CompletableFuture<Answer> waiting =
                CompletableFuture.supplyAsync(() -> coordinator.get("/tasks/" + id + "?wait=30s"));
        JsonNode assignment =
                coordinator.awaitRecords("assignments.wait-agent", 1).get(0);
        assertThat(waiting).isNotDone();

        coordinator.report(assignment, "completed", null);

        assertThat(waiting.join().body().get("status").asString()).isEqualTo("completed");
        assertThat(coordinator
                        .get("/tasks/" + id + "?wait=30s")
                        .body()
                        .at("/result/done")
                        .asBoolean())
                .isTrue();
    }

    @Test
    void callersThatWaitAreAnsweredWhenTheCoordinatorStops() {
        String id = coordinator.submit(requiring("nothing-that-exists"));
        CompletableFuture<Answer> waiting;
        CompletableFuture<Answer> waitingForUnknown;
        try (RunningCoordinator stopped = RunningCoordinator.start(LocalStack.shared(), "control.", 7)) {
            waiting = CompletableFuture.supplyAsync(() -> stopped.get("/tasks/" + id + "?wait=60s"));
            waitingForUnknown = CompletableFuture.supplyAsync(() -> stopped.get("/tasks/not-submitted-yet?wait=60s"));
            await().atMost(LONG)
                    .until(() ->
                            stopped
                                            .part(MeterRegistry.class)
                                            .find("http.server.requests.active")
                                            .longTaskTimers()
                                            .stream()
                                            .mapToInt(LongTaskTimer::activeTasks)
                                            .sum()
                                    == 2);
        }

        assertThat(waiting.join().code()).isEqualTo(200);
        assertThat(waiting.join().body().get("status").asString()).isEqualTo("queued");
        assertThat(waitingForUnknown.join().code()).isEqualTo(503);
        assertThat(waitingForUnknown.join().detail()).isEqualTo("this coordinator is stopping: retry");
        cancel(id);
    }

    /** A Kafka producer may query a task before the coordinator has read its record. */
    @Test
    void waitingForATaskThatIsNotYetKnownSucceeds() {
        coordinator.register("early-agent", 1, "early");
        CompletableFuture<Answer> waiting =
                CompletableFuture.supplyAsync(() -> coordinator.get("/tasks/early-bird?wait=30s"));
        assertThat(coordinator.get("/tasks/early-bird").code()).isEqualTo(404);
        coordinator.publish(
                "tasks.high",
                "early-bird",
                "{\"task_id\":\"early-bird\",\"task_data\":{},\"requirements\":{\"capabilities\":[\"early\"]}}");
        coordinator.report(
                coordinator.awaitRecords("assignments.early-agent", 1).get(0), "completed", null);
        assertThat(waiting.join().body().get("status").asString()).isEqualTo("completed");
    }

    @Test
    void waitingEndsAtTheTimeoutOrWithAnError() {
        String id = coordinator.submit(requiring("wait-in-vain"));

        assertThat(coordinator
                        .get("/tasks/" + id + "?wait=100ms")
                        .body()
                        .get("status")
                        .asString())
                .isEqualTo("queued");
        assertThat(coordinator.get("/tasks/" + id + "?wait=61").detail()).isEqualTo("wait must be from 0s to 60s");
        assertThat(coordinator.get("/tasks/" + id + "?wait=soon").code()).isEqualTo(422);
        assertThat(coordinator.get("/tasks/nobody-knows?wait=1s").code()).isEqualTo(404);
    }

    @Test
    void aPausedQueueWaitsUntilItIsResumed() {
        coordinator.register("pause-agent", 5, "pause");
        assertThat(coordinator.post("/tasks/queues/critical/pause", "").code()).isEqualTo(200);
        assertThat(coordinator.get("/tasks/queues").body().get("paused").toString())
                .isEqualTo("[\"critical\"]");
        String held = coordinator.submit(requiring("pause", "critical"));
        String passing = coordinator.submit(requiring("pause", "low"));
        assertThat(coordinator.awaitRecords("assignments.pause-agent", 1))
                .extracting(record -> record.get("task_id").asString())
                .containsExactly(passing);

        coordinator.post("/tasks/queues/critical/resume", "");

        assertThat(coordinator.awaitRecords("assignments.pause-agent", 2))
                .extracting(record -> record.get("task_id").asString())
                .containsExactly(passing, held);
        assertThat(coordinator.post("/tasks/queues/soon/pause", "").detail()).isEqualTo("Invalid priority: soon");
    }

    /** Tasks behind them get their turn, and so do the blocked ones once an agent is available. */
    @Test
    void tasksBehindManyBlockedOnesAreNotHeldUp() {
        int blocked = MANY;
        publish(blocked, "high", "many-blocked");
        coordinator.register("behind-agent", 1, "behind");
        String behind = coordinator.submit(requiring("behind", "high"));

        assertThat(coordinator.awaitRecords("assignments.behind-agent", 1))
                .extracting(record -> record.get("task_id").asString())
                .containsExactly(behind);

        coordinator.register("blocked-agent", blocked, "many-blocked");
        assertThat(coordinator.awaitRecords("assignments.blocked-agent", blocked))
                .extracting(record -> record.get("task_id").asString())
                .doesNotHaveDuplicates()
                .hasSize(blocked);
        await().atMost(LONG)
                .until(() -> coordinator
                                .get("/tasks/queues")
                                .body()
                                .at("/queue_sizes/high")
                                .asInt()
                        == 0);
    }

    @Test
    void aClearCountsTasksWithoutPayloads() {
        int count = MANY;
        publish(count, "urgent", "clear-blocked");
        coordinator.register("clear-agent", 1, "clear");
        coordinator.submit(requiring("clear", "urgent"));
        coordinator.awaitRecords("assignments.clear-agent", 1);

        Answer cleared = coordinator.post("/tasks/queues/urgent/clear", "");

        assertThat(cleared.body().get("cleared_count").asInt())
                .as("%s", cleared.body())
                .isEqualTo(count);
        await().atMost(LONG)
                .until(() -> coordinator
                                .get("/tasks/queues")
                                .body()
                                .at("/queue_sizes/urgent")
                                .asInt()
                        == 0);
    }

    @Test
    void aBadTaskInABatchDoesNotAffectTheOthers() {
        coordinator.submit(requiring("batch").replaceFirst("\\{", "{\"task_id\":\"batch-known\","));
        for (String body : List.of(
                "[{\"task_data\":{}},{\"task_data\":1},{\"task_id\":\"batch-known\",\"task_data\":{}},"
                        + "{\"task_id\":\"status\",\"task_data\":{}}]",
                "{\"task_data\":{}}\n\n{\"task_data\":1}\n{\"task_id\":\"batch-known\",\"task_data\":{}}\n"
                        + "{\"task_id\":\"status\",\"task_data\":{}}\n")) {
            JsonNode answer = coordinator.post("/tasks/submit/batch", body).body();
            assertThat(answer.at("/results")
                            .valueStream()
                            .map(item -> item.get("status").asString()))
                    .as("%s", answer)
                    .containsExactly("accepted", "refused", "repeated", "refused");
            assertThat(answer.at("/results/1/detail").asString()).contains("task_data has the wrong type");
            assertThat(coordinator
                            .get("/tasks/" + answer.at("/results/0/task_id").asString())
                            .code())
                    .isEqualTo(200);
        }
    }

    @Test
    void theSameTaskTwiceInABatchIsOne() {
        String task = "{\"task_id\":\"batch-twin\",\"task_data\":{},\"requirements\":{\"capabilities\":[\"twin\"]}}";

        JsonNode answer = coordinator
                .post("/tasks/submit/batch", "[" + task + "," + task + "]")
                .body();

        assertThat(answer.get("accepted").asInt()).isEqualTo(1);
        assertThat(answer.get("repeated").asInt()).isEqualTo(1);
    }

    @Test
    void anInvalidBatchIsRefusedWithAnError() {
        assertThat(coordinator.post("/tasks/submit/batch", "[]").detail())
                .startsWith("a batch must have 1 to 10000 tasks");
        assertThat(coordinator.post("/tasks/submit/batch", "[{").code()).isEqualTo(422);
        assertThat(coordinator
                        .post("/tasks/submit/batch", "nonsense")
                        .body()
                        .at("/results/0/detail")
                        .asString())
                .startsWith("not valid JSON");
    }

    @Test
    void theFrontOfAQueueIsListed() {
        String first = coordinator.submit(requiring("peek", "low"));
        String second = coordinator.submit(requiring("peek", "low"));

        Answer answer = await().atMost(LONG)
                .until(
                        () -> coordinator.get("/tasks/queues/low?limit=2"),
                        found -> found.body().get("tasks").size() == 2);

        assertThat(answer.body()
                        .get("tasks")
                        .valueStream()
                        .map(task -> task.get("task_id").asString()))
                .containsExactly(first, second);
        assertThat(answer.body().at("/tasks/0").propertyNames())
                .contains("submitted_at", "attempt", "max_attempts", "timeout_seconds", "requirements", "task_data")
                .doesNotContain("expires_at", "priority", "rejected_by");
        assertThat(coordinator.get("/tasks/queues/low?limit=1").body().get("tasks"))
                .hasSize(1);
        assertThat(coordinator.get("/tasks/queues/low?limit=0").code()).isEqualTo(422);
        assertThat(coordinator.get("/tasks/queues/soon").detail()).isEqualTo("Invalid priority: soon");
        cancel(first);
        cancel(second);
    }

    @Test
    void aWaitingTaskIsExplained() {
        coordinator.register("explain-agent", 1, "explain");
        String running = coordinator.submit(requiring("explain"));
        coordinator.awaitTask(running, "assigned");
        assertThat(explain(running).get("explanation").asString()).startsWith("assigned to agent explain-agent since");

        String full = coordinator.submit(requiring("explain"));
        JsonNode inLine = explain(full);
        long place = inLine.at("/waiting/place_in_queue").asLong();
        assertThat(inLine.get("explanation").asString())
                .startsWith(
                        place == 1
                                ? "it is first in the normal queue"
                                : "it is number " + place + " in the normal queue, with " + (place - 1) + " before it")
                .endsWith("; 1 agent can take it once capacity is free");
        assertThat(inLine.at("/waiting/agents/ruled_out/full").asInt()).isPositive();
        assertThat(inLine.at("/waiting/agents/busy").asInt()).isEqualTo(1);

        String absent = coordinator.submit(requiring("explain-absent"));
        JsonNode waiting = explain(absent).get("waiting");
        assertThat(waiting.at("/agents/ruled_out/missing_capability")).isEqualTo(waiting.at("/agents/total"));
        assertThat(waiting.at("/agents/closest/0/obstacles/0/detail").asString())
                .isEqualTo("it has no capability explain-absent");
        assertThat(waiting.get("place_in_queue").asLong())
                .isBetween(2L, waiting.get("queue_size").asLong());

        String later = coordinator.submit(
                requiring("explain").replaceFirst("\\{", "{\"not_before\":\"2100-01-01T00:00:00Z\","));
        assertThat(explain(later).get("explanation").asString()).isEqualTo("it is scheduled for 2100-01-01T00:00:00Z");
        assertThat(coordinator.get("/tasks/nobody-knows/explain").code()).isEqualTo(404);
    }

    /** The chain may be at the top level or among the requirements. */
    @ParameterizedTest
    @ValueSource(strings = {"{\"chain_id\":\"b\",", "{\"requirements\":{\"chain_id\":\"b\"},"})
    void aTaskOfOneChainGoesToNoAgentOfAnother(String beginning) {
        String name = "chain-" + Math.abs(beginning.hashCode());
        registerOnChain(name + "-a", "a");
        coordinator.register(name + "-none", 5, name);
        String id = coordinator.submit(beginning + "\"task_data\":{}}");
        assertThat(explain(id).at("/waiting/agents/eligible").asInt()).isZero();
        assertThat(explain(id).at("/waiting/agents/ruled_out/wrong_chain").asInt())
                .isPositive();
        assertThat(explain(id).at("/waiting/requirements/chain_id").asString()).isEqualTo("b");

        // Differs only in the chain, so that both tasks wait and are matched together.
        String other = coordinator.submit(beginning.replace("\"b\"", "\"c\"") + "\"task_data\":{}}");

        registerOnChain(name + "-b", "b");

        assertThat(coordinator.awaitTask(id, "assigned").get("agent_id").asString())
                .isEqualTo(name + "-b");
        JsonNode assignment =
                coordinator.awaitRecords("assignments." + name + "-b", 1).get(0);
        assertThat(assignment.at("/requirements/chain_id").asString()).isEqualTo("b");
        assertThat(coordinator.get("/tasks/" + other).body().get("status").asString())
                .isEqualTo("queued");
        assertThat(explain(other).at("/waiting/agents/eligible").asInt()).isZero();
        coordinator.post("/tasks/" + other + "/cancel", "");
        coordinator.report(assignment, "completed", null);
        coordinator.awaitTask(id, "completed");
        assertThat(coordinator.send("DELETE", "/agents/" + name + "-b", null).code())
                .isEqualTo(200);
    }

    private static void registerOnChain(String agentId, String chain) {
        assertThat(coordinator
                        .post(
                                "/agents/register",
                                "{\"agent_id\":\"" + agentId + "\",\"agent_type\":\"worker\",\"chain_id\":\"" + chain
                                        + "\"}")
                        .code())
                .isEqualTo(200);
        coordinator.reach(agentId);
    }

    @Test
    void callersThatWaitForATaskAreNamed() {
        String id = coordinator.submit(requiring("waited-for"));
        CompletableFuture<JsonNode> ended = CompletableFuture.supplyAsync(
                () -> coordinator.get("/tasks/" + id + "?wait=60s").body());

        await().atMost(LONG)
                .untilAsserted(
                        () -> assertThat(coordinator.get("/tasks/" + id).body().path("waiting_callers"))
                                .extracting(JsonNode::asString)
                                .containsExactly("anyone"));

        coordinator.post("/tasks/" + id + "/cancel", "");
        assertThat(ended.join().get("status").asString()).isEqualTo("cancelled");
        await().atMost(LONG).until(() -> !coordinator.get("/tasks/" + id).body().has("waiting_callers"));
    }

    @Test
    void eachRedriveAddsAsManyAttemptsAsTheTaskHadAtFirst() {
        coordinator.register("redriven-often", 1, "redriven-often");
        String id = coordinator.submit(
                "{\"task_data\":{},\"max_attempts\":1,\"requirements\":{\"capabilities\":[\"redriven-often\"]}}");
        for (int attempt = 1; attempt <= 3; attempt++) {
            JsonNode assignment = coordinator
                    .awaitRecords("assignments.redriven-often", attempt)
                    .get(attempt - 1);
            assertThat(assignment.get("max_attempts").asInt()).isEqualTo(attempt);
            coordinator.report(assignment, "failed", "no luck");
            coordinator.awaitTask(id, "failed");
            coordinator.post("/tasks/dead-letter/" + id + "/redrive", "");
        }
        assertThat(coordinator
                        .awaitRecords("assignments.redriven-often", 4)
                        .get(3)
                        .get("max_attempts")
                        .asInt())
                .isEqualTo(4);
    }

    /** What holds up most of the waiting tasks, in one sentence for each group. */
    @Test
    void blockedTasksAreGroupedAndExplained() {
        coordinator.register("blocked-agent", 1, "blocked");
        coordinator.submit(requiring("blocked"));
        coordinator.submit(requiring("blocked"));
        coordinator.submit(requiring("blocked-absent"));
        coordinator.submit(requiring("blocked-absent"));
        coordinator.submit(requiring("blocked-absent"));

        await().atMost(LONG)
                .untilAsserted(() ->
                        assertThat(blocked("blocked-absent")).isEqualTo("3 no agent has capability blocked-absent"));
        // Tasks of other tests may have taken the agents.
        await().atMost(LONG)
                .untilAsserted(() ->
                        assertThat(blocked("blocked")).endsWith(" the only agent that can take them is at capacity"));
        coordinator.register("blocked-agent-2", 1, "blocked-absent");
        await().atMost(LONG)
                .untilAsserted(() -> assertThat(blocked("blocked-absent"))
                        .endsWith(" the only agent that can take them is at capacity"));
    }

    /** What an autoscaler asks: not only what waits counts, but also what runs. */
    @Test
    void demandIsWhatRunsAndWhatWaits() {
        JsonNode none = coordinator.get("/demand?capability=demanded").body();
        assertThat(none.get("agents_wanted").asInt()).isZero();
        String task = "{\"task_data\":{},\"requirements\":{\"capabilities\":[\"demanded\"]}}";
        for (int i = 0; i < 7; i++) {
            coordinator.submit(task);
        }
        await().atMost(LONG).until(() -> demand("unserved/0/waiting") == 7);
        assertThat(demand("agents_wanted")).isEqualTo(1);
        assertThat(coordinator
                        .get("/demand?capability=demanded")
                        .body()
                        .at("/unserved/0/explanation")
                        .asString())
                .isEqualTo("no agent has capability demanded");

        coordinator.register("demanded-agent", 2, "demanded");

        await().atMost(LONG).until(() -> demand("running") == 2 && demand("waiting") == 5);
        assertThat(demand("agents_wanted")).isEqualTo(4);
        assertThat(demand("fleets/0/agents_wanted")).isEqualTo(4);
        assertThat(demand("agents")).isEqualTo(1);
        coordinator.send("PUT", "/agents/demanded-agent/status", "{\"status\":\"maintenance\"}");
        await().atMost(LONG).until(() -> demand("agents") == 0);
        assertThat(demand("running")).as("also if it is drained").isEqualTo(2);
        assertThat(demand("unserved/0/waiting")).isEqualTo(5);
        assertThat(demand("agents_wanted")).isEqualTo(3);
        coordinator.send("PUT", "/agents/demanded-agent/status", "{\"status\":\"active\"}");
        coordinator.register("demanded-other", 1, "demanded", "more");
        coordinator.send("PUT", "/agents/demanded-other/status", "{\"status\":\"maintenance\"}");
        for (int i = 0; i < 5; i++) {
            coordinator.report(
                    coordinator
                            .awaitRecords("assignments.demanded-agent", i + 1)
                            .get(i),
                    "completed",
                    null);
        }
        await().atMost(LONG).until(() -> demand("running") == 2 && demand("waiting") == 0);
        assertThat(demand("agents_wanted")).isEqualTo(1);
    }

    private static int demand(String field) {
        return coordinator
                .get("/demand?capability=demanded")
                .body()
                .at("/" + field)
                .asInt();
    }

    private static String blocked(String capability) {
        for (JsonNode group : coordinator.get("/stats/blocked").body().get("blocked")) {
            if (group.at("/requirements/capabilities/0").asString().equals(capability)) {
                assertThat(group.get("oldest_age_seconds").asDouble()).isNotNegative();
                assertThat(group.get("agents").asInt() > 0)
                        .isEqualTo(group.get("explanation").asString().contains("at capacity"));
                return group.get("tasks").asInt() + " "
                        + group.get("explanation").asString();
            }
        }
        return "none";
    }

    @Test
    void theExplanationOfAPinnedTaskReportsTheStateOfItsAgent() {
        String unknown = coordinator.submit(pinnedTo("pinned-unknown"));
        assertThat(explain(unknown).get("explanation").asString())
                .isEqualTo("it requires agent pinned-unknown, which has never registered");

        coordinator.register("pinned-agent", 1);
        coordinator.send("PUT", "/agents/pinned-agent/status", "{\"status\":\"maintenance\"}");
        String pinned = coordinator.submit(pinnedTo("pinned-agent"));
        assertThat(explain(pinned).get("explanation").asString())
                .isEqualTo("it requires agent pinned-agent: its status is maintenance");
        int known = explain(pinned).at("/waiting/agents/total").asInt();

        coordinator.send("DELETE", "/agents/pinned-agent", null);
        JsonNode gone = explain(pinned);
        assertThat(gone.get("explanation").asString())
                .isEqualTo("it requires agent pinned-agent: its status is inactive");
        assertThat(gone.at("/waiting/agents/total").asInt()).isEqualTo(known - 1);
        assertThat(gone.at("/waiting/agents/closest"))
                .extracting(agent -> agent.get("agent_id").asString())
                .containsExactly("pinned-agent");
        cancel(unknown);
        cancel(pinned);
    }

    /** Fields describe the current state of a task, not that of an earlier attempt. */
    @Test
    void aTaskShowsItsCurrentDeadlineAndNoErrorOfAnEarlierAttempt() {
        coordinator.register("shown-agent", 1, "shown");
        String id = coordinator.submit(requiring("shown"));
        JsonNode first = coordinator.awaitRecords("assignments.shown-agent", 1).get(0);
        Instant deadline = Instant.parse(task(id).get("deadline").asString());
        // Ensures that the new deadline is at least a second later.
        await().atMost(LONG).until(() -> Instant.now().isAfter(deadline.minusSeconds(599)));
        coordinator.report(first, "progress", null);
        coordinator.awaitTask(id, "assigned");
        JsonNode working = await().atMost(LONG).until(() -> task(id), task -> task.has("progress"));
        Instant moved = Instant.parse(working.get("deadline").asString());
        assertThat(moved)
                .isEqualTo(Instant.parse(working.get("progress_at").asString()).plusSeconds(600));
        assertThat(moved).isAfter(deadline);
        assertThat(explain(id).get("explanation").asString()).endsWith("deadline " + moved);

        coordinator.report(first, "failed", "no luck");
        JsonNode second = coordinator.awaitRecords("assignments.shown-agent", 2).get(1);
        assertThat(task(id).get("error").asString()).contains("no luck");
        coordinator.report(second, "completed", null);

        JsonNode completed = coordinator.awaitTask(id, "completed");
        assertThat(completed.has("error")).as("%s", completed).isFalse();
        assertThat(completed.has("deadline")).as("%s", completed).isFalse();
        assertThat(completed.get("attempt").asInt()).isEqualTo(2);
    }

    @Test
    void aFailedTaskCanBeRedriven() {
        coordinator.register("redrive-agent", 1, "redrive");
        String id = coordinator.submit(
                "{\"task_data\":{\"n\":1},\"max_attempts\":1,\"requirements\":{\"capabilities\":[\"redrive\"]}}");
        coordinator.report(
                coordinator.awaitRecords("assignments.redrive-agent", 1).get(0), "failed", "disk full");
        coordinator.awaitTask(id, "failed");
        // A later dead letter with the same key, but about another record.
        coordinator.publish("tasks.results", id, "{not json");
        await().atMost(LONG)
                .until(() -> coordinator
                        .get("/tasks/dead-letter?limit=1000")
                        .body()
                        .toString()
                        .contains("{not json"));
        JsonNode letter = coordinator
                .get("/tasks/dead-letter?limit=1000")
                .body()
                .get("dead_letters")
                .valueStream()
                .filter(one -> one.path("task_id").asString("").equals(id)
                        && one.path("reason").asString("").equals("attempts_exhausted"))
                .findFirst()
                .orElseThrow();
        assertThat(letter.at("/task/task_data/n").asInt()).isEqualTo(1);

        assertThat(coordinator
                        .post("/tasks/dead-letter/" + id + "/redrive", "")
                        .body()
                        .get("attempt")
                        .asInt())
                .isEqualTo(2);

        JsonNode again =
                coordinator.awaitRecords("assignments.redrive-agent", 2).get(1);
        assertThat(again.get("attempt").asInt()).isEqualTo(2);
        assertThat(coordinator.post("/tasks/dead-letter/" + id + "/redrive", "").detail())
                .isEqualTo("only a failed task can be redriven, and this one is assigned");
        coordinator.report(again, "completed", null);
        coordinator.awaitTask(id, "completed");
    }

    @Test
    void aRecordThatIsNotATaskCannotBeRedriven() {
        coordinator.publish("tasks.low", "poison", "nonsense");
        await().atMost(LONG)
                .until(() -> coordinator
                                .post("/tasks/dead-letter/poison/redrive", "")
                                .code()
                        == 409);
        assertThat(coordinator
                        .post("/tasks/dead-letter/nobody-knows/redrive", "")
                        .code())
                .isEqualTo(404);
        assertThat(coordinator.get("/tasks/dead-letter?limit=0").code()).isEqualTo(422);
    }

    private static JsonNode explain(String taskId) {
        return await().atMost(LONG)
                .until(
                        () -> coordinator.get("/tasks/" + taskId + "/explain").body(),
                        found -> found.has("explanation"));
    }

    private static void publish(int count, String priority, String capability) {
        IntStream.range(0, count)
                .forEach(i -> coordinator.publish(
                        "tasks." + priority,
                        "key-" + i,
                        "{\"task_id\":\"" + capability + "-" + i
                                + "\",\"task_data\":{},\"requirements\":{\"capabilities\":[\"" + capability
                                + "\"]}}"));
    }

    private static JsonNode task(String taskId) {
        return coordinator.get("/tasks/" + taskId).body();
    }

    private static String pinnedTo(String agentId) {
        return "{\"task_data\":{},\"requirements\":{\"agent_id\":\"" + agentId + "\"}}";
    }

    private static Answer cancel(String taskId) {
        return coordinator.post("/tasks/" + taskId + "/cancel", "");
    }

    private static long stat(String name) {
        return coordinator.get("/tasks/status").body().at("/stats/" + name).asLong();
    }

    private static String requiring(String capability) {
        return requiring(capability, "normal");
    }

    private static String requiring(String capability, String priority) {
        return "{\"task_data\":{},\"priority\":\"" + priority + "\",\"requirements\":{\"capabilities\":[\"" + capability
                + "\"]}}";
    }
}
