package io.aitbc.coordinator.background;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import org.junit.jupiter.api.Test;

class ActivityMonitorTest {
    private long seconds;
    private final ActivityMonitor monitor = new ActivityMonitor(
            "thread results",
            Duration.ofSeconds(90),
            () -> Duration.ofSeconds(seconds).toNanos());

    @Test
    void aShortFailureIsNotReported() {
        monitor.failed(new IllegalStateException("away"));
        seconds = 9;
        monitor.failed(new IllegalStateException("away"));
        assertThat(monitor.problem()).isEmpty();
        monitor.succeeded();
        seconds = 20;
        assertThat(monitor.problem()).isEmpty();
    }

    @Test
    void aLongFailureIsReportedWithItsDurationAndCause() {
        monitor.failed(new IllegalStateException("away"));
        seconds = 10;
        monitor.failed(new IllegalStateException("still away"));
        assertThat(monitor.problem())
                .contains(new Problem(
                        "thread results has been failing for 10 s: java.lang.IllegalStateException: still away",
                        false));
    }

    @Test
    void aThreadWithoutActivityIsStuck() {
        monitor.succeeded();
        seconds = 89;
        assertThat(monitor.problem()).isEmpty();
        seconds = 90;
        assertThat(monitor.problem()).contains(new Problem("thread results has been stuck for 90 s", true));
        monitor.progressed();
        assertThat(monitor.problem()).isEmpty();
    }

    @Test
    void aThreadThatIsIdleOrNotStartedIsNotStuck() {
        seconds = 1_000;
        assertThat(monitor.problem()).isEmpty();
        monitor.progressed();
        monitor.idle();
        seconds = 2_000;
        assertThat(monitor.problem()).isEmpty();
    }
}
