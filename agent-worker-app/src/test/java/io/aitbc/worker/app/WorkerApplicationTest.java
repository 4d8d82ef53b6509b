package io.aitbc.worker.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine;

class WorkerApplicationTest {
    private final StringWriter out = new StringWriter();
    private final StringWriter err = new StringWriter();

    private int run(String... args) {
        CommandLine commandLine = WorkerApplication.commandLine();
        commandLine.setOut(new PrintWriter(out));
        commandLine.setErr(new PrintWriter(err));
        return commandLine.execute(args);
    }

    @Test
    void helpNamesEachOption() {
        assertThat(run("--help")).isZero();
        assertThat(out.toString())
                .contains(
                        "--agent-id",
                        "--bootstrap-servers",
                        "--kafka-config",
                        "--capacity",
                        "--capability",
                        "--http-allow-private",
                        "--chat-url");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '~', textBlock = """
                    sasl.mechanism=SCRAM-SHA-256 | JAAS configuration
                    sasl.jaas.config=a.Module required password=pass secret; | sasl.jaas.config must have the password in quotes
                    """)
    void aKafkaClientThatCannotBeCreatedIsExplained(String line, String sentence, @TempDir Path folder)
            throws IOException {
        Path file = Files.writeString(
                folder.resolve("client.properties"), "security.protocol=SASL_PLAINTEXT\n" + line + "\n");
        assertThat(run("--agent-id", "a", "--kafka-config", file.toString())).isEqualTo(1);
        assertThat(err.toString()).contains(sentence).doesNotContain("secret");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '~', textBlock = """
                    2 | --capacity 3                                            | Missing required option: '--agent-id=<agentId>'
                    2 | --agent-id a --capacity many                            | 'many' is not an int
                    2 | --agent-id a --colour red                               | Unknown options: '--colour', 'red'
                    1 | --agent-id a --location north                           | --location must be latitude,longitude but was "north"
                    1 | --agent-id a/b                                          | agent_id must be 1 to 200 characters of A-Z a-z 0-9 . _ -
                    1 | --agent-id a --capacity 0                               | capacity must be from 1 to 100000 but was 0
                    1 | --agent-id a --heartbeat-seconds 0                      | the heartbeat interval must be positive
                    1 | --agent-id a --kafka-config missing                     | --kafka-config must be a file that can be read but was "missing"
                    1 | --agent-id a --drain-seconds -1                         | the drain timeout must not be negative
                    """)
    void whatCannotBeMeantIsSaidInASentence(int exitCode, String args, String sentence) {
        assertThat(run(args.split(" "))).isEqualTo(exitCode);
        assertThat(err.toString()).contains(sentence);
        assertThat(err.toString().lines()).noneMatch(line -> line.startsWith("\tat "));
    }
}
