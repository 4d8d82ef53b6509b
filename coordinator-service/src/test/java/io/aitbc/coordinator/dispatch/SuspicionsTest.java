package io.aitbc.coordinator.dispatch;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.Test;

class SuspicionsTest {
    private static final long SECOND = 1_000_000_000L;

    private final Suspicions suspicions = new Suspicions("own", Duration.ofSeconds(3), Duration.ofMillis(1_500));

    private static Map<String, String> counters(int own, int other) {
        return Map.of("own", "" + own, "other", "" + other);
    }

    @Test
    void aCoordinatorIsSuspectedThreeSecondsAfterItsLastHeartbeat() {
        for (int second = 0; second < 3; second++) {
            assertThat(suspicions.update(counters(second, 7), second * SECOND)).isEmpty();
        }
        assertThat(suspicions.update(counters(3, 7), 3 * SECOND)).containsExactly("other");
    }

    @Test
    void aHeartbeatEndsTheSuspicion() {
        for (int second = 0; second < 4; second++) {
            suspicions.update(counters(second, 7), second * SECOND);
        }
        assertThat(suspicions.update(counters(4, 8), 4 * SECOND)).isEmpty();
        assertThat(suspicions.update(counters(5, 8), 5 * SECOND)).isEmpty();
        suspicions.update(counters(6, 8), 6 * SECOND);
        assertThat(suspicions.update(counters(7, 8), 7 * SECOND)).containsExactly("other");
    }

    @Test
    void nobodyIsSuspectedAfterATimeInWhichNothingWasSeen() {
        suspicions.update(counters(1, 7), 0);
        // This coordinator was paused, or Redis was down: the other one may have been, too.
        assertThat(suspicions.update(counters(2, 7), 20 * SECOND)).isEmpty();
        for (int second = 21; second < 23; second++) {
            assertThat(suspicions.update(counters(second, 7), second * SECOND)).isEmpty();
        }
        assertThat(suspicions.update(counters(23, 7), 23 * SECOND)).containsExactly("other");
    }

    @Test
    void itDoesNotSuspectItself() {
        for (int second = 0; second < 10; second++) {
            assertThat(suspicions.update(Map.of("own", "1"), second * SECOND)).isEmpty();
        }
    }

    @Test
    void oneThatLeftAndIsBackStartsAfresh() {
        suspicions.update(counters(1, 7), 0);
        suspicions.update(Map.of("own", "2"), SECOND);
        suspicions.update(counters(3, 7), 2 * SECOND);
        suspicions.update(counters(4, 7), 3 * SECOND);
        assertThat(suspicions.update(counters(5, 7), 4 * SECOND)).isEmpty();
        assertThat(suspicions.update(counters(6, 7), 5 * SECOND)).containsExactly("other");
    }
}
