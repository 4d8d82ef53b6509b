package io.aitbc.localstack;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import redis.embedded.RedisExecProvider;
import redis.embedded.RedisServer;
import redis.embedded.RedisServerBuilder;
import redis.embedded.util.OSDetector;

/** A Redis server on the loopback interface, running as a child process of this JVM. */
public final class LocalRedis implements AutoCloseable {
    private static final String HOST = "127.0.0.1";
    private static final String ONE_REPLICA = "min-replicas-to-write 1";

    private final int port;
    private final RedisServer server;
    private final ProcessHandle process;

    private LocalRedis(int port, RedisServer server, ProcessHandle process) {
        this.port = port;
        this.server = server;
        this.process = process;
    }

    /** Starts a server with an append-only file in a folder, restoring the data of an earlier run. */
    public static LocalRedis start(Path folder, int port) {
        return start(folder, port, executable(), List.of());
    }

    /** Like {@link #start}, with replicas: it accepts writes while at least one of them follows. */
    static LocalRedis startPrimary(Path folder, int port, List<String> settings) {
        return start(folder, port, executable(), with(settings, ONE_REPLICA));
    }

    /** Like {@link #startPrimary}, as a replica of the server with another port. */
    static LocalRedis startReplica(Path folder, int port, int primaryPort, List<String> settings) {
        return start(folder, port, executable(), with(settings, ONE_REPLICA, "replicaof " + HOST + " " + primaryPort));
    }

    static List<String> with(List<String> settings, String... others) {
        return Stream.concat(settings.stream(), Stream.of(others)).toList();
    }

    /**
     * Like {@link #start}, with a second port for clients that use TLS and have a certificate.
     *
     * @param certificates folder with {@code ca.pem} and {@code redis.pem}, see {@code operations/tls/certificates.sh}
     */
    public static LocalRedis startSecured(Path folder, int port, Path certificates, int tlsPort) {
        return start(folder, port, executable(), with(tls(certificates), "tls-port " + tlsPort));
    }

    static List<String> tls(Path certificates) {
        String certificate = certificates.resolve("redis.pem").toString();
        return List.of(
                "tls-ca-cert-file " + certificates.resolve("ca.pem"),
                "tls-cert-file " + certificate,
                "tls-key-file " + certificate);
    }

    /** Like {@link #start}, with the installed server if there is one: the bundled one is statically linked and half as fast. */
    public static LocalRedis startInstalled(Path folder, int port) {
        return installed("redis-server")
                .map(executable -> start(folder, port, executable))
                .orElseGet(() -> start(folder, port));
    }

    /** A server on the path, such as {@code valkey-server}. */
    public static Optional<Path> installed(String name) {
        return Arrays.stream(System.getenv("PATH").split(File.pathSeparator, -1))
                .map(directory -> Path.of(directory, name))
                .filter(Files::isExecutable)
                .findFirst();
    }

    /** Like {@link #start}, with another server. */
    public static LocalRedis start(Path folder, int port, Path executable) {
        return start(folder, port, executable(executable.toString()), List.of());
    }

    /** The bundled server, unless the system property {@code local-stack.redis} is the path of another one. */
    static RedisExecProvider executable() {
        String other = System.getProperty("local-stack.redis");
        return other == null ? RedisExecProvider.defaultProvider() : executable(other);
    }

    private static RedisExecProvider executable(String path) {
        return RedisExecProvider.defaultProvider().override(OSDetector.getOS(), OSDetector.getArchitecture(), path);
    }

    private static LocalRedis start(Path folder, int port, RedisExecProvider executable, List<String> settings) {
        try {
            Files.createDirectories(folder);
            RedisServerBuilder builder = RedisServer.builder()
                    .redisExecProvider(executable)
                    .port(port)
                    .setting("bind " + HOST)
                    .setting("dir " + folder.toAbsolutePath())
                    .setting("appendonly yes")
                    .setting("save \"\"")
                    // As in docker-compose.yml: the append-only file is rewritten less often and without compression.
                    // With the defaults, rewriting took a fifth of two cores under full load. Per-command latency
                    // percentiles are unused and took 3 % of Redis's CPU time.
                    .setting("auto-aof-rewrite-percentage 300")
                    .setting("auto-aof-rewrite-min-size 256mb")
                    .setting("rdbcompression no")
                    .setting("latency-tracking no");
            settings.forEach(builder::setting);
            RedisServer server = builder.build();
            Set<ProcessHandle> before = ProcessHandle.current().children().collect(Collectors.toSet());
            server.start();
            ProcessHandle process = ProcessHandle.current()
                    .children()
                    .filter(child -> !before.contains(child))
                    .filter(child -> child.info().command().orElse("").matches(".*(redis|valkey)-[^/]*"))
                    .findFirst()
                    .orElseThrow();
            return new LocalRedis(port, server, process);
        } catch (IOException e) {
            throw new UncheckedIOException("Cannot start Redis in " + folder, e);
        }
    }

    public String url() {
        return "redis://" + HOST + ":" + port;
    }

    /** Returns the server process, to measure its resource use or to kill it. */
    public ProcessHandle process() {
        return process;
    }

    @Override
    public void close() {
        server.stop();
    }
}
