package io.aitbc.worker;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** Runs handlers concurrently, up to the agent's capacity. The rest wait in FIFO order. */
final class Slots {
    private final int capacity;
    private final ThreadPoolExecutor threads;
    private final Deque<Waiting> waiting = new ArrayDeque<>();
    private long waitingBytes;
    private int taken;

    Slots(int capacity, ThreadFactory threads) {
        this.capacity = capacity;
        this.threads =
                new ThreadPoolExecutor(0, Integer.MAX_VALUE, 60, TimeUnit.SECONDS, new SynchronousQueue<>(), threads);
        // Work still waiting when the agent stops is dropped.
        this.threads.setRejectedExecutionHandler(new ThreadPoolExecutor.DiscardPolicy());
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

    boolean isStopped() {
        return threads.isShutdown();
    }

    synchronized int taken() {
        return taken;
    }

    synchronized long waitingBytes() {
        return waitingBytes;
    }

    /** Interrupts running work and drops queued work. */
    void stop() {
        threads.shutdownNow();
    }

    private void runInTurn(Runnable work) {
        try {
            work.run();
        } finally {
            Runnable next = next();
            if (next != null) {
                // Not on this thread: the pool clears the interrupt flag that a handler may have left set.
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
