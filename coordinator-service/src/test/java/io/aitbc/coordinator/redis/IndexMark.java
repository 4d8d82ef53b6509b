package io.aitbc.coordinator.redis;

import io.lettuce.core.api.sync.RedisCommands;
import java.time.Instant;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The mark that a rebuild sets, for tests of scripts alone. */
public final class IndexMark {
    private static final Pattern REPLICATION_ID = Pattern.compile("master_replid:(\\p{XDigit}+)");

    private IndexMark() {}

    /** The mark of an index that is complete since a time. */
    public static String of(RedisCommands<String, String> redis, Instant since) {
        Matcher id = REPLICATION_ID.matcher(redis.info("replication"));
        if (!id.find()) {
            throw new IllegalStateException("no replication id");
        }
        return Keys.FORMAT + since.toEpochMilli() + " " + id.group(1);
    }

    /** Whether it is the mark of this run of Redis. */
    public static boolean isOf(RedisCommands<String, String> redis, String mark) {
        return of(redis, Instant.EPOCH).endsWith(mark.substring(mark.lastIndexOf(' ')));
    }

    /** Marks the index as complete. */
    public static void set(RedisCommands<String, String> redis, Instant since) {
        redis.set(Keys.INDEX_COMPLETE, of(redis, since));
    }
}
