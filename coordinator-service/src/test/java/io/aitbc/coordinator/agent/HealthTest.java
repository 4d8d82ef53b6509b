package io.aitbc.coordinator.agent;

import static io.aitbc.coordinator.agent.AnAgent.NOW;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import io.aitbc.contracts.AgentStatus;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class HealthTest {
    private static final HealthPolicy POLICY =
            new HealthPolicy(Duration.ofSeconds(30), Duration.ofSeconds(300), 0.5, 0.9, 0.9);

    @ParameterizedTest(name = "silent for {0} s: {1}")
    @CsvSource({"-5, 1", "0, 1", "30, 1", "57, 0.9", "165, 0.5", "273, 0.1", "300, 0", "9999, 0"})
    void silenceCostsHealthFromOneIntervalToTheTimeout(long seconds, double expected) {
        Health health = Health.of(AnAgent.named("a").silentFor(seconds).build(), NOW, POLICY);

        assertThat(health.regularity()).isCloseTo(expected, within(1e-9));
        assertThat(health.score()).isCloseTo(expected, within(1e-9));
    }

    @ParameterizedTest(name = "cpu {0}, memory {1}: {2}")
    @CsvSource({
        "0, 0, 1",
        "0.7, 0.7, 1",
        "0.85, 0.1, 0.75",
        "0.1, 0.85, 0.75",
        "0.8, 0.85, 0.75",
        "1, 0, 0.5",
        "85, 0, 0.75", // percent
        "100, 100, 0.5",
        "4000, 0, 0.5",
        "0.01, 1, 0.5", // exactly 1 is a fraction: 100 %
        "1.5, 0, 1"
    })
    void loadCostsHealthAboveTheKnee(double cpu, double memory, double expected) {
        Health health = Health.of(AnAgent.named("a").load(cpu, memory).build(), NOW, POLICY);

        assertThat(health.load()).isCloseTo(expected, within(1e-9));
        assertThat(health.score()).isCloseTo(expected, within(1e-9));
    }

    @ParameterizedTest(name = "share {0}, {1} s ago: {2}")
    @CsvSource({"0, 0, 1", "1, 0, 0.6", "0.5, 0, 0.8", "1, 60, 0.8", "1, 120, 0.9", "1, 86400, 1", "1, -60, 0.6"})
    void failuresCostHealthAndAreForgotten(double share, long secondsAgo, double expected) {
        Health health = Health.of(AnAgent.named("a").failures(share, secondsAgo).build(), NOW, POLICY);

        assertThat(health.results()).isCloseTo(expected, within(1e-9));
        assertThat(health.score()).isCloseTo(expected, within(1e-9));
    }

    @ParameterizedTest
    @CsvSource({"ACTIVE, 1", "BUSY, 0.9", "MAINTENANCE, 0.8", "INACTIVE, 0", "STALE, 0", "ERROR, 0"})
    void statusCostsHealth(AgentStatus status, double expected) {
        Health health = Health.of(AnAgent.named("a").status(status).build(), NOW, POLICY);

        assertThat(health.status()).isEqualTo(expected);
        assertThat(health.score()).isEqualTo(expected);
    }

    @Test
    void scoreIsTheProductOfAllFactors() {
        Agent agent = AnAgent.named("a")
                .silentFor(57)
                .load(0.85, 0)
                .failures(0.5, 0)
                .status(AgentStatus.BUSY)
                .build();

        assertThat(Health.of(agent, NOW, POLICY).score()).isCloseTo(0.9 * 0.75 * 0.8 * 0.9, within(1e-9));
    }

    @Test
    void failuresAloneNeverRuleAnAgentOut() {
        Agent agent = AnAgent.named("a").failures(1, 0).build();

        assertThat(Health.of(agent, NOW, POLICY).score()).isGreaterThanOrEqualTo(POLICY.minHealthScore());
    }

    @Test
    void loadIsReadUnderEitherName() {
        Agent shortNames =
                AnAgent.named("a").load(Map.of("cpu", 0.4, "memory", 60.0)).build();
        Agent bothNames = AnAgent.named("a")
                .load(Map.of("cpu", 0.4, "cpu_usage", 0.2, "gpu", 1.0))
                .build();

        assertThat(shortNames.cpu()).isEqualTo(0.4);
        assertThat(shortNames.memory()).isEqualTo(0.6);
        assertThat(bothNames.cpu()).isEqualTo(0.2);
        assertThat(bothNames.memory()).isZero();
    }

    @Test
    void withoutAHeartbeatTimeoutSilenceCostsNothing() {
        HealthPolicy never = new HealthPolicy(Duration.ofSeconds(30), Duration.ZERO, 0.5, 0.9, 0.9);
        Agent agent = AnAgent.named("a").silentFor(1_000_000).build();

        assertThat(Health.of(agent, NOW, never).score()).isEqualTo(1);
        assertThat(Health.stableUntil(agent, NOW, never)).isEqualTo(Instant.MAX);
    }

    @ParameterizedTest(name = "silent for {0} s, failures {1} {2} s ago: steady until {3} s from now")
    @CsvSource({
        "0, 0, 0, 30",
        "20, 0, 0, 10",
        "100, 0, 0, -70", // already decreasing
        "0, 0.5, 0, 0", // changes while failures are being forgotten
        "0, 0.5, 240, 0",
        "0, 0.5, 400, 30", // decayed to half of a hundredth: counts as none
        "0, 0.009, 0, 30"
    })
    void theScoreIsSteadyUntilSilenceCountsOrWhileFailuresDo(
            long silence, double share, long secondsAgo, long steadySeconds) {
        Agent agent = AnAgent.named("a")
                .silentFor(silence)
                .failures(share, secondsAgo)
                .build();

        assertThat(Health.stableUntil(agent, NOW, POLICY)).isEqualTo(NOW.plusSeconds(steadySeconds));
    }

    @Test
    void reductionsOfHealthAreExplained() {
        Agent agent = AnAgent.named("a")
                .silentFor(57)
                .load(0.85, 0.5)
                .failures(0.5, 0)
                .status(AgentStatus.MAINTENANCE)
                .build();

        assertThat(Health.penalties(agent, NOW, POLICY))
                .containsExactly(
                        "it has been silent for 57 s; silence of more than 30 s reduces its health",
                        "its CPU usage is 85 % and its memory usage 50 %; usage above 70 % reduces its health",
                        "50 % of its recent results were failures",
                        "its status is maintenance");
        assertThat(Health.penalties(AnAgent.named("a").build(), NOW, POLICY)).isEmpty();
    }

    @Test
    void timeoutMustBeLongerThanTheInterval() {
        Duration same = Duration.ofSeconds(30);

        assertThatIllegalArgumentException()
                .isThrownBy(() -> new HealthPolicy(same, same, 0.5, 0.9, 0.9))
                .withMessageContaining("PT30S");
    }
}
