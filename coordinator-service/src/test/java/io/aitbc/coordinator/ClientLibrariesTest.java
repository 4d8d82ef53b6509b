package io.aitbc.coordinator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.aitbc.localstack.LocalStack;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The libraries in other languages, each with its own tests, against a coordinator. Skipped where the language is not installed. */
class ClientLibrariesTest {
    private static final Path CLIENTS =
            Path.of("..", "clients").toAbsolutePath().normalize();
    private static final long MAX_MINUTES = 5;

    private static RunningCoordinator coordinator;

    @BeforeAll
    static void start() {
        coordinator =
                RunningCoordinator.start(LocalStack.shared(), "libraries.", 9, "--aitbc.settle.retry-backoff=10ms");
    }

    @AfterAll
    static void stop() {
        coordinator.close();
    }

    @Test
    void python() throws Exception {
        assumeTrue(isInstalled("python3", "-c", "import sys; sys.exit(sys.version_info < (3, 9))"), "no Python 3.9");
        runTests("python", List.of("python3", "-B", "-W", "error", "-m", "unittest", "discover", "-s", "tests"));
    }

    @Test
    void typescript() throws Exception {
        assumeTrue(isInstalled("node", "-e", "process.exit(AbortSignal.any ? 0 : 1)"), "no Node 20.3");
        runTests("typescript", List.of("node", "--test", "test/"));
    }

    private static void runTests(String library, List<String> command) throws Exception {
        ProcessBuilder tests = new ProcessBuilder(command)
                .directory(CLIENTS.resolve(library).toFile())
                .redirectErrorStream(true);
        tests.environment().put("COORDINATOR_URL", "http://127.0.0.1:" + coordinator.port());
        Process process = tests.start();
        process.getOutputStream().close();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor(MAX_MINUTES, TimeUnit.MINUTES)).isTrue();
        assertThat(process.exitValue()).as(output).isZero();
    }

    private static boolean isInstalled(String... command) throws InterruptedException {
        try {
            return new ProcessBuilder(command)
                            .redirectErrorStream(true)
                            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                            .start()
                            .waitFor()
                    == 0;
        } catch (IOException e) {
            return false;
        }
    }
}
