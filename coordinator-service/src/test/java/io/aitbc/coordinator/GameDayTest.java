package io.aitbc.coordinator;

import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Registration;
import io.aitbc.contracts.Topics;
import io.aitbc.localstack.LocalStack;
import io.aitbc.worker.AgentWorker;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** {@code operations/game-day.sh}, as its user runs it. */
@Timeout(300)
class GameDayTest {
    private static final String PREFIX = "game-day.";
    private static final Path SCRIPT = Path.of("..", "operations", "game-day.sh");

    private static RunningCoordinator coordinator;

    private record Outcome(int code, String output) {}

    @BeforeAll
    static void start() {
        coordinator = RunningCoordinator.start(LocalStack.shared(), PREFIX, 14);
    }

    @AfterAll
    static void stop() {
        coordinator.close();
    }

    @Test
    void whatEndsIsReported() throws Exception {
        try (AgentWorker agent = AgentWorker.builder(
                        LocalStack.shared().bootstrapServers(),
                        Registration.of("echo", "worker", List.of("echo"), 10),
                        (assignment, context) -> Json.tree("done"))
                .topics(new Topics(PREFIX))
                .start()) {
            Outcome outcome = run("redis");

            assertThat(outcome.output)
                    .containsPattern("accepted [1-9]\\d*, completed [1-9]\\d*, ended otherwise 0, not ended 0\n");
            assertThat(outcome.output).contains("attempted more than once 0, longest wait for an agent ");
            assertThat(outcome.code).isZero();
        }
    }

    @Test
    void whatDoesNotEndIsNamed() throws Exception {
        Outcome outcome = run("agents");

        assertThat(outcome.output).containsPattern("completed 0, ended otherwise 0, not ended [1-9]");
        assertThat(outcome.output).containsPattern("not ended: game-day-agents-\\d+-0 queued");
        assertThat(outcome.code).isEqualTo(1);
    }

    @Test
    void nothingAcceptedIsAFailure() throws Exception {
        Outcome outcome = run("redis", "GAME_DAY_TASK", "\"priority\":\"lowest\"");

        assertThat(outcome.output).contains("no task was accepted; the last response had status 400");
        assertThat(outcome.code).isEqualTo(1);
    }

    @Test
    void aCommandThatFailsIsNotALostTask() throws Exception {
        Outcome outcome = run("redis", "GAME_DAY_REDIS", "exit 3");

        assertThat(outcome.output).contains("The command failed.");
        assertThat(outcome.code).isEqualTo(2);
    }

    @Test
    void anUnknownExerciseIsRefused() throws Exception {
        Outcome outcome = run("disk");

        assertThat(outcome.output).contains("\"disk\" is not an exercise");
        assertThat(outcome.code).isEqualTo(2);
    }

    /** @param variables name and value in turn */
    private static Outcome run(String exercise, String... variables) throws IOException, InterruptedException {
        ProcessBuilder builder = new ProcessBuilder(SCRIPT.toString(), exercise).redirectErrorStream(true);
        Map<String, String> environment = builder.environment();
        environment.remove("AITBC_API_KEY");
        environment.put("AITBC_URL", "http://127.0.0.1:" + coordinator.port());
        environment.put("GAME_DAY_REDIS", "true");
        environment.put("GAME_DAY_AGENTS", "true");
        environment.put("GAME_DAY_END_SECONDS", exercise.equals("agents") ? "1" : "60");
        for (int i = 0; i < variables.length; i += 2) {
            environment.put(variables[i], variables[i + 1]);
        }
        Process process = builder.start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        return new Outcome(process.waitFor(), output);
    }
}
