package io.aitbc.coordinator.dispatch;

import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import org.apache.kafka.common.Uuid;

/**
 * The high watermarks of the partitions of waiting tasks, as noted in Redis by their owners every ten seconds. If one is lower than it
 * was, Kafka may have been restored from an older copy, and have less than Redis knows. A topic that was deleted and created again is another topic.
 */
final class KnownEnds {
    private final Redis redis;

    KnownEnds(Redis redis) {
        this.redis = redis;
    }

    /** A partition of a topic. */
    record Id(Uuid topicId, int partition) {
        /** The field in Redis, such as {@code 7T5mF3qkQ1-L0b2V9wXyZg:3}. */
        @Override
        public String toString() {
            return topicId + ":" + partition;
        }
    }

    /** Ends by partition. */
    static final class Snapshot {
        private final Map<String, String> ends;

        private Snapshot(Map<String, String> ends) {
            this.ends = ends;
        }

        /** Empty if none was noted. */
        Optional<Long> of(Id partition) {
            return Optional.ofNullable(ends.get(partition.toString())).map(Redis::count);
        }
    }

    CompletableFuture<Snapshot> read() {
        return redis.readHash(Keys.QUEUE_ENDS, read -> read.hgetall(Keys.QUEUE_ENDS))
                .thenApply(Snapshot::new);
    }

    /** Best effort: a higher one follows with the next tasks. */
    void write(Id partition, long end) {
        redis.async().hset(Keys.QUEUE_ENDS, partition.toString(), String.valueOf(end));
    }
}
