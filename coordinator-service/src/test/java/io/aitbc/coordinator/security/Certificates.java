package io.aitbc.coordinator.security;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** Certificates made by {@code operations/tls/certificates.sh}. */
final class Certificates {
    private static final Path SCRIPT = Path.of("..", "operations", "tls", "certificates.sh");

    private Certificates() {}

    static void create(Path folder, String... names) throws IOException, InterruptedException {
        Process script = new ProcessBuilder(
                        Stream.concat(Stream.of("bash", SCRIPT.toString(), folder.toString()), Stream.of(names))
                                .toList())
                .redirectErrorStream(true)
                .start();
        List<String> output = script.inputReader().lines().toList();
        if (script.waitFor() != 0) {
            throw new IllegalStateException("No certificates: " + String.join("\n", output));
        }
    }
}
