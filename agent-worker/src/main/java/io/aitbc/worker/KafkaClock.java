package io.aitbc.worker;

import java.time.Clock;
import java.time.Instant;

/**
 * Kafka's clock, approximated by the local clock until a reading is available. Between readings it advances with {@link
 * System#nanoTime}, so adjustments of the local clock do not affect it.
 */
final class KafkaClock {
    private final Clock machine;
    private volatile Reading last;

    KafkaClock(Clock machine) {
        this.machine = machine;
        this.last = new Reading(machine.instant(), System.nanoTime());
    }

    Instant now() {
        Reading reading = last;
        // Millisecond precision, as in Kafka.
        return reading.time.plusMillis((System.nanoTime() - reading.nanos) / 1_000_000);
    }

    /** Returns the time of the last acknowledged heartbeat. Does not advance while Kafka is unavailable. */
    Instant lastAcknowledged() {
        return last.time;
    }

    /**
     * Records the acknowledgement of a record.
     *
     * @param sent the timestamp it was sent with, by the local clock
     * @param stored the timestamp stored in the topic: the broker's time, or {@code sent} if the topic keeps the producer's
     */
    void acknowledged(long sent, long stored) {
        Instant time = stored == sent ? machine.instant() : Instant.ofEpochMilli(stored);
        last = new Reading(time, System.nanoTime());
    }

    private record Reading(Instant time, long nanos) {}
}
