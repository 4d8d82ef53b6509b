package io.aitbc.coordinator.security;

import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;

/** Whether programs are installed that some tests are skipped without. */
final class Programs {
    private Programs() {}

    static boolean hasOpenssl() {
        return isInstalled("openssl");
    }

    static boolean hasRedisCli() {
        return isInstalled("redis-cli");
    }

    private static boolean isInstalled(String program) {
        return Stream.of(System.getenv("PATH").split(File.pathSeparator))
                .map(directory -> Path.of(directory, program))
                .anyMatch(Files::isExecutable);
    }
}
