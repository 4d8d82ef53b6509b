package io.aitbc.agentctl;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.aitbc.contracts.Delivery;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SizingTest {
    private static Sizing.Load load(double tasksPerSecond, int agents, Delivery delivery) {
        return new Sizing.Load(
                tasksPerSecond,
                tasksPerSecond,
                agents,
                delivery,
                1_000,
                500,
                Duration.ofSeconds(1),
                0,
                Duration.ofHours(24),
                Duration.ofDays(7),
                3);
    }

    @Test
    void aSmallLoadNeedsTheLeast() {
        Sizing sizing = Sizing.of(load(10, 5, Delivery.KAFKA));

        assertThat(sizing.installations()).isOne();
        assertThat(sizing.coordinators()).isEqualTo(2);
        assertThat(sizing.coordinatorCores()).isOne();
        assertThat(sizing.brokerCores()).isOne();
        assertThat(sizing.heapBytes()).isEqualTo(512L * 1024 * 1024);
        assertThat(sizing.partitions()).isEqualTo(9 * 12 + 5 + 5);
    }

    @ParameterizedTest
    @CsvSource({"10, 1", "1000, 1", "20000, 1", "100000, 4", "1000000, 39"})
    void noRedisIsFull(double tasksPerSecond, int installations) {
        Sizing sizing = Sizing.of(load(tasksPerSecond, 100, Delivery.KAFKA));

        assertThat(sizing.installations()).isEqualTo(installations);
        assertThat(sizing.redisCores()).isLessThanOrEqualTo(0.6);
    }

    @Test
    void anAgentOverHttpHasNoTopicAndCostsMore() {
        Sizing kafka = Sizing.of(load(1_000, 100, Delivery.KAFKA));
        Sizing pull = Sizing.of(load(1_000, 100, Delivery.PULL));

        assertThat(kafka.partitions()).isEqualTo(9 * 12 + 5 + 100);
        assertThat(pull.partitions()).isEqualTo(9 * 4 * pull.coordinators() + 5);
        assertThat(pull.coordinators() * pull.coordinatorCores())
                .isGreaterThan(3 * kafka.coordinators() * kafka.coordinatorCores());
    }

    @Test
    void brokersHaveNoMorePartitionsThanKafkaRecommends() {
        Sizing sizing = Sizing.of(load(100, 10_000, Delivery.KAFKA));

        // 10,113 partitions with three replicas, of which 4,000 on each.
        assertThat(sizing.brokers()).isEqualTo(8);
        assertThat(sizing.brokerDiskBytes() * 8)
                .isCloseTo(Sizing.of(load(100, 10, Delivery.KAFKA)).brokerDiskBytes() * 3, within(100L));
    }

    @Test
    void whatIsKeptGrowsWithRateAndRetention() {
        Sizing.Load day = load(100, 10, Delivery.KAFKA);
        Sizing.Load hour = new Sizing.Load(
                100,
                100,
                10,
                Delivery.KAFKA,
                1_000,
                500,
                day.taskTime(),
                0,
                Duration.ofHours(1),
                Duration.ofHours(7 * 12),
                3);

        assertThat(Sizing.of(day).endedBytes()).isEqualTo(24 * Sizing.of(hour).endedBytes());
        assertThat(Sizing.of(day).brokerDiskBytes())
                .isEqualTo(2 * Sizing.of(hour).brokerDiskBytes());
        assertThat(Sizing.of(day).runningTasks()).isEqualTo(100, within(0.01));
    }
}
