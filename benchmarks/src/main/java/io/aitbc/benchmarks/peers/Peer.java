package io.aitbc.benchmarks.peers;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** An alternative to the coordinator, with its server and agents. */
public interface Peer extends AutoCloseable {
    /** Tasks per second, from the first submission to the last completion. */
    double flood(int tasks);

    @Override
    void close();

    /** Closes all in reverse order, even if some fail. */
    static void closeAll(List<AutoCloseable> parts) {
        for (int i = parts.size() - 1; i >= 0; i--) {
            try {
                parts.get(i).close();
            } catch (Exception e) {
                System.err.println("Part of a peer did not end cleanly: " + e);
            }
        }
    }

    /** Runs a command and returns its output. */
    static String run(ProcessBuilder builder, Path folder) {
        try {
            Process process = builder.directory(folder.toFile())
                    .redirectError(ProcessBuilder.Redirect.INHERIT)
                    .start();
            String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
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

    /** Starts a background process without output. */
    static Process start(ProcessBuilder builder) {
        try {
            return builder.redirectOutput(ProcessBuilder.Redirect.DISCARD)
                    .redirectError(ProcessBuilder.Redirect.DISCARD)
                    .start();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Ends a process and its descendants. */
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

    /** Creates a folder with our client programs. */
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
