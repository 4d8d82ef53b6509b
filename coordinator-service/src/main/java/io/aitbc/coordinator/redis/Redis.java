package io.aitbc.coordinator.redis;

import io.lettuce.core.RedisClient;
import io.lettuce.core.RedisCommandExecutionException;
import io.lettuce.core.RedisCommandInterruptedException;
import io.lettuce.core.RedisCommandTimeoutException;
import io.lettuce.core.RedisException;
import io.lettuce.core.RedisFuture;
import io.lettuce.core.api.StatefulRedisConnection;
import io.lettuce.core.api.async.RedisAsyncCommands;
import io.lettuce.core.api.sync.RedisCommands;
import io.lettuce.core.codec.StringCodec;
import io.lettuce.core.pubsub.RedisPubSubListener;
import io.lettuce.core.pubsub.StatefulRedisPubSubConnection;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The connection to Redis, opened on first use and re-established automatically. While Redis is unavailable every command fails
 * at once. Thread-safe.
 */
public final class Redis implements AutoCloseable {
    private static final Script INDEX_MARK = Script.load(Redis.class, "index-mark");
    private static final Pattern REPLICATION_ID = Pattern.compile("master_replid:(\\p{XDigit}+)");
    /** The replication id of the primary that a promoted replica followed; zeros if there was none. */
    private static final Pattern EARLIER_ID = Pattern.compile("master_replid2:0*[1-9a-f]");

    private static final long WAIT_SECONDS = 5;

    private static final Script QUARANTINE = Script.load(Redis.class, "quarantine");
    /** A mark with the number of a format; in version 0.1 it was a time. */
    private static final Pattern NUMBERED = Pattern.compile("\\d{1,3} .*");

    private static final Pattern NOT_ASCII = Pattern.compile("[^\\x00-\\x7F]+");

    private static final long PROBE_TTL_MS = 60_000;
    private static final Script INSPECT = Script.load(Redis.class, "inspect");

    private final RedisClient client;
    private final int database;
    private volatile @Nullable StatefulRedisConnection<String, String> connection;

    /** @param database number of the database the client connects to */
    public Redis(RedisClient client, int database) {
        this.client = client;
        this.database = database;
    }

    public RedisAsyncCommands<String, String> async() {
        return connection().async();
    }

    public RedisCommands<String, String> sync() {
        return connection().sync();
    }

    /**
     * Reads a key that must be a hash. A value of another type is quarantined, and read as an empty hash.
     *
     * @param read reads from the hash
     */
    public <T> CompletableFuture<T> readHash(
            String key, Function<RedisAsyncCommands<String, String>, RedisFuture<T>> read) {
        return read.apply(async()).toCompletableFuture().exceptionallyCompose(failure -> {
            Throwable cause = failure instanceof CompletionException ? failure.getCause() : failure;
            return isWrongType(cause)
                    ? QUARANTINE
                            .run(this, List.of(key, "type", "HLEN"))
                            .thenCompose(done -> read.apply(async()).toCompletableFuture())
                    : CompletableFuture.failedFuture(cause);
        });
    }

    /** Reads a key that must be a text; null if it is missing. A value of another type is quarantined. */
    public @Nullable String readText(String key) {
        try {
            return sync().get(key);
        } catch (RedisCommandExecutionException e) {
            if (!isWrongType(e)) {
                throw e;
            }
            QUARANTINE.runSync(this, List.of(key, "type", "GET"));
            return sync().get(key);
        }
    }

    /** The blocking form of {@link #readHash}. */
    public <T> T readHashSync(String key, Function<RedisCommands<String, String>, T> read) {
        try {
            return read.apply(sync());
        } catch (RedisCommandExecutionException e) {
            if (!isWrongType(e)) {
                throw e;
            }
            QUARANTINE.runSync(this, List.of(key, "type", "HLEN"));
            return read.apply(sync());
        }
    }

    private static boolean isWrongType(@Nullable Throwable failure) {
        return failure instanceof RedisCommandExecutionException
                && String.valueOf(failure.getMessage()).startsWith("WRONGTYPE");
    }

    /**
     * Quarantines an unreadable hash, unless it has changed since it was read.
     *
     * @param seen the fields that show it is unreadable, as read
     */
    public void quarantine(String key, Map<String, String> seen) {
        quarantine(key, "whole", seen, Map.of());
    }

    /** Quarantines an unreadable text, unless it has changed since it was read. */
    public void quarantine(String key, String seen) {
        QUARANTINE.runSync(this, List.of(key, "text", NOT_ASCII.matcher(seen).replaceAll("?")));
    }

    /**
     * Quarantines unreadable fields of a hash, unless they have changed since they were read.
     *
     * @param seen the fields, as read
     * @param instead replacement values for some fields; all others are removed
     */
    public void quarantineFields(String key, Map<String, String> seen, Map<String, String> instead) {
        quarantine(key, "fields", seen, instead);
    }

    private void quarantine(String key, String what, Map<String, String> seen, Map<String, String> instead) {
        List<String> arguments = new ArrayList<>(List.of(key, what));
        seen.forEach((field, value) -> arguments.addAll(List.of(field, value, instead.getOrDefault(field, ""))));
        QUARANTINE.runSync(this, arguments);
    }

    /**
     * Quarantines values of the wrong type among the global keys; returns the quarantine reports since the last call by any
     * coordinator.
     */
    public List<String> inspect() {
        return INSPECT.runSync(this, List.of()).stream().map(String.class::cast).toList();
    }

    /** The same Redis over a separate connection, which the caller must close. */
    public Redis newConnection() {
        return new Redis(client, database);
    }

    /**
     * Subscribes a listener to channels over a connection of its own, which the caller must close. After a reconnect, Lettuce subscribes
     * again; messages in between are lost.
     */
    public StatefulRedisPubSubConnection<String, String> subscribe(
            RedisPubSubListener<String, String> listener, String... channels) {
        StatefulRedisPubSubConnection<String, String> opened = client.connectPubSub(StringCodec.UTF8);
        try {
            opened.addListener(listener);
            opened.sync().subscribe(channels);
            return opened;
        } catch (RuntimeException e) {
            opened.closeAsync();
            throw e;
        }
    }

    /** Fails unless Redis accepts writes: a full one, or a replica, still answers reads. */
    public void checkWritable() {
        sync().psetex(Keys.PROBE, PROBE_TTL_MS, "written");
    }

    /**
     * Checks that this version can read the keys, or convert them.
     *
     * @throws IllegalStateException if a newer version has written them
     */
    public void checkFormat() {
        String mark = readText(Keys.INDEX_COMPLETE);
        if (mark != null
                && !mark.startsWith(Keys.FORMAT)
                && NUMBERED.matcher(mark).matches()) {
            throw new IllegalStateException(
                    "it holds the data of a newer version of the coordinator, which this one cannot read");
        }
    }

    /**
     * The mark of a complete index; null after Redis was emptied, and after it was started or a replica has replaced it, until the index has been
     * verified.
     */
    public @Nullable String indexMark() {
        return indexMark("");
    }

    /** Like {@link #indexMark()}; notes in Redis itself how recent its data are. */
    public @Nullable String noteWritten() {
        return indexMark("1");
    }

    /** Until when Redis has all that was written; null after it was emptied. */
    public @Nullable Instant writtenAt() {
        String text = readText(Keys.INDEX_WRITTEN);
        long ms = count(text);
        return ms == 0 ? null : Instant.ofEpochMilli(ms);
    }

    /** Whether this Redis continues the data of another one: a replica that was promoted, whose old primary may live on, or one that has loaded a snapshot. */
    public boolean hasEarlierId() {
        return EARLIER_ID.matcher(sync().info("replication")).find();
    }

    /** Names this run of Redis as a primary: each start and each failover begins another one. */
    public String replicationId() {
        Matcher id = REPLICATION_ID.matcher(sync().info("replication"));
        return id.find() ? id.group(1) : "-";
    }

    private @Nullable String indexMark(String note) {
        String mark = (String) INDEX_MARK.runSync(this, List.of(note)).get(0);
        return mark.isEmpty() ? null : mark;
    }

    /** Settings of Redis with which it can lose or forget what it has acknowledged, one sentence each. */
    public List<String> durabilityProblems() {
        return RedisDurability.problems(sync().info());
    }

    /** Parses a counter: 0 if it is missing, or is not a number and has not been quarantined yet. */
    public static long count(@Nullable String text) {
        try {
            return text == null ? 0 : Long.parseLong(text);
        } catch (NumberFormatException e) {
            return 0;
        }
    }

    /** The name of a channel, qualified by database: Redis channels are shared by all databases. */
    public String channel(String name) {
        return database == 0 ? name : name + ":" + database;
    }

    /** Waits up to 5 s for an answer, see {@link #await(CompletableFuture, long)}. */
    public static <T extends @Nullable Object> T await(CompletableFuture<T> answer) {
        return await(answer, WAIT_SECONDS);
    }

    /**
     * Waits for an answer.
     *
     * @throws RedisException if Redis fails, or does not answer in this many seconds
     */
    public static <T extends @Nullable Object> T await(CompletableFuture<T> answer, long seconds) {
        try {
            return answer.get(seconds, TimeUnit.SECONDS);
        } catch (ExecutionException e) {
            throw failure(e.getCause());
        } catch (TimeoutException e) {
            throw new RedisCommandTimeoutException("no response within " + seconds + " s");
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new RedisCommandInterruptedException(e);
        }
    }

    /** Wraps a failure as a Redis exception: a reset connection surfaces as a network exception. */
    public static RedisException failure(@Nullable Throwable cause) {
        return cause instanceof RedisException known
                ? known
                : new RedisException(cause == null ? "no cause" : cause.getMessage(), cause);
    }

    @Override
    public void close() {
        StatefulRedisConnection<String, String> open = connection;
        if (open != null && open.isOpen()) {
            open.close();
        }
    }

    private StatefulRedisConnection<String, String> connection() {
        StatefulRedisConnection<String, String> open = connection;
        return open != null ? open : open();
    }

    private synchronized StatefulRedisConnection<String, String> open() {
        StatefulRedisConnection<String, String> open = connection;
        if (open == null) {
            open = client.connect(new Utf8());
            connection = open;
        }
        return open;
    }
}
