package io.aitbc.coordinator;

import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.coordinator.background.BackgroundService;
import io.aitbc.coordinator.background.Problem;
import io.aitbc.localstack.LocalStack;
import java.util.ArrayList;
import java.util.ConcurrentModificationException;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Startup of a coordinator without its dependencies, and shutdown. */
class CoordinatorTest {
    /** The client library fails to construct a client in this case, so none may be constructed at startup. */
    @Test
    void restIsServedWhileNoBootstrapNameResolves() {
        try (RunningCoordinator coordinator = RunningCoordinator.startUnhealthy(
                LocalStack.shared(), "nowhere.", 4, "--aitbc.kafka.bootstrap-servers=nowhere.invalid:9092")) {
            assertThat(coordinator.get("/health").code()).isEqualTo(503);
            assertThat(coordinator.get("/health").body().at("/kafka/state").asString())
                    .isEqualTo("down");
            assertThat(coordinator.get("/health").body().at("/redis/state").asString())
                    .isEqualTo("up");
            assertThat(coordinator.post("/tasks/submit", "{\"task_data\":{}}").code())
                    .isEqualTo(503);
            assertThat(coordinator.post("/tasks/submit", "{\"task_data\":{}}").detail())
                    .contains("bootstrap");
            assertThat(coordinator.get("/tasks/queues").code()).isEqualTo(503);
            // Whether it is registered is known once the agents have been restored from Kafka.
            assertThat(coordinator.get("/agents/of-nobody").code()).isEqualTo(503);
            assertThat(coordinator.get("/agents").code()).isEqualTo(200);
        }
    }

    @Test
    void aServiceThatFailsToCloseDoesNotKeepTheOthersOpen() {
        List<String> closed = new ArrayList<>();
        BackgroundService broken = part(() -> {
            closed.add("broken");
            throw new ConcurrentModificationException("used by another thread");
        });

        Coordinator.closeAll(List.of(part(() -> closed.add("first")), broken, part(() -> closed.add("last"))));

        assertThat(closed).containsExactly("last", "broken", "first");
    }

    private static BackgroundService part(Runnable close) {
        return new BackgroundService() {
            @Override
            public void start() {}

            @Override
            public void close() {
                close.run();
            }

            @Override
            public List<Problem> problems() {
                return List.of();
            }
        };
    }
}
