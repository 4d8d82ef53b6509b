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
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;

/** Kafka is restored from a copy, and Redis is newer. */
@ExtendWith(OutputCaptureExtension.class)
class RestoredKafkaTest {
    private static final Duration LONG = Duration.ofSeconds(90);
    private static final String PREFIX = "restored.";
    private static final int TASKS = 20;

    @Test
    void itIsReportedAndTasksAcceptedSinceTheCopyCanBeCancelled(@TempDir Path backup, CapturedOutput output) {
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
                await().atMost(LONG).until(() -> output.getOut().contains("The partition has a lower end than before"));
                for (String task : since) {
                    assertThat(coordinator
                                    .post("/tasks/" + task + "/cancel", "")
                                    .code())
                            .isEqualTo(200);
                    coordinator.awaitTask(task, "cancelled");
                }
                coordinator.register("agent", 10);
                coordinator.awaitTask(before, "assigned");
                coordinator.awaitTask(submit(coordinator), "assigned");
                coordinator.awaitHealthy();
            }
        }
    }

    private static String submit(RunningCoordinator coordinator) {
        return coordinator.submit("{\"task_data\":{}}");
    }
}
