package io.aitbc.benchmarks.peers;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/**
 * Graphile Worker on PostgreSQL, which selects jobs with {@code FOR UPDATE SKIP LOCKED}. A commit is written, but not flushed to the
 * disk, as Kafka and Redis do not flush what they acknowledge.
 */
public final class PostgresPeer extends NodePeer {
    private static final Path VERSIONS = Path.of("/usr/lib/postgresql");
    /** PostgreSQL refuses to run as root. */
    private static final String USER = "postgres";

    public PostgresPeer(int agents) {
        super("graphile.mjs", agents, "graphile-worker@0.17.3", "pg@8.23.1");
    }

    @Override
    int startServer() {
        return addServer((folder, port) -> {
            String data = folder.resolve("data").toString();
            run(asUser(folder, "initdb", "--auth=trust", "--username=" + USER, "--no-sync", "--pgdata=" + data));
            return asUser(
                    folder,
                    "postgres",
                    "-D" + data,
                    "-h" + HOST,
                    "-p" + port,
                    "-k" + folder,
                    "-cfsync=off",
                    "-cfull_page_writes=off",
                    "-csynchronous_commit=on",
                    "-cwal_level=minimal",
                    "-cmax_wal_senders=0",
                    "-cmax_wal_size=4GB",
                    // A queue leaves dead rows behind.
                    "-cautovacuum_naptime=10s",
                    // Planned with statistics from when the queue was empty, a nested loop takes seconds once it is
                    // full.
                    "-cenable_nestloop=off",
                    "-cjit=off",
                    "-cshared_buffers=512MB");
        });
    }

    private static ProcessBuilder asUser(Path folder, String program, String... arguments) {
        ProcessBuilder builder = new ProcessBuilder(program(program, versions()));
        builder.command().addAll(List.of(arguments));
        if (System.getProperty("user.name").equals("root")) {
            builder.command().addAll(0, List.of("setpriv", "--reuid=" + USER, "--regid=" + USER, "--init-groups"));
            own(folder);
        }
        return builder;
    }

    private static void own(Path folder) {
        try {
            Files.setOwner(
                    folder,
                    FileSystems.getDefault().getUserPrincipalLookupService().lookupPrincipalByName(USER));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Debian keeps its programs off the path, by version; the newest comes first. */
    private static Stream<Path> versions() {
        try (Stream<Path> versions = Files.list(VERSIONS)) {
            return versions.sorted(Comparator.reverseOrder()).map(one -> one.resolve("bin")).toList().stream();
        } catch (IOException e) {
            return Stream.empty();
        }
    }
}
