package io.aitbc.coordinator.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.coordinator.RunningCoordinator;
import io.aitbc.localstack.LocalStack;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** What probes of Kubernetes see. */
class ThreadsHealthTest {
    private static final Duration LONG = Duration.ofSeconds(90);

    @Test
    void livenessFailsOnceAThreadHasEndedAndReadinessDoesNot() throws Exception {
        // Its threads have the group of the thread that starts it: others of this JVM have threads of the same names.
        ThreadGroup group = new ThreadGroup("probes");
        CompletableFuture<RunningCoordinator> started = new CompletableFuture<>();
        new Thread(group, () -> started.complete(RunningCoordinator.start(LocalStack.shared(), "probes.", 9))).start();
        try (RunningCoordinator coordinator = started.get(LONG.toSeconds(), TimeUnit.SECONDS)) {
            assertThat(coordinator.get("/actuator/health/liveness").code()).isEqualTo(200);

            Thread[] threads = new Thread[group.activeCount() + 100];
            int count = group.enumerate(threads);
            Stream.of(threads)
                    .limit(count)
                    .filter(thread -> thread.getName().equals("recovery"))
                    .forEach(Thread::interrupt);

            await().atMost(LONG)
                    .until(() -> coordinator.get("/actuator/health/liveness").code() == 503);
            assertThat(coordinator.get("/actuator/health/readiness").code()).isEqualTo(200);
            assertThat(coordinator.get("/health").body().at("/threads/detail").asString())
                    .contains("thread recovery has ended");
        }
    }
}
