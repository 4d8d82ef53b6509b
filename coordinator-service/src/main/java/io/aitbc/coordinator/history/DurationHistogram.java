package io.aitbc.coordinator.history;

import org.jspecify.annotations.Nullable;

/** Durations, counted in the buckets of {@code duration_bucket} in the database: each is 5 % longer than the one before. */
final class DurationHistogram {
    private static final int BUCKETS = 501;
    private static final double FIRST_SECONDS = 0.001;
    private static final double GROWTH = 1.05;

    private final long[] counts = new long[BUCKETS];
    private long total;

    /**
     * Adds counts.
     *
     * @param buckets from 0 to 500, as PostgreSQL's driver returns them
     */
    void add(Number[] buckets, Number[] added) {
        for (int i = 0; i < buckets.length; i++) {
            counts[buckets[i].intValue()] += added[i].longValue();
            total += added[i].longValue();
        }
    }

    /**
     * The nearest-rank percentile in seconds, within 3 % of the true one; null if there are none.
     *
     * @param share above 0, up to 1
     */
    @Nullable
    Double percentile(double share) {
        long rank = (long) Math.ceil(share * total);
        for (int bucket = 0; bucket < BUCKETS; bucket++) {
            rank -= counts[bucket];
            if (counts[bucket] > 0 && rank <= 0) {
                // To the microsecond, in the middle of the bucket.
                return Math.round(FIRST_SECONDS * Math.pow(GROWTH, bucket - 0.5) * 1_000_000) / 1_000_000.0;
            }
        }
        return null;
    }
}
