package io.aitbc.coordinator.dispatch;

import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import org.apache.kafka.common.Uuid;

/**
 * Where the partitions of waiting tasks ended a few seconds ago, as noted in Redis by their owners. If one ends earlier than it did, Kafka
 * was restored from an older copy, and has less than Redis knows. A topic that was deleted and created again is another topic.
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

        /** Whether a partition ended later than it does now. */
        boolean isBeyond(Id partition, long end) {
            String known = ends.get(partition.toString());
            return known != null && Redis.count(known) > end;
        }
    }

    CompletableFuture<Snapshot> read() {
        return redis.async().hgetall(Keys.QUEUE_ENDS).thenApply(Snapshot::new).toCompletableFuture();
    }

    /** Best effort: what is not written is written again a few seconds later. */
    void write(Map<Id, Long> ends) {
        Map<String, String> fields = new HashMap<>();
        ends.forEach((partition, end) -> fields.put(partition.toString(), Objects.toString(end)));
        redis.async().hset(Keys.QUEUE_ENDS, fields);
    }
}
