package io.aitbc.benchmarks.peers;

import io.lettuce.core.RedisClient;
import io.lettuce.core.RedisFuture;
import io.lettuce.core.StreamMessage;
import io.lettuce.core.XReadArgs;
import io.lettuce.core.XReadArgs.StreamOffset;
import io.lettuce.core.XTrimArgs;
import io.lettuce.core.api.StatefulRedisConnection;
import io.lettuce.core.api.sync.RedisCommands;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Submits tasks to {@link RedisStreamsAgents} and reads their results. */
final class RedisStreamsSubmitter {
    private static final int AT_ONCE = 1_000;

    private RedisStreamsSubmitter() {}

    /** @param args Redis's URL */
    public static void main(String[] args) throws IOException {
        RedisClient client = RedisClient.create(args[0]);
        StatefulRedisConnection<String, byte[]> tasks = client.connect(RedisStreamsAgents.CODEC);
        tasks.setAutoFlushCommands(false);
        RedisCommands<String, byte[]> results =
                client.connect(RedisStreamsAgents.CODEC).sync();
        Floods floods = new Floods();
        Background.start("results", () -> read(results, floods));
        floods.listen((from, to) -> {
            for (int i = from; i < to; i += AT_ONCE) {
                submit(tasks, i, Math.min(to, i + AT_ONCE));
            }
        });
    }

    private static void submit(StatefulRedisConnection<String, byte[]> tasks, int from, int to) throws Exception {
        List<RedisFuture<String>> sent = new ArrayList<>(to - from);
        for (int i = from; i < to; i++) {
            sent.add(tasks.async().xadd(RedisStreamsAgents.TASKS, Map.of(RedisStreamsAgents.BODY, Bodies.task(i))));
        }
        tasks.flushCommands();
        for (RedisFuture<String> one : sent) {
            one.get();
        }
    }

    /** What has been read is trimmed: a submitter that was restarted would read on from the first that is left. */
    private static void read(RedisCommands<String, byte[]> redis, Floods floods) {
        XReadArgs arguments = XReadArgs.Builder.block(Duration.ofSeconds(1)).count(AT_ONCE);
        String last = "0";
        while (true) {
            List<StreamMessage<String, byte[]>> results =
                    redis.xread(arguments, StreamOffset.from(RedisStreamsAgents.RESULTS, last));
            if (!results.isEmpty()) {
                results.forEach(result -> floods.received(result.getBody().get(RedisStreamsAgents.BODY)));
                last = results.get(results.size() - 1).getId();
                redis.xtrim(
                        RedisStreamsAgents.RESULTS,
                        XTrimArgs.Builder.minId(last).approximateTrimming());
            }
        }
    }
}
