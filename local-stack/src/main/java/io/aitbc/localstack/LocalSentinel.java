package io.aitbc.localstack;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import redis.embedded.RedisSentinel;

/** A Redis primary, two replicas, and three Sentinels, of which two must agree on a failover, on the loopback interface. Not thread-safe. */
public final class LocalSentinel implements AutoCloseable {
    private static final String HOST = "127.0.0.1";
    private static final String NAME = "primary";
    private static final int SERVERS = 3;
    private static final int SENTINELS = 3;
    private static final int QUORUM = 2;
    private static final long DOWN_AFTER_MS = 1_000;
    private static final long FAILOVER_TIMEOUT_MS = 5_000;

    private final List<LocalRedis> started = new ArrayList<>();
    private final List<Server> servers = new ArrayList<>();
    private final List<RedisSentinel> sentinels = new ArrayList<>();

    /** A Redis server, which keeps its port when it is started again. */
    public record Server(ManagedProcess process, int port) {
        public String url() {
            return "redis://" + HOST + ":" + port;
        }
    }

    private LocalSentinel() {}

    public static LocalSentinel start(Path folder) {
        LocalSentinel all = new LocalSentinel();
        try {
            int port = LocalStack.freePort();
            all.add(port, () -> LocalRedis.startPrimary(folder.resolve("redis-0"), port));
            for (int i = 1; i < SERVERS; i++) {
                Path data = folder.resolve("redis-" + i);
                int replica = LocalStack.freePort();
                all.add(replica, () -> LocalRedis.startReplica(data, replica, port));
            }
            for (int i = 0; i < SENTINELS; i++) {
                RedisSentinel sentinel = RedisSentinel.builder()
                        .redisExecProvider(LocalRedis.executable())
                        .port(LocalStack.freePort())
                        .masterName(NAME)
                        .masterPort(port)
                        .quorumSize(QUORUM)
                        .downAfterMilliseconds(DOWN_AFTER_MS)
                        .failoverTimeout(FAILOVER_TIMEOUT_MS)
                        .parallelSyncs(1)
                        .build();
                sentinel.start();
                all.sentinels.add(sentinel);
            }
            return all;
        } catch (RuntimeException e) {
            all.close();
            throw e;
        }
    }

    private void add(int port, Supplier<LocalRedis> starter) {
        servers.add(new Server(
                new ManagedProcess("redis-" + servers.size(), start -> {
                    LocalRedis redis = starter.get();
                    started.add(redis);
                    return redis.process();
                }),
                port));
    }

    /** The URL for clients, which ask a Sentinel for the primary. */
    public String url() {
        return "redis-sentinel://"
                + sentinels.stream()
                        .map(sentinel -> HOST + ":" + sentinel.ports().get(0))
                        .collect(Collectors.joining(","))
                + "/0#" + NAME;
    }

    /** The first one is the primary until the first failover. */
    public List<Server> servers() {
        return List.copyOf(servers);
    }

    @Override
    public void close() {
        sentinels.forEach(RedisSentinel::stop);
        servers.forEach(server -> server.process().resume());
        started.forEach(LocalRedis::close);
        servers.forEach(server -> server.process().end());
    }
}
