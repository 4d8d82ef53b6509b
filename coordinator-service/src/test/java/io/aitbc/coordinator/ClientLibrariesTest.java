package io.aitbc.coordinator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.aitbc.localstack.LocalStack;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

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

    /** The example of an agent over Kafka. */
    @Test
    void pythonOverKafka(@TempDir Path folder) throws Exception {
        Path output = folder.resolve("output");
        Optional<String> python = Stream.of("python3", "/usr/bin/python3")
                .filter(one -> isInstalled(one, "-c", "import confluent_kafka"))
                .findFirst();
        assumeTrue(python.isPresent(), "no confluent_kafka for Python");
        ProcessBuilder example = new ProcessBuilder(python.get(), "-B", "python/kafka_agent.py")
                .directory(CLIENTS.resolveSibling("examples").toFile())
                .redirectErrorStream(true)
                .redirectOutput(output.toFile());
        example.environment()
                .putAll(Map.of(
                        "KAFKA",
                        LocalStack.shared().bootstrapServers(),
                        "AITBC_TOPICS_PREFIX",
                        "libraries.",
                        "AGENT_ID",
                        "snake",
                        "DRAIN_SECONDS",
                        "0.2"));
        Process agent = example.start();
        try {
            String requirements = "\"requirements\":{\"agent_id\":\"snake\"}}";
            String done = coordinator.submit("{\"task_data\":{\"n\":1}," + requirements);
            assertThat(coordinator
                            .awaitTask(done, "completed")
                            .at("/result/echo/n")
                            .asInt())
                    .isEqualTo(1);
            String failed =
                    coordinator.submit("{\"task_data\":{\"fail\":\"on purpose\"},\"max_attempts\":2," + requirements);
            assertThat(coordinator.awaitTask(failed, "failed").get("attempt").asInt())
                    .isEqualTo(2);
            String cancelled = coordinator.submit("{\"task_data\":{\"seconds\":600}," + requirements);
            awaitText(output, "Started " + cancelled);
            coordinator.post("/tasks/" + cancelled + "/cancel", "");
            coordinator.awaitTask(cancelled, "cancelled");
            String unfinished = coordinator.submit("{\"task_data\":{\"seconds\":600}," + requirements);
            // An assigned task may not have reached the agent yet, which would then not return it but stop.
            awaitText(output, "Started " + unfinished);

            agent.destroy();

            assertThat(agent.waitFor(1, TimeUnit.MINUTES)).isTrue();
            assertThat(agent.exitValue()).isZero();
            // Read from Kafka: a coordinator that has not heard of the drain yet may hand the task to the same agent
            // again.
            coordinator.follow(
                    "tasks.results",
                    0,
                    result -> !(result.path("task_id").asString("").equals(unfinished)
                            && result.path("status").asString("").equals("rejected")
                            && result.path("error").asString("").contains("the agent is shutting down")));
            coordinator.awaitTask(unfinished, "queued");
        } catch (RuntimeException | AssertionError e) {
            throw new AssertionError(Files.readString(output), e);
        } finally {
            agent.destroyForcibly();
        }
    }

    private static void awaitText(Path file, String text) {
        await().atMost(Duration.ofSeconds(90))
                .until(() -> Files.readString(file).contains(text));
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

    private static boolean isInstalled(String... command) {
        try {
            return new ProcessBuilder(command)
                            .redirectErrorStream(true)
                            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                            .start()
                            .waitFor()
                    == 0;
        } catch (IOException e) {
            return false;
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }
}
