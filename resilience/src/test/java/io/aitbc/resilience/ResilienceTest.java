package io.aitbc.resilience;

import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.contracts.Json;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;

/** A short run; {@code resilience runs} does many more. The data of a failed run is kept in a folder named after its seed. */
class ResilienceTest {
    private static final long SEED = Long.getLong("resilience.seed", 1);

    /** Injects each fault once, in an order determined by the seed. */
    @Test
    void whateverHappensNothingIsLostOrDoneTwice() {
        assertClean(play(
                "short",
                Fault.COORDINATOR_KILLED,
                Fault.AGENTS_KILLED,
                Fault.BROKER_KILLED,
                Fault.REDIS_KILLED,
                Fault.REDIS_EMPTIED,
                Fault.TRANSACTION_HANGS,
                Fault.COMMANDS_RACE));
    }

    private static Run.Outcome play(String name, Fault... faults) {
        Path folder = Path.of("target", "resilience", name + "-" + SEED);
        Run run = new Run(List.of(faults), SEED, Duration.ZERO, 2, folder, Cluster.SECURED);
        Run.Outcome outcome = run.play();
        if (outcome.isClean()) {
            run.deleteData();
        }
        return outcome;
    }

    private static void assertClean(Run.Outcome outcome) {
        assertThat(outcome.findings().tasks()).isGreaterThan(1_000);
        assertThat(outcome.isClean())
                .as("seed %s: %s %s", SEED, Json.text(outcome.findings()), outcome.wrongCounts())
                .isTrue();
    }
}
