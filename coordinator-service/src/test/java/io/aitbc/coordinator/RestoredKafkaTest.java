package io.aitbc.coordinator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.localstack.LocalStack;
import io.lettuce.core.RedisClient;
import io.lettuce.core.api.sync.RedisCommands;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Kafka is restored from a copy, and Redis is newer. */
class RestoredKafkaTest {
    private static final Duration LONG = Duration.ofSeconds(90);
    private static final String PREFIX = "restored.";
    private static final int TASKS = 20;

    @Test
    void tasksAcceptedSinceTheCopyEnd(@TempDir Path backup) {
        try (LocalStack stack = LocalStack.start();
                RedisClient client = RedisClient.create(stack.redisUrl())) {
            RedisCommands<String, String> redis = client.connect().sync();
            String before;
            try (RunningCoordinator coordinator = RunningCoordinator.start(stack, PREFIX, 0)) {
                before = submit(coordinator);
                coordinator.awaitTask(before, "queued");
            }
            stack.stopKafka();
            stack.backUpKafka(backup);
            stack.startKafka();
            List<String> since = new ArrayList<>();
            try (RunningCoordinator coordinator = RunningCoordinator.start(stack, PREFIX, 0)) {
                for (int i = 0; i < TASKS; i++) {
                    since.add(submit(coordinator));
                }
                await().atMost(LONG)
                        .until(() -> redis.hvals("stats:ends").stream()
                                        .mapToLong(Long::parseLong)
                                        .sum()
                                > TASKS);
            }
            stack.stopKafka();
            stack.restoreKafka(backup);
            stack.startKafka();

            try (RunningCoordinator coordinator = RunningCoordinator.start(stack, PREFIX, 0)) {
                // Their records are where those of lost tasks were.
                List<String> next = new ArrayList<>();
                for (int i = 0; i < TASKS; i++) {
                    next.add(submit(coordinator));
                }

                for (String task : since) {
                    assertThat(coordinator
                                    .awaitTask(task, "failed")
                                    .get("error")
                                    .asString())
                            .startsWith("record lost: ");
                }
                coordinator.register("agent", TASKS + 1);
                coordinator.awaitTask(before, "assigned");
                next.forEach(task -> coordinator.awaitTask(task, "assigned"));
                coordinator.awaitHealthy();
            }
        }
    }

    private static String submit(RunningCoordinator coordinator) {
        return coordinator.submit("{\"task_data\":{}}");
    }
}
