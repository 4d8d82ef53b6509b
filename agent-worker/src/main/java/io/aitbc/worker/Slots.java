package io.aitbc.worker;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** Runs handlers concurrently, up to the agent's capacity. The rest wait in FIFO order. */
final class Slots {
    private final int capacity;
    private final ExecutorService threads;
    private final Deque<Waiting> waiting = new ArrayDeque<>();
    private long waitingBytes;
    private int taken;

    Slots(int capacity, ExecutorService threads) {
        this.capacity = capacity;
        this.threads = threads;
    }

    /**
     * Starts the work, or queues it while all slots are taken.
     *
     * @param bytes approximate memory footprint while queued
     */
    void run(Runnable work, int bytes) {
        synchronized (this) {
            if (taken == capacity) {
                waiting.add(new Waiting(work, bytes));
                waitingBytes += bytes;
                return;
            }
            taken++;
        }
        threads.execute(() -> runInTurn(work));
    }

    /** Removes waiting work; returns whether it was still waiting and will not run. */
    synchronized boolean withdraw(Runnable work) {
        for (Waiting each : waiting) {
            if (each.work == work) {
                waiting.remove(each);
                waitingBytes -= each.bytes;
                return true;
            }
        }
        return false;
    }

    synchronized int taken() {
        return taken;
    }

    synchronized long waitingBytes() {
        return waitingBytes;
    }

    /**
     * Starts no more work, and waits for the running one.
     *
     * @return the work that was still waiting
     */
    List<Runnable> stop(Duration timeout) throws InterruptedException {
        List<Runnable> left;
        synchronized (this) {
            left = waiting.stream().map(Waiting::work).toList();
            waiting.clear();
            waitingBytes = 0;
        }
        threads.shutdown();
        if (!threads.awaitTermination(timeout.toMillis(), TimeUnit.MILLISECONDS)) {
            threads.shutdownNow();
        }
        return left;
    }

    private void runInTurn(Runnable work) {
        try {
            work.run();
        } finally {
            Runnable next = next();
            if (next != null) {
                // Not on this thread: a handler may have left its interrupt flag set.
                threads.execute(() -> runInTurn(next));
            }
        }
    }

    private synchronized @Nullable Runnable next() {
        Waiting next = waiting.poll();
        if (next == null) {
            taken--;
            return null;
        }
        waitingBytes -= next.bytes;
        return next.work;
    }

    private record Waiting(Runnable work, int bytes) {}
}
