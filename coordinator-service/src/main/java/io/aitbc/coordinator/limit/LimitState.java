package io.aitbc.coordinator.limit;

import io.aitbc.contracts.Limit;
import java.time.Duration;
import java.time.Instant;

/**
 * What is used of a limit, as of the last report of Redis.
 *
 * @param used units that live attempts hold
 * @param fullAt when the bucket of its rate is full again; in the past if it is
 * @param period of the budget that the next two are of; empty if none was spent
 * @param spent units
 * @param noted units that may be spent before more is noted in Kafka
 * @param closedUntil until when no units are granted, because an agent said so
 */
public record LimitState(long used, Instant fullAt, String period, long spent, long noted, Instant closedUntil) {
    /** Nothing is used. */
    public static final LimitState UNUSED = new LimitState(0, Instant.EPOCH, "", 0, 0, Instant.EPOCH);

    /** Of fractions of units. */
    private static final double ROUNDING = 1e-6;

    /**
     * @param fullInMicros from now until its bucket is full
     * @param closedForMillis from now
     */
    public static LimitState at(
            Instant now, long used, double fullInMicros, String period, long spent, long noted, long closedForMillis) {
        return new LimitState(
                used,
                now.plus(Duration.ofNanos((long) (fullInMicros * 1_000))),
                period,
                spent,
                noted,
                now.plusMillis(closedForMillis));
    }

    /** With a bucket that was empty at some time, and has not been used since. */
    public LimitState withBucketEmptyAt(Instant time, Limit.Rate rate) {
        Duration whole = Duration.ofNanos((long) (rate.burst() * rate.intervalMicros() * 1_000));
        return new LimitState(used, time.plus(whole), period, spent, noted, closedUntil);
    }

    /** With units of a budget that were spent, all of which have been noted. */
    public LimitState withSpent(String inPeriod, long units) {
        return new LimitState(used, fullAt, inPeriod, units, units, closedUntil);
    }

    /** What was spent of a budget in its present period. */
    public long spent(Limit.Budget budget, Instant now) {
        return period.equals(budget.period(now)) ? spent : 0;
    }

    /**
     * How many units an attempt may use now, whatever has been noted.
     *
     * @param pending units that have been asked for, and are not in this state
     */
    public long room(Limit limit, long pending, Instant now) {
        if (now.isBefore(closedUntil)) {
            return 0;
        }
        long room = Long.MAX_VALUE;
        if (limit.concurrency() != null) {
            room = limit.concurrency() - used - pending;
        }
        if (limit.rate() != null) {
            room = Math.min(room, (long) (limit.rate().burst() - missing(limit.rate(), now) - pending + ROUNDING));
        }
        if (limit.budget() != null) {
            room = Math.min(room, limit.budget().units() - spent(limit.budget(), now) - pending);
        }
        return Math.max(0, room);
    }

    /**
     * When units are available, unless others use them; {@link Instant#MAX} if an attempt has to end first.
     *
     * @param pending units that have been asked for, and are not in this state
     */
    public Instant dueAt(Limit limit, long units, long pending, Instant now) {
        if (limit.concurrency() != null && used + pending + units > limit.concurrency()) {
            return Instant.MAX;
        }
        Instant due = later(now, closedUntil);
        if (limit.rate() != null) {
            double lacking =
                    missing(limit.rate(), now) + pending + units - limit.rate().burst();
            double nanos = Math.max(0, lacking * limit.rate().intervalMicros() * 1_000);
            due = later(due, now.plus(Duration.ofNanos((long) Math.ceil(nanos))));
        }
        if (limit.budget() != null
                && spent(limit.budget(), now) + units > limit.budget().units()) {
            due = later(due, limit.budget().end(now));
        }
        return due;
    }

    /** Units that the bucket lacks: at most all, whatever an earlier definition allowed. */
    private double missing(Limit.Rate rate, Instant now) {
        double micros = Duration.between(now, fullAt).toMillis() * 1_000.0;
        return Math.max(0, Math.min(rate.burst(), micros / rate.intervalMicros()));
    }

    private static Instant later(Instant one, Instant other) {
        return one.isAfter(other) ? one : other;
    }
}
