package io.aitbc.coordinator;

import io.aitbc.contracts.Json;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.localstack.LocalRedis;
import io.aitbc.localstack.LocalStack;
import io.lettuce.core.RedisClient;
import io.lettuce.core.pubsub.RedisPubSubAdapter;
import java.nio.file.Path;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import tools.jackson.databind.JsonNode;

/** A dedicated Redis for a test that captures every notice. */
public final class OverheardRedis implements AutoCloseable {
    private final LocalRedis server;
    private final RedisClient client;
    private final Redis redis;
    private final BlockingQueue<String> notices = new LinkedBlockingQueue<>();

    public OverheardRedis(Path folder) {
        server = LocalRedis.start(folder, LocalStack.freePort());
        client = RedisClient.create(server.url());
        redis = new Redis(client, 0);
        redis.subscribe(
                new RedisPubSubAdapter<>() {
                    @Override
                    public void message(String channel, String message) {
                        notices.add(message);
                    }
                },
                redis.channel(Keys.AGENT_EVENTS));
    }

    public Redis redis() {
        return redis;
    }

    /** Returns the next notice; fails after 10 seconds without one. */
    public JsonNode notice() {
        try {
            String notice = notices.poll(10, TimeUnit.SECONDS);
            if (notice == null) {
                throw new AssertionError("no notice was given");
            }
            return Json.MAPPER.readTree(notice);
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    @Override
    public void close() {
        redis.close();
        client.shutdown();
        server.close();
    }
}
