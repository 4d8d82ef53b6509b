package io.aitbc.coordinator.background;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class WatchedThreadTest {
    private static final Duration LONGEST = Duration.ofSeconds(10);

    @Test
    void thatItHasEndedIsTold() {
        WatchedThread thread = new WatchedThread("doomed", () -> {
            throw new StackOverflowError("too deep");
        });
        assertThat(thread.troubles()).as("not started yet").isEmpty();

        thread.start();

        await().atMost(LONGEST).until(() -> !thread.isAlive());
        assertThat(thread.troubles())
                .containsExactly("thread doomed has ended: java.lang.StackOverflowError: too deep");
    }

    @Test
    void thatItWasAskedToEndIsNoTrouble() {
        CountDownLatch closing = new CountDownLatch(1);
        WatchedThread thread = new WatchedThread("asked", () -> {
            try {
                closing.await();
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        });
        thread.start();

        thread.interrupt();

        assertThat(thread.isAlive()).isFalse();
        assertThat(thread.troubles()).isEmpty();
    }

    @Test
    void noFailureOfARecurringActionEndsItsThread() {
        AtomicInteger times = new AtomicInteger();
        try (Recurring recurring = new Recurring(
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
            assertThat(recurring.troubles()).isEmpty();
        }
    }
}
