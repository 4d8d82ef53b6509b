package io.aitbc.coordinator.background;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class MonitoredThreadTest {
    private static final Duration LONGEST = Duration.ofSeconds(10);

    @Test
    void anUnexpectedEndIsReported() {
        MonitoredThread thread = new MonitoredThread("doomed", () -> {
            throw new StackOverflowError("too deep");
        });
        assertThat(thread.problems()).as("not started yet").isEmpty();

        thread.start();

        await().atMost(LONGEST).until(() -> !thread.isAlive());
        assertThat(thread.problems())
                .containsExactly("thread doomed has ended: java.lang.StackOverflowError: too deep");
    }

    @Test
    void aRequestedEndIsNotReported() {
        CountDownLatch closing = new CountDownLatch(1);
        MonitoredThread thread = new MonitoredThread("asked", () -> {
            try {
                closing.await();
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        });
        thread.start();

        thread.interrupt();

        assertThat(thread.isAlive()).isFalse();
        assertThat(thread.problems()).isEmpty();
    }

    @Test
    void noFailureOfARecurringActionEndsItsThread() {
        AtomicInteger times = new AtomicInteger();
        try (PeriodicJob recurring = new PeriodicJob(
                "recurring",
                Duration.ofMillis(1),
                () -> {
                    if (times.incrementAndGet() < 3) {
                        throw new NoClassDefFoundError("of the first two");
                    }
                },
                () -> {})) {
            recurring.start();

            await().atMost(LONGEST).until(() -> times.get() > 3);
            assertThat(recurring.problems()).isEmpty();
        }
    }
}
