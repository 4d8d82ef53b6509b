package io.aitbc.coordinator.redis;

import io.lettuce.core.RedisClient;
import io.lettuce.core.RedisCommandExecutionException;
import io.lettuce.core.RedisException;
import io.lettuce.core.RedisFuture;
import io.lettuce.core.api.StatefulRedisConnection;
import io.lettuce.core.api.async.RedisAsyncCommands;
import io.lettuce.core.api.sync.RedisCommands;
import io.lettuce.core.codec.StringCodec;
import io.lettuce.core.pubsub.StatefulRedisPubSubConnection;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * The connection to Redis, opened when first needed and re-established by itself afterwards. While Redis is away each command
 * fails at once. May be used by any thread.
 */
public final class Redis implements AutoCloseable {
    private static final Script SET_ASIDE = Script.beside(Redis.class, "set-aside");
    private static final long PROBE_LASTS_MS = 60_000;
    private static final Script INSPECT = Script.beside(Redis.class, "inspect");

    private final RedisClient client;
    private final int database;
    private volatile @Nullable StatefulRedisConnection<String, String> connection;

    /** @param database the number of the one that the client connects to */
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
     * Reads a key that is to be a hash. Anything else in its place is set aside, and read as an empty hash.
     *
     * @param read what is read of it
     */
    public <T> CompletableFuture<T> readHash(
            String key, Function<RedisAsyncCommands<String, String>, RedisFuture<T>> read) {
        return read.apply(async()).toCompletableFuture().exceptionallyCompose(failure -> {
            Throwable cause = failure instanceof CompletionException ? failure.getCause() : failure;
            return isWrongType(cause)
                    ? SET_ASIDE
                            .run(this, List.of(key, "type"))
                            .thenCompose(done -> read.apply(async()).toCompletableFuture())
                    : CompletableFuture.failedFuture(cause);
        });
    }

    /** The same, waiting for the answer. */
    public <T> T readHashNow(String key, Function<RedisCommands<String, String>, T> read) {
        try {
            return read.apply(sync());
        } catch (RedisCommandExecutionException e) {
            if (!isWrongType(e)) {
                throw e;
            }
            SET_ASIDE.runNow(this, List.of(key, "type"));
            return read.apply(sync());
        }
    }

    private static boolean isWrongType(Throwable failure) {
        return failure instanceof RedisCommandExecutionException
                && String.valueOf(failure.getMessage()).startsWith("WRONGTYPE");
    }

    /**
     * Sets a hash aside that cannot be read, unless it has changed since.
     *
     * @param seen the fields that show it, as they were read
     */
    public void setAside(String key, Map<String, String> seen) {
        setAside(key, "whole", seen, Map.of());
    }

    /**
     * Sets fields of a hash aside that cannot be read, unless they have changed since.
     *
     * @param seen the fields, as they were read
     * @param instead what takes the place of some; all others are removed
     */
    public void setFieldsAside(String key, Map<String, String> seen, Map<String, String> instead) {
        setAside(key, "fields", seen, instead);
    }

    private void setAside(String key, String what, Map<String, String> seen, Map<String, String> instead) {
        List<String> arguments = new ArrayList<>(List.of(key, what));
        seen.forEach((field, value) -> arguments.addAll(List.of(field, value, instead.getOrDefault(field, ""))));
        SET_ASIDE.runNow(this, arguments);
    }

    /** Sets aside what stands in the place of keys that exist once; returns what has been set aside since anyone asked last. */
    public List<String> inspect() {
        return INSPECT.runNow(this, List.of()).stream().map(String.class::cast).toList();
    }

    /** The same Redis over a connection of its own; whoever asks for it closes it. */
    public Redis another() {
        return new Redis(client, database);
    }

    public StatefulRedisPubSubConnection<String, String> openPubSub() {
        return client.connectPubSub(StringCodec.UTF8);
    }

    /** Fails unless Redis takes writes: one that is full, or a replica, still answers reads. */
    public void proveWritable() {
        sync().psetex(Keys.PROBE, PROBE_LASTS_MS, "written");
    }

    /** A counter, as it was read: 0 if it is missing, or no number until it has been set aside. */
    public static long count(@Nullable String text) {
        try {
            return text == null ? 0 : Long.parseLong(text);
        } catch (NumberFormatException e) {
            return 0;
        }
    }

    /** A channel of this database's own: Redis does not keep those of different databases apart. */
    public String channel(String name) {
        return database == 0 ? name : name + ":" + database;
    }

    /** What went wrong, as the failure of Redis that it is: a connection that is reset comes as an exception of the network. */
    public static RedisException failure(Throwable cause) {
        return cause instanceof RedisException known ? known : new RedisException(cause.getMessage(), cause);
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
