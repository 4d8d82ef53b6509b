package io.aitbc.benchmarks;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Something that brings tasks to agents, with its server and its agents, that one could take. */
interface Peer extends AutoCloseable {
    /** Tasks per second, from the first that is submitted to the last that is done. */
    double flood(int tasks);

    @Override
    void close();

    /** The last first, all of them, whichever of them fail. */
    static void closeAll(List<AutoCloseable> parts) {
        for (int i = parts.size() - 1; i >= 0; i--) {
            try {
                parts.get(i).close();
            } catch (Exception e) {
                System.err.println("Part of a peer did not end cleanly: " + e);
            }
        }
    }

    /** What it prints. */
    static String run(ProcessBuilder builder, Path folder) {
        try {
            Process process = builder.directory(folder.toFile())
                    .redirectError(ProcessBuilder.Redirect.INHERIT)
                    .start();
            String said = new String(process.getInputStream().readAllBytes());
            if (process.waitFor() != 0) {
                throw new IllegalStateException(String.join(" ", builder.command()) + " failed");
            }
            return said;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    /** One that goes on in the background, and says nothing. */
    static Process start(ProcessBuilder builder) {
        try {
            return builder.redirectOutput(ProcessBuilder.Redirect.DISCARD)
                    .redirectError(ProcessBuilder.Redirect.DISCARD)
                    .start();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** With all that it has started. */
    static void end(Process process) {
        List<ProcessHandle> all = new ArrayList<>(process.descendants().toList());
        process.destroy();
        try {
            process.waitFor(20, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
        all.forEach(ProcessHandle::destroy);
    }

    /** A new folder with programs of ours. */
    static Path folderWith(String... programs) {
        try {
            Path folder = Files.createTempDirectory("peer");
            for (String program : programs) {
                try (InputStream in = Peer.class.getResourceAsStream("/peers/" + program)) {
                    Files.copy(in, folder.resolve(program));
                }
            }
            return folder;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
