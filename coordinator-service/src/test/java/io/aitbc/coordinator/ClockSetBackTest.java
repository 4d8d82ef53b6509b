package io.aitbc.coordinator;

import static org.awaitility.Awaitility.await;

import io.aitbc.localstack.LocalStack;
import io.lettuce.core.RedisClient;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.time.ZoneOffset;
import org.junit.jupiter.api.Test;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Primary;

/** The clock of the machine is set back while tasks wait that no agent can take. */
class ClockSetBackTest {
    private static final int REDIS_DATABASE = 12;
    private static volatile Duration back = Duration.ZERO;

    static class Beans {
        @Bean
        @Primary
        Clock settable() {
            InstantSource shifted = () -> Instant.now().minus(back);
            return shifted.withZone(ZoneOffset.UTC);
        }
    }

    @Test
    void tasksAreStillRead() {
        try (RedisClient client = RedisClient.create(LocalStack.shared().redisUrl() + "/" + REDIS_DATABASE)) {
            client.connect().sync().flushdb();
        }
        try (RunningCoordinator coordinator = RunningCoordinator.startWith(
                Beans.class,
                LocalStack.shared(),
                "clock.",
                REDIS_DATABASE,
                "--aitbc.dispatch.payload-memory=1",
                "--aitbc.topics.partitions=1")) {
            coordinator.submit("{\"priority\":\"low\",\"task_data\":{},\"requirements\":{\"agent_type\":\"nobody\"}}");
            await().atMost(Duration.ofSeconds(90))
                    .until(() -> coordinator
                            .get("/coordinators")
                            .body()
                            .get("coordinators")
                            .valueStream()
                            .anyMatch(one -> one.path("waiting").asInt() == 1));

            back = Duration.ofHours(1);

            coordinator.register("agent", 1);
            String able = coordinator.submit("{\"task_data\":{}}");
            coordinator.awaitTask(able, "assigned");
        }
    }
}
