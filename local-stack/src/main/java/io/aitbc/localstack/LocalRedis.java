package io.aitbc.localstack;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import redis.embedded.RedisServer;

/** One Redis server, a child process of this JVM, on the loopback interface. */
public final class LocalRedis implements AutoCloseable {
    private static final String HOST = "127.0.0.1";

    private final int port;
    private final RedisServer server;

    private LocalRedis(int port, RedisServer server) {
        this.port = port;
        this.server = server;
    }

    /** Starts a server that keeps an append-only file in a folder, and goes on from what an earlier run left there. */
    public static LocalRedis start(Path folder, int port) {
        try {
            Files.createDirectories(folder);
            RedisServer server = RedisServer.builder()
                    .port(port)
                    .setting("bind " + HOST)
                    .setting("dir " + folder.toAbsolutePath())
                    .setting("appendonly yes")
                    .setting("save \"\"")
                    .build();
            server.start();
            return new LocalRedis(port, server);
        } catch (IOException e) {
            throw new UncheckedIOException("Redis cannot be started on " + folder, e);
        }
    }

    public String url() {
        return "redis://" + HOST + ":" + port;
    }

    @Override
    public void close() {
        server.stop();
    }
}
