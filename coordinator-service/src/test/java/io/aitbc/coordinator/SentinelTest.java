package io.aitbc.coordinator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.localstack.LocalSentinel;
import io.aitbc.localstack.LocalStack;
import io.lettuce.core.RedisClient;
import io.lettuce.core.api.StatefulRedisConnection;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A Redis with a replica, under Sentinel. */
class SentinelTest {
    private static final Duration LONG = Duration.ofSeconds(90);

    @Test
    void tasksAreDispatchedAfterAFailover(@TempDir Path folder) {
        try (LocalSentinel redis = LocalSentinel.start(folder)) {
            awaitReplica(redis);
            try (RunningCoordinator coordinator = RunningCoordinator.start(
                    LocalStack.shared(), "sentinel.", 14, "--aitbc.redis.url=" + redis.url())) {
                coordinator.register("agent", 10);
                String before = coordinator.submit("{\"task_data\":{}}");
                coordinator.awaitTask(before, "assigned");

                redis.primary().process().destroyForcibly();

                await().atMost(LONG).until(() -> coordinator.get("/health").code() == 503);
                coordinator.awaitHealthy();
                String after = coordinator.submit("{\"task_data\":{}}");
                coordinator.awaitTask(after, "assigned");
                assertThat(coordinator
                                .get("/tasks/" + before)
                                .body()
                                .get("status")
                                .asString())
                        .isEqualTo("assigned");
            }
        }
    }

    private static void awaitReplica(LocalSentinel redis) {
        try (RedisClient client = RedisClient.create(redis.replica().url());
                StatefulRedisConnection<String, String> connection = client.connect()) {
            await().atMost(LONG)
                    .until(() -> connection.sync().info("replication").contains("master_link_status:up"));
        }
    }
}
