package io.aitbc.worker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.time.Duration;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Executors;
import java.util.concurrent.Semaphore;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class SlotsTest {
    private final Slots slots = new Slots(1, Executors.newCachedThreadPool(work -> {
        Thread thread = new Thread(work);
        thread.setUncaughtExceptionHandler((where, made) -> {});
        return thread;
    }));
    private final Queue<String> ran = new ConcurrentLinkedQueue<>();
    private final Semaphore leave = new Semaphore(0);

    @AfterEach
    void stop() throws InterruptedException {
        slots.stop(Duration.ZERO);
    }

    private void fill() {
        slots.run(
                () -> {
                    leave.acquireUninterruptibly();
                    throw new IllegalStateException("simulated failure");
                },
                0);
    }

    private Runnable named(String name) {
        return () -> ran.add(name);
    }

    @Test
    void whatWaitsRunsInOrderAlsoAfterOneThatThrew() {
        fill();
        slots.run(named("first"), 10);
        slots.run(named("second"), 20);
        assertThat(slots.waitingBytes()).isEqualTo(30);
        leave.release();
        await().until(() -> slots.taken() == 0);
        assertThat(ran).containsExactly("first", "second");
        assertThat(slots.waitingBytes()).isZero();
    }

    @Test
    void whatIsWithdrawnDoesNotRun() {
        Runnable withdrawn = named("withdrawn");
        fill();
        slots.run(withdrawn, 10);
        slots.run(named("other"), 20);
        assertThat(slots.withdraw(withdrawn)).isTrue();
        assertThat(slots.withdraw(withdrawn)).isFalse();
        assertThat(slots.waitingBytes()).isEqualTo(20);
        leave.release();
        await().until(() -> slots.taken() == 0);
        assertThat(ran).containsExactly("other");
    }

    @Test
    void nothingStartsOnceItIsStopped() throws InterruptedException {
        Runnable waiting = named("waiting");
        fill();
        slots.run(waiting, 10);
        assertThat(slots.stop(Duration.ofMillis(1))).containsExactly(waiting);
        leave.release();
        await().until(() -> slots.taken() == 0);
        assertThat(slots.waitingBytes()).isZero();
        assertThat(ran).isEmpty();
    }
}
