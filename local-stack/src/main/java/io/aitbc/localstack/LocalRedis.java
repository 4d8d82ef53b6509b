package io.aitbc.localstack;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.stream.Collectors;
import redis.embedded.RedisExecProvider;
import redis.embedded.RedisServer;
import redis.embedded.util.OSDetector;

/** One Redis server, a child process of this JVM, on the loopback interface. */
public final class LocalRedis implements AutoCloseable {
    private static final String HOST = "127.0.0.1";

    private final int port;
    private final RedisServer server;
    private final ProcessHandle process;

    private LocalRedis(int port, RedisServer server, ProcessHandle process) {
        this.port = port;
        this.server = server;
        this.process = process;
    }

    /** Starts a server that keeps an append-only file in a folder, and goes on from what an earlier run left there. */
    public static LocalRedis start(Path folder, int port) {
        return start(folder, port, RedisExecProvider.defaultProvider());
    }

    /** The same with a server of the user's own: the one that comes with us is linked statically, and half as fast. */
    public static LocalRedis start(Path folder, int port, Path executable) {
        return start(
                folder,
                port,
                RedisExecProvider.defaultProvider()
                        .override(OSDetector.getOS(), OSDetector.getArchitecture(), executable.toString()));
    }

    private static LocalRedis start(Path folder, int port, RedisExecProvider executable) {
        try {
            Files.createDirectories(folder);
            RedisServer server = RedisServer.builder()
                    .redisExecProvider(executable)
                    .port(port)
                    .setting("bind " + HOST)
                    .setting("dir " + folder.toAbsolutePath())
                    .setting("appendonly yes")
                    .setting("save \"\"")
                    // As in docker-compose.yml: the file is written anew less often and uncompressed, for by
                    // default, in a flood, that took a fifth of two cores; percentiles by command, which nobody
                    // asks for, took a thirtieth of Redis.
                    .setting("auto-aof-rewrite-percentage 300")
                    .setting("auto-aof-rewrite-min-size 256mb")
                    .setting("rdbcompression no")
                    .setting("latency-tracking no")
                    .build();
            Set<ProcessHandle> before = ProcessHandle.current().children().collect(Collectors.toSet());
            server.start();
            ProcessHandle process = ProcessHandle.current()
                    .children()
                    .filter(child -> !before.contains(child))
                    .filter(child -> child.info().command().orElse("").contains("redis-"))
                    .findFirst()
                    .orElseThrow();
            return new LocalRedis(port, server, process);
        } catch (IOException e) {
            throw new UncheckedIOException("Redis cannot be started on " + folder, e);
        }
    }

    public String url() {
        return "redis://" + HOST + ":" + port;
    }

    /** The server itself: what it costs is measured there, and it can be killed. */
    public ProcessHandle process() {
        return process;
    }

    @Override
    public void close() {
        server.stop();
    }
}
