package io.aitbc.coordinator.dispatch;

import java.time.Duration;
import java.util.Queue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Work that other threads submit to the dispatcher's thread, its owner. Any thread may post; only the owner runs the mail, so that an error
 * in it reaches the owner's loop.
 */
final class Mailbox {
    private final Runnable wakeUp;
    private final BlockingQueue<Runnable> urgent = new LinkedBlockingQueue<>();
    /** Low-priority mail that waits for the next round: waking the thread for each message would cost more than handling it. */
    private final Queue<Runnable> lazy = new ConcurrentLinkedQueue<>();

    private volatile boolean blocked;

    /** @param wakeUp wakes the owner while it is blocked elsewhere */
    Mailbox(Runnable wakeUp) {
        this.wakeUp = wakeUp;
    }

    /** Submits an action, and wakes the owner if it is blocked. */
    void post(Runnable mail) {
        urgent.add(mail);
        if (blocked) {
            wakeUp.run();
        }
    }

    /** Submits an action for the owner's next round, without waking it. */
    void postLazily(Runnable mail) {
        lazy.add(mail);
    }

    /** A future with the same outcome, which completes on the owner's thread. */
    <T> CompletableFuture<T> relay(CompletableFuture<T> outcome) {
        CompletableFuture<T> here = new CompletableFuture<>();
        outcome.whenComplete((value, failure) -> post(() -> complete(here, value, failure)));
        return here;
    }

    /** Like {@link #relay}, without waking the owner. */
    <T> CompletableFuture<T> relayLazily(CompletableFuture<T> outcome) {
        CompletableFuture<T> here = new CompletableFuture<>();
        outcome.whenComplete((value, failure) -> postLazily(() -> complete(here, value, failure)));
        return here;
    }

    private static <T> void complete(CompletableFuture<T> here, T value, @Nullable Throwable failure) {
        if (failure == null) {
            here.complete(value);
        } else {
            here.completeExceptionally(failure);
        }
    }

    /**
     * Announces that the owner is about to block elsewhere: from here on, mail wakes it.
     *
     * @return whether it may block, since no mail is waiting
     */
    boolean block() {
        blocked = true;
        return urgent.isEmpty();
    }

    /** The owner no longer blocks. */
    void unblock() {
        blocked = false;
    }

    /** Runs all mail. */
    void runAll() {
        runAll(urgent);
        runAll(lazy);
    }

    private static void runAll(Queue<Runnable> queue) {
        for (Runnable mail = queue.poll(); mail != null; mail = queue.poll()) {
            mail.run();
        }
    }

    /** Waits for urgent mail, at most this long, and runs the first. */
    void await(Duration timeout) throws InterruptedException {
        Runnable mail = urgent.poll(timeout.toMillis(), TimeUnit.MILLISECONDS);
        if (mail != null) {
            mail.run();
        }
    }
}
