package io.aitbc.coordinator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.coordinator.kafka.CoordinatorId;
import io.aitbc.coordinator.kafka.CopartitionAssignor;
import io.aitbc.coordinator.kafka.GroupMembers;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.localstack.LocalStack;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Coordinators that fall silent, with sessions that would last for minutes. */
class FailureDetectorTest {
    private static final Duration LONG = Duration.ofSeconds(90);
    private static final String GROUP = "silent.agent-coordinator";
    private static final int ALL = 15;

    private RunningCoordinator coordinator;

    @BeforeEach
    void start() {
        coordinator = RunningCoordinator.start(LocalStack.shared(), "silent.", 12);
        awaitPartitions(ALL);
    }

    @AfterEach
    void stop() {
        coordinator.close();
    }

    private void awaitPartitions(int count) {
        await().atMost(LONG)
                .until(() -> coordinator
                        .get("/coordinators")
                        .body()
                        .get("coordinators")
                        .valueStream()
                        .anyMatch(lane -> lane.get("partitions").asInt() == count));
    }

    private static KafkaConsumer<byte[], byte[]> member(String id) {
        return new KafkaConsumer<>(
                Map.of(
                        ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG,
                        LocalStack.shared().bootstrapServers(),
                        ConsumerConfig.GROUP_ID_CONFIG,
                        GROUP,
                        ConsumerConfig.GROUP_INSTANCE_ID_CONFIG,
                        id,
                        ConsumerConfig.PARTITION_ASSIGNMENT_STRATEGY_CONFIG,
                        CopartitionAssignor.class.getName(),
                        ConsumerConfig.SESSION_TIMEOUT_MS_CONFIG,
                        600_000,
                        ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG,
                        false),
                new ByteArrayDeserializer(),
                new ByteArrayDeserializer());
    }

    @Test
    void thePartitionsOfASilentOneAreTakenOver() {
        try (KafkaConsumer<byte[], byte[]> silent = member("silent-one")) {
            silent.subscribe(List.of(
                    "silent.tasks.urgent",
                    "silent.tasks.critical",
                    "silent.tasks.high",
                    "silent.tasks.normal",
                    "silent.tasks.low"));
            await().atMost(LONG).until(() -> {
                silent.poll(Duration.ofMillis(100));
                return !silent.assignment().isEmpty();
            });
            assertThat(silent.assignment().size() % 5)
                    .as("whole partition numbers")
                    .isZero();

            awaitPartitions(ALL - silent.assignment().size());

            // Its consumer keeps its session alive, as that of a coordinator whose process hangs in part.
            coordinator.part(Redis.class).sync().hset("stats:alive", "silent-one", "7");

            await().atMost(LONG)
                    .until(() -> !coordinator.part(Redis.class).sync().hexists("stats:alive", "silent-one"));
            awaitPartitions(ALL);
        }
    }

    @Test
    void oneThatWasRemovedThoughItIsAliveRejoinsAndAllTasksRun() throws Exception {
        coordinator.register("agent", 100);
        String id = coordinator.part(CoordinatorId.class).text();
        GroupMembers members = coordinator.part(GroupMembers.class);

        assertThat(members.remove(id).get()).isTrue();
        List<String> tasks = IntStream.range(0, 20)
                .mapToObj(i -> coordinator.submit("{\"task_data\":{}}"))
                .toList();

        tasks.forEach(task -> coordinator.awaitTask(task, "assigned"));
        coordinator.awaitHealthy();
        awaitPartitions(ALL);
        assertThat(members.remove("never-seen").get()).isFalse();
    }
}
