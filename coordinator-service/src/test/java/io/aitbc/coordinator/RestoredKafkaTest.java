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
import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;
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
            // Its record is where that of a lost task was.
            publish(stack, "in-its-place");

            try (RunningCoordinator coordinator = RunningCoordinator.start(stack, PREFIX, 0)) {
                for (String task : since) {
                    assertThat(coordinator
                                    .awaitTask(task, "failed")
                                    .get("error")
                                    .asString())
                            .startsWith("record lost: ");
                }
                coordinator.register("agent", 10);
                coordinator.awaitTask(before, "assigned");
                coordinator.awaitTask("in-its-place", "assigned");
                coordinator.awaitTask(submit(coordinator), "assigned");
                coordinator.awaitHealthy();
            }
        }
    }

    private static void publish(LocalStack stack, String taskId) {
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(
                Map.of("bootstrap.servers", stack.bootstrapServers()),
                new StringSerializer(),
                new StringSerializer())) {
            producer.send(new ProducerRecord<>(
                    PREFIX + "tasks.normal", taskId, "{\"task_id\":\"" + taskId + "\",\"task_data\":{}}"));
        }
    }

    private static String submit(RunningCoordinator coordinator) {
        return coordinator.submit("{\"task_data\":{}}");
    }
}
