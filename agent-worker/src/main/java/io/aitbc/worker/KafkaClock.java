package io.aitbc.worker;

import java.time.Clock;
import java.time.Instant;

/**
 * The time by Kafka's clock as far as it is known, else by this machine's. Between two readings it advances with
 * {@link System#nanoTime}, so setting the machine's clock does not move it.
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
        // To the millisecond, as Kafka has it.
        return reading.time.plusMillis((System.nanoTime() - reading.nanos) / 1_000_000);
    }

    /** The time when Kafka last acknowledged a heartbeat. Stands still while Kafka is away. */
    Instant heard() {
        return last.time;
    }

    /**
     * A record was acknowledged.
     *
     * @param sent the timestamp it was sent with, by the machine's clock
     * @param stored the timestamp it has in its topic: the broker's time, or {@code sent} where the topic keeps that
     */
    void acknowledged(long sent, long stored) {
        Instant time = stored == sent ? machine.instant() : Instant.ofEpochMilli(stored);
        last = new Reading(time, System.nanoTime());
    }

    private record Reading(Instant time, long nanos) {}
}
