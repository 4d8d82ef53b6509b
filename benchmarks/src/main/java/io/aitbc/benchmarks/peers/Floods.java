package io.aitbc.benchmarks.peers;

import io.aitbc.benchmarks.cluster.ChildProcess;
import io.aitbc.benchmarks.cluster.Cluster;
import java.io.IOException;
import java.time.Duration;
import java.util.BitSet;
import java.util.Map;

/** The submitting side of a peer: submits floods on command, and awaits one result of each task. */
final class Floods {
    private static final Duration TIMEOUT = Duration.ofMinutes(5);

    /** Numbers of tasks without a result. */
    private final BitSet open = new BitSet();

    private int repeated;
    private int submitted;

    /** Submits tasks as fast as possible, until the server has acknowledged all. */
    @FunctionalInterface
    interface Submission {
        /**
         * @param from the number of the first task
         * @param to the number after the last task
         */
        void submit(int from, int to) throws Exception;
    }

    /** Runs a flood for each command, until standard input ends. */
    void listen(Submission submission) throws IOException {
        ChildProcess.listen(order -> flood(Integer.parseInt(order.get(0)), submission));
    }

    private Object flood(int count, Submission submission) {
        int from = submitted;
        submitted += count;
        synchronized (this) {
            open.set(from, submitted);
        }
        long start = System.nanoTime();
        try {
            submission.submit(from, submitted);
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
        Cluster.await("results", TIMEOUT, this::complete);
        double perSecond = count * 1e9 / (System.nanoTime() - start);
        reportRepeated();
        return Map.of("perSecond", perSecond);
    }

    synchronized void received(byte[] result) {
        int number = Bodies.number(result);
        if (open.get(number)) {
            open.clear(number);
        } else {
            repeated++;
        }
    }

    private synchronized boolean complete() {
        return open.isEmpty();
    }

    /** All peers deliver at least once, so a repeated result is no failure, but it has taken time. */
    private synchronized void reportRepeated() {
        if (repeated > 0) {
            System.err.println(repeated + " results came more than once");
            repeated = 0;
        }
    }
}
