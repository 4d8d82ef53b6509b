package io.aitbc.coordinator.background;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class MonitoredThreadTest {
    private static final Duration LONGEST = Duration.ofSeconds(60);

    @Test
    void anUnexpectedEndIsReported() {
        MonitoredThread thread = new MonitoredThread("doomed", () -> {
            throw new StackOverflowError("too deep");
        });
        assertThat(thread.problems()).as("not started yet").isEmpty();

        thread.start();

        await().atMost(LONGEST).until(() -> !thread.isAlive());
        assertThat(thread.problems())
                .containsExactly(new Problem("thread doomed has ended: java.lang.StackOverflowError: too deep", true));
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

        thread.close(thread::interrupt);

        assertThat(thread.isAlive()).isFalse();
        assertThat(thread.problems()).isEmpty();
    }

    @Test
    void aPauseEndsWhenTheThreadIsClosed() {
        AtomicInteger pauses = new AtomicInteger();
        MonitoredThread[] thread = new MonitoredThread[1];
        thread[0] = new MonitoredThread("pausing", () -> {
            try {
                while (thread[0].pause(pauses.getAndIncrement() == 0 ? Duration.ZERO : Duration.ofHours(1))) {
                    assertThat(thread[0].isClosing()).isFalse();
                }
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        });
        thread[0].start();
        await().atMost(LONGEST).until(() -> pauses.get() == 2);

        thread[0].close();

        assertThat(thread[0].isAlive()).isFalse();
        assertThat(thread[0].isClosing()).isTrue();
        assertThat(thread[0].problems()).isEmpty();
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
