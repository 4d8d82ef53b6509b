package io.aitbc.benchmarks.load;

import io.aitbc.contracts.Json;
import io.lettuce.core.RedisClient;
import io.lettuce.core.ScriptOutputType;
import io.lettuce.core.api.StatefulRedisConnection;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/**
 * The minimum that prevents a second assignment of a task after a crash: one write to Redis before a task is assigned and one when it is
 * done, each for a batch in one call. No capacity, no deadline, no query.
 */
final class Fence implements AutoCloseable {
    private static final String GRANT =
            "for i, id in ipairs(cjson.decode(ARGV[1])) do redis.call('SET', 'fenced:' .. id, ARGV[2], 'NX') end";
    private static final String SETTLE =
            "for i, id in ipairs(cjson.decode(ARGV[1])) do redis.call('SET', 'fenced:' .. id, ARGV[2], 'EX', 86400) end";

    private final RedisClient client;
    private final StatefulRedisConnection<String, String> redis;
    private final String grant;
    private final String settle;

    Fence(String redisUrl) {
        client = RedisClient.create(redisUrl);
        redis = client.connect();
        grant = redis.sync().scriptLoad(GRANT);
        settle = redis.sync().scriptLoad(SETTLE);
    }

    CompletableFuture<?> grant(List<ConsumerRecord<String, byte[]>> tasks) {
        return call(grant, tasks, "given");
    }

    CompletableFuture<?> settle(List<ConsumerRecord<String, byte[]>> results) {
        return call(settle, results, "done");
    }

    private CompletableFuture<?> call(String script, List<ConsumerRecord<String, byte[]>> records, String word) {
        String ids = Json.text(records.stream().map(ConsumerRecord::key).toList());
        return redis.async()
                .evalsha(script, ScriptOutputType.STATUS, new String[0], ids, word)
                .toCompletableFuture();
    }

    @Override
    public void close() {
        redis.close();
        client.shutdown();
    }
}
