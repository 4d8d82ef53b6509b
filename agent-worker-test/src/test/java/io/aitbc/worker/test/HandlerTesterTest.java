package io.aitbc.worker.test;

import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.TaskResult;
import io.aitbc.worker.Handler;
import io.aitbc.worker.handlers.Echo;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class HandlerTesterTest {
    private static final Duration LONG = Duration.ofSeconds(30);

    @Test
    void aHandlerIsRunAsAnAgentRunsIt() {
        TaskResult result = new HandlerTester(new Echo()).run("{\"n\": 1}");

        assertThat(result.status()).isEqualTo(TaskResult.Status.COMPLETED);
        assertThat(result.result().get("n").asInt()).isEqualTo(1);
        assertThat(result.startedAt()).isNotNull();
        assertThat(result.finishedAt()).isNotNull();
    }

    @Test
    void anExceptionIsWhatTheAgentWouldReport() {
        TaskResult result = new HandlerTester((assignment, context) -> {
                    throw new Handler.PermanentFailureException("no such model");
                })
                .run("{}");

        assertThat(result.status()).isEqualTo(TaskResult.Status.FAILED);
        assertThat(result.reason().asString()).isEqualTo("no such model");
        assertThat(result.retryable()).isFalse();
    }

    @Test
    void progressIsFollowedAndMovesTheDeadline() throws Exception {
        HandlerTester.Run run = new HandlerTester((assignment, context) -> {
                    while (!context.now().isAfter(assignment.assignedAt())) {
                        Thread.onSpinWait();
                    }
                    context.progress(Json.tree(1));
                    context.progress(Json.tree(2));
                    return Json.tree(context.deadline().isAfter(assignment.deadline()));
                })
                .start("{}");

        assertThat(run.awaitProgress(2, LONG)).containsExactly(Json.tree(1), Json.tree(2));
        assertThat(run.await(LONG).orElseThrow().result().asBoolean()).isTrue();
    }

    @Test
    void aCancelledHandlerIsInterruptedAndNotReported() throws Exception {
        HandlerTester.Run run = new HandlerTester((assignment, context) -> {
                    context.progress(Json.tree("started"));
                    TimeUnit.DAYS.sleep(1);
                    return null;
                })
                .start("{}");
        run.awaitProgress(1, LONG);

        run.cancel();

        assertThat(run.await(LONG)).isEmpty();
        assertThat(run.isCancelled()).isTrue();
    }
}
