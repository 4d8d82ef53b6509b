package io.aitbc.localstack;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import java.util.stream.Stream;
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

    private final boolean tls;
    private final List<LocalRedis> started = new ArrayList<>();
    private final List<Server> servers = new ArrayList<>();
    private final List<RedisSentinel> sentinels = new ArrayList<>();
    private final List<Integer> ports = new ArrayList<>();

    /** A Redis server, which keeps its port when it is started again. */
    public record Server(ManagedProcess process, int port) {
        public String url() {
            return "redis://" + HOST + ":" + port;
        }
    }

    private LocalSentinel(boolean tls) {
        this.tls = tls;
    }

    public static LocalSentinel start(Path folder) {
        return new LocalSentinel(false).start(folder, List.of(), List.of());
    }

    /** Like {@link #start(Path)}, all with this password. */
    public static LocalSentinel startWithPassword(Path folder, String password) {
        return new LocalSentinel(false)
                .start(
                        folder,
                        List.of("requirepass " + password, "masterauth " + password),
                        List.of(
                                "requirepass " + password,
                                "sentinel sentinel-pass " + password,
                                "sentinel auth-pass " + NAME + " " + password));
    }

    /**
     * Like {@link #start(Path)}, all connected by TLS and with client certificates.
     *
     * @param certificates folder with {@code ca.pem} and {@code redis.pem}, see {@code operations/tls/certificates.sh}
     */
    public static LocalSentinel startSecured(Path folder, Path certificates) {
        List<String> settings = LocalRedis.with(LocalRedis.tls(certificates), "tls-replication yes");
        return new LocalSentinel(true).start(folder, settings, settings);
    }

    private LocalSentinel start(Path folder, List<String> ofRedis, List<String> ofSentinels) {
        try {
            int port = LocalStack.freePort();
            add(port, () -> LocalRedis.startPrimary(folder.resolve("redis-0"), plain(port), withTls(ofRedis, port)));
            for (int i = 1; i < SERVERS; i++) {
                Path data = folder.resolve("redis-" + i);
                int replica = LocalStack.freePort();
                add(replica, () -> LocalRedis.startReplica(data, plain(replica), port, withTls(ofRedis, replica)));
            }
            for (int i = 0; i < SENTINELS; i++) {
                int own = LocalStack.freePort();
                List<String> settings = Stream.concat(
                                Stream.of(
                                        "bind " + HOST,
                                        "sentinel monitor " + NAME + " " + HOST + " " + port + " " + QUORUM,
                                        "sentinel down-after-milliseconds " + NAME + " " + DOWN_AFTER_MS,
                                        "sentinel failover-timeout " + NAME + " " + FAILOVER_TIMEOUT_MS,
                                        "sentinel parallel-syncs " + NAME + " 1"),
                                withTls(ofSentinels, own).stream())
                        .toList();
                RedisSentinel sentinel = RedisSentinel.builder()
                        .redisExecProvider(LocalRedis.executable())
                        .port(plain(own))
                        .configFile(Files.write(folder.resolve("sentinel-" + i + ".conf"), settings)
                                .toString())
                        .build();
                sentinel.start();
                sentinels.add(sentinel);
                ports.add(own);
            }
            return this;
        } catch (IOException e) {
            close();
            throw new UncheckedIOException(e);
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    private List<String> withTls(List<String> settings, int port) {
        return tls ? LocalRedis.with(settings, "tls-port " + port) : settings;
    }

    /** Each server has a port without TLS; with TLS, it is another one that is not used. */
    private int plain(int port) {
        return tls ? LocalStack.freePort() : port;
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
        return (tls ? "rediss" : "redis") + "-sentinel://"
                + ports.stream().map(port -> HOST + ":" + port).collect(Collectors.joining(","))
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
