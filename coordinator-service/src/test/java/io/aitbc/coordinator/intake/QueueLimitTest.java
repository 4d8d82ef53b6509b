package io.aitbc.coordinator.intake;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.coordinator.RunningCoordinator;
import io.aitbc.coordinator.RunningCoordinator.Answer;
import io.aitbc.localstack.LocalStack;
import java.time.Duration;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

class QueueLimitTest {
    private static final Duration LONG = Duration.ofSeconds(90);
    private static final int LIMIT = 20;

    private static RunningCoordinator coordinator;

    @BeforeAll
    static void start() {
        coordinator =
                RunningCoordinator.start(LocalStack.shared(), "bounded.", 8, "--aitbc.queues.max-waiting=" + LIMIT);
    }

    @AfterAll
    static void stop() {
        coordinator.close();
    }

    private static String task(String id, String priority) {
        return "{\"task_id\":\"" + id + "\",\"task_data\":{},\"priority\":\"" + priority
                + "\",\"requirements\":{\"capabilities\":[\"nobody\"]}}";
    }

    private static Answer submit(String id, String priority) {
        return coordinator.post("/tasks/submit", task(id, priority));
    }

    private static Answer batch(String name, String priority, int count) {
        return coordinator.post(
                "/tasks/submit/batch",
                IntStream.range(0, count)
                        .mapToObj(i -> task(name + "-" + i, priority))
                        .collect(Collectors.joining(",", "[", "]")));
    }

    @Test
    void aFullQueueAcceptsNoMoreOverRest() {
        // Until the sizes are known for the first time, everything is accepted.
        await().atMost(LONG)
                .until(() -> submit("probe-" + System.nanoTime(), "low").code() == 429);

        JsonNode partial = batch("batch", "normal", LIMIT + 5).body();
        assertThat(partial.get("status").asString()).isEqualTo("partial");
        assertThat(partial.get("accepted").asInt()).isEqualTo(LIMIT);
        assertThat(partial.at("/results/" + LIMIT + "/detail").asString())
                .isEqualTo("the normal queue is full: at most 20 tasks may wait in it");

        Answer refused = submit("one-more", "normal");
        assertThat(refused.code()).isEqualTo(429);
        assertThat(refused.detail()).isEqualTo("the normal queue is full: at most 20 tasks may wait in it");
        assertThat(batch("more", "normal", 3).code()).isEqualTo(429);
        assertThat(coordinator.get("/tasks/one-more").code()).isEqualTo(404);
        // What was accepted before is answered as before, and other queues are not full.
        assertThat(submit("batch-0", "normal").body().get("existing_status").asString())
                .isEqualTo("queued");
        assertThat(submit("another", "high").code()).isEqualTo(200);

        coordinator.post("/tasks/queues/normal/clear", "");
        await().atMost(LONG).until(() -> submit("one-more", "normal").code() == 200);
    }
}
