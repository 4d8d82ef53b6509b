package io.aitbc.coordinator.dispatch;

import io.aitbc.contracts.ControlMessage.Probe;
import io.aitbc.coordinator.queue.TaskIds;
import java.time.Clock;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/** Sends probes through the control topic, one at a time, and reports whether they come back. Thread-safe. */
final class Probes {
    /** Timeout of a probe. Callers within this time after its end share its outcome, so that they cannot flood Kafka with probes. */
    private static final Duration TIMEOUT = Duration.ofSeconds(2);

    private final Function<Probe, CompletableFuture<Void>> send;
    private final Clock clock;
    private final LongSupplier nanoTime;
    private @Nullable PendingProbe newest;

    /**
     * @param send may block
     * @param nanoTime as {@link System#nanoTime}
     */
    Probes(Function<Probe, CompletableFuture<Void>> send, Clock clock, LongSupplier nanoTime) {
        this.send = send;
        this.clock = clock;
        this.nanoTime = nanoTime;
    }

    /** A probe in flight, or a recent one. Sent by a thread of its own, because sending blocks while the topic's metadata is missing. */
    private final class PendingProbe {
        private final Probe probe = new Probe(TaskIds.next(), clock.instant());
        private final CompletableFuture<Void> completed = new CompletableFuture<>();
        private final CompletableFuture<Long> endedAtNanos;
        private final Thread sender = new Thread(this::send, "probe");

        PendingProbe() {
            endedAtNanos = completed
                    .orTimeout(TIMEOUT.toMillis(), TimeUnit.MILLISECONDS)
                    .handle((done, failure) -> nanoTime.getAsLong());
            sender.setDaemon(true);
            sender.start();
        }

        private void send() {
            try {
                send.apply(probe).join();
            } catch (RuntimeException e) {
                completed.completeExceptionally(e.getCause() == null ? e : e.getCause());
            }
        }

        boolean isOver() {
            Long ended = endedAtNanos.getNow(null);
            return ended != null && !sender.isAlive() && nanoTime.getAsLong() - ended >= TIMEOUT.toNanos();
        }
    }

    /** Completes when a probe has come back; fails if that takes longer than two seconds. */
    synchronized CompletableFuture<Void> probe() {
        if (newest == null || newest.isOver()) {
            newest = new PendingProbe();
        }
        return newest.completed;
    }

    synchronized void returned(Probe probe) {
        if (newest != null && newest.probe.commandId().equals(probe.commandId())) {
            newest.completed.complete(null);
        }
    }
}
