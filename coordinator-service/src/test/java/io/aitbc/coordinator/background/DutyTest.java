package io.aitbc.coordinator.background;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import org.junit.jupiter.api.Test;

class DutyTest {
    private long seconds;
    private final Duty duty = new Duty(
            "thread results",
            Duration.ofSeconds(90),
            () -> Duration.ofSeconds(seconds).toNanos());

    @Test
    void aFailureThatIsOverSoonIsNoTrouble() {
        duty.failed(new IllegalStateException("away"));
        seconds = 9;
        duty.failed(new IllegalStateException("away"));
        assertThat(duty.trouble()).isEmpty();
        duty.works();
        seconds = 20;
        assertThat(duty.trouble()).isEmpty();
    }

    @Test
    void whatFailsForLongSaysSinceWhenAndWhy() {
        duty.failed(new IllegalStateException("away"));
        seconds = 10;
        duty.failed(new IllegalStateException("still away"));
        assertThat(duty.trouble())
                .contains("thread results has failed for 10 s: java.lang.IllegalStateException: still away");
    }

    @Test
    void whatIsHeardOfNoMoreIsStuck() {
        duty.works();
        seconds = 89;
        assertThat(duty.trouble()).isEmpty();
        seconds = 90;
        assertThat(duty.trouble()).contains("thread results has been stuck for 90 s");
        duty.moves();
        assertThat(duty.trouble()).isEmpty();
    }

    @Test
    void whatHasNotBegunOrRestsIsNotStuck() {
        seconds = 1_000;
        assertThat(duty.trouble()).isEmpty();
        duty.moves();
        duty.rests();
        seconds = 2_000;
        assertThat(duty.trouble()).isEmpty();
    }
}
