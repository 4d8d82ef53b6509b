package io.aitbc.coordinator.redis;

import io.lettuce.core.RedisClient;
import io.lettuce.core.RedisException;
import io.lettuce.core.api.StatefulRedisConnection;
import io.lettuce.core.api.async.RedisAsyncCommands;
import io.lettuce.core.api.sync.RedisCommands;
import io.lettuce.core.codec.StringCodec;
import io.lettuce.core.pubsub.StatefulRedisPubSubConnection;
import org.jspecify.annotations.Nullable;

/**
 * The connection to Redis, opened when first needed and re-established by itself afterwards. While Redis is away each command
 * fails at once. May be used by any thread.
 */
public final class Redis implements AutoCloseable {
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

    /** The same Redis over a connection of its own; whoever asks for it closes it. */
    public Redis another() {
        return new Redis(client, database);
    }

    public StatefulRedisPubSubConnection<String, String> openPubSub() {
        return client.connectPubSub(StringCodec.UTF8);
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
