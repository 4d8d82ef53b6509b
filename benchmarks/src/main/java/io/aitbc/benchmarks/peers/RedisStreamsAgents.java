package io.aitbc.benchmarks.peers;

import io.aitbc.benchmarks.cluster.ChildProcess;
import io.lettuce.core.Consumer;
import io.lettuce.core.RedisClient;
import io.lettuce.core.RedisFuture;
import io.lettuce.core.StreamMessage;
import io.lettuce.core.XGroupCreateArgs;
import io.lettuce.core.XReadArgs;
import io.lettuce.core.XReadArgs.StreamOffset;
import io.lettuce.core.api.StatefulRedisConnection;
import io.lettuce.core.api.async.RedisAsyncCommands;
import io.lettuce.core.codec.ByteArrayCodec;
import io.lettuce.core.codec.RedisCodec;
import io.lettuce.core.codec.StringCodec;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Agents on streams of Redis. An agent reads tasks as a consumer of the group, and adds their results before it acknowledges and deletes
 * the tasks, all in one pipeline: Redis executes and logs the commands in this order.
 */
final class RedisStreamsAgents {
    static final String TASKS = "tasks";
    static final String RESULTS = "results";
    static final String BODY = "body";
    static final RedisCodec<String, byte[]> CODEC = RedisCodec.of(StringCodec.ASCII, ByteArrayCodec.INSTANCE);

    private static final String GROUP = "agents";

    private RedisStreamsAgents() {}

    /** @param args Redis's URL, the number of agents and their capacity */
    public static void main(String[] args) throws IOException {
        RedisClient client = RedisClient.create(args[0]);
        client.connect(CODEC)
                .sync()
                .xgroupCreate(StreamOffset.from(TASKS, "0"), GROUP, XGroupCreateArgs.Builder.mkstream());
        for (int i = 0; i < Integer.parseInt(args[1]); i++) {
            StatefulRedisConnection<String, byte[]> connection = client.connect(CODEC);
            Consumer<String> agent = Consumer.from(GROUP, "agent-" + i);
            Background.start("agent-" + i, () -> work(connection, agent, Integer.parseInt(args[2])));
        }
        ChildProcess.listen(order -> Map.of());
    }

    private static void work(StatefulRedisConnection<String, byte[]> connection, Consumer<String> agent, int capacity)
            throws Exception {
        connection.setAutoFlushCommands(false);
        RedisAsyncCommands<String, byte[]> redis = connection.async();
        XReadArgs arguments = XReadArgs.Builder.block(Duration.ofSeconds(10)).count(capacity);
        List<RedisFuture<?>> sent = new ArrayList<>();
        while (true) {
            RedisFuture<List<StreamMessage<String, byte[]>>> next =
                    redis.xreadgroup(agent, arguments, StreamOffset.lastConsumed(TASKS));
            connection.flushCommands();
            List<StreamMessage<String, byte[]>> tasks = next.get();
            for (RedisFuture<?> one : sent) {
                one.get();
            }
            sent.clear();
            if (!tasks.isEmpty()) {
                complete(redis, tasks, sent);
            }
        }
    }

    private static void complete(
            RedisAsyncCommands<String, byte[]> redis,
            List<StreamMessage<String, byte[]>> tasks,
            List<RedisFuture<?>> sent) {
        for (StreamMessage<String, byte[]> task : tasks) {
            sent.add(redis.xadd(
                    RESULTS, Map.of(BODY, Bodies.result(task.getBody().get(BODY)))));
        }
        String[] ids = tasks.stream().map(StreamMessage::getId).toArray(String[]::new);
        sent.add(redis.xack(TASKS, GROUP, ids));
        sent.add(redis.xdel(TASKS, ids));
    }
}
