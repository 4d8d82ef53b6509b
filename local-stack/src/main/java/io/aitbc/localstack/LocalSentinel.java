package io.aitbc.localstack;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import redis.embedded.RedisSentinel;

/** A Redis primary, one replica, and three Sentinels, of which two must agree on a failover, on the loopback interface. */
public final class LocalSentinel implements AutoCloseable {
    private static final String HOST = "127.0.0.1";
    private static final String NAME = "primary";
    private static final int SENTINELS = 3;
    private static final int QUORUM = 2;
    private static final long DOWN_AFTER_MS = 1_000;
    private static final long FAILOVER_TIMEOUT_MS = 5_000;

    private final LocalRedis primary;
    private final LocalRedis replica;
    private final List<RedisSentinel> sentinels = new ArrayList<>();

    private LocalSentinel(LocalRedis primary, LocalRedis replica) {
        this.primary = primary;
        this.replica = replica;
    }

    public static LocalSentinel start(Path folder) {
        int port = LocalStack.freePort();
        LocalSentinel started = new LocalSentinel(
                LocalRedis.start(folder.resolve("redis-1"), port),
                LocalRedis.startReplica(folder.resolve("redis-2"), LocalStack.freePort(), port));
        try {
            for (int i = 0; i < SENTINELS; i++) {
                RedisSentinel sentinel = RedisSentinel.builder()
                        .port(LocalStack.freePort())
                        .masterName(NAME)
                        .masterPort(port)
                        .quorumSize(QUORUM)
                        .downAfterMilliseconds(DOWN_AFTER_MS)
                        .failoverTimeout(FAILOVER_TIMEOUT_MS)
                        .parallelSyncs(1)
                        .build();
                sentinel.start();
                started.sentinels.add(sentinel);
            }
            return started;
        } catch (RuntimeException e) {
            started.close();
            throw e;
        }
    }

    /** The URL for clients, which ask a Sentinel for the primary. */
    public String url() {
        return "redis-sentinel://"
                + sentinels.stream()
                        .map(sentinel -> HOST + ":" + sentinel.ports().get(0))
                        .collect(Collectors.joining(","))
                + "/0#" + NAME;
    }

    /** The server that is the primary until the first failover. */
    public LocalRedis primary() {
        return primary;
    }

    /** The server that replaces it. */
    public LocalRedis replica() {
        return replica;
    }

    @Override
    public void close() {
        sentinels.forEach(RedisSentinel::stop);
        replica.close();
        primary.close();
    }
}
