package io.aitbc.localstack;

import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;

/** A PostgreSQL server on the loopback interface, running as a child process of this JVM. */
public final class LocalPostgres implements AutoCloseable {
    private static final Duration START_TIMEOUT = Duration.ofSeconds(60);
    private static final String USER = "postgres";

    private final EmbeddedPostgres server;

    private LocalPostgres(EmbeddedPostgres server) {
        this.server = server;
    }

    /**
     * Starts a server with its data in a folder, restoring the data of an earlier run.
     *
     * @throws UncheckedIOException if it cannot be started
     * @throws IllegalStateException if there is none for this platform
     */
    public static LocalPostgres start(Path folder, int port) {
        try {
            Files.createDirectories(folder);
            return new LocalPostgres(EmbeddedPostgres.builder()
                    .setPort(port)
                    .setDataDirectory(folder.resolve("data"))
                    .setOverrideWorkingDirectory(folder.resolve("program").toFile())
                    .setCleanDataDirectory(false)
                    .setServerConfig("synchronous_commit", "on")
                    .setPGStartupWait(START_TIMEOUT)
                    .start());
        } catch (IOException e) {
            throw new UncheckedIOException("Cannot start PostgreSQL in " + folder, e);
        }
    }

    /** Of its one database, with user and password. */
    public String url() {
        return "postgresql://127.0.0.1:" + server.getPort() + "/" + USER + "?user=" + USER + "&password=" + USER;
    }

    @Override
    public void close() {
        try {
            server.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
