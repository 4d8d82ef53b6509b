package io.aitbc.coordinator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.coordinator.RunningCoordinator.Answer;
import io.aitbc.localstack.LocalStack;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/** What clients and operators do to tasks and queues while tasks wait or run; with a window so small that it is soon full. */
class TaskControlTest {
    private static final Duration LONG = Duration.ofSeconds(60);
    private static final int WINDOW = 16;

    private static RunningCoordinator coordinator;

    @BeforeAll
    static void start() {
        coordinator = RunningCoordinator.start(
                LocalStack.shared(), "control.", 7, "--aitbc.dispatch.window-per-partition=" + WINDOW);
    }

    @AfterAll
    static void end() {
        coordinator.close();
    }

    @Test
    void aTaskCancelledWhileItWaitsIsNeverAssigned() {
        String cancelled = coordinator.submit(requiring("cancel-waiting"));
        assertThat(cancel(cancelled).body().get("message").asString()).contains("before an agent had it");
        String other = coordinator.submit(requiring("cancel-waiting"));

        coordinator.register("cancel-waiting-agent", 5, "cancel-waiting");

        assertThat(coordinator.awaitRecords("assignments.cancel-waiting-agent", 1))
                .extracting(record -> record.get("task_id").asString())
                .containsExactly(other);
        coordinator.awaitTask(cancelled, "cancelled");
        assertThat(cancel(cancelled).body().get("message").asString()).isEqualTo("Task was cancelled before");
    }

    @Test
    void theAgentOfACancelledTaskIsToldAndItsResultIgnored() {
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
        // Its place is free again.
        String next = coordinator.submit(requiring("cancel-live"));
        assertThat(coordinator
                        .awaitRecords("assignments.cancel-live-agent", 3)
                        .get(2)
                        .get("task_id")
                        .asString())
                .isEqualTo(next);
    }

    @Test
    void whatHasEndedOrNeverWasCannotBeCancelled() {
        coordinator.register("cancel-ended-agent", 1, "cancel-ended");
        String id = coordinator.submit(requiring("cancel-ended"));
        coordinator.report(
                coordinator.awaitRecords("assignments.cancel-ended-agent", 1).get(0), "completed", null);
        coordinator.awaitTask(id, "completed");

        assertThat(cancel(id).code()).isEqualTo(409);
        assertThat(cancel(id).detail()).isEqualTo("the task has ended as completed already");
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
    void waitingEndsWithTheTimeOrWithASentence() {
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

    /** Three partitions hold three windows; what stands behind gets its turn, and so do they when an agent comes. */
    @Test
    void tasksBehindAFullWindowAreNotHeldUp() {
        int blocked = 3 * WINDOW * 4;
        publish(blocked, "high", "window-blocked");
        coordinator.register("window-agent", 1, "window");
        String behind = coordinator.submit(requiring("window", "high"));

        assertThat(coordinator.awaitRecords("assignments.window-agent", 1))
                .extracting(record -> record.get("task_id").asString())
                .containsExactly(behind);

        coordinator.register("window-blocked-agent", blocked, "window-blocked");
        assertThat(coordinator.awaitRecords("assignments.window-blocked-agent", blocked))
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
    void aClearCountsWhatWasPutOffBeyondTheWindow() {
        int count = 3 * WINDOW * 3;
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

    private static void publish(int count, String priority, String capability) {
        IntStream.range(0, count)
                .forEach(i -> coordinator.publish(
                        "tasks." + priority,
                        "key-" + i,
                        "{\"task_id\":\"" + capability + "-" + i
                                + "\",\"task_data\":{},\"requirements\":{\"capabilities\":[\"" + capability
                                + "\"]}}"));
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
