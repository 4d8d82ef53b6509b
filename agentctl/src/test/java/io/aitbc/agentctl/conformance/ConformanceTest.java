package io.aitbc.agentctl.conformance;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.aitbc.contracts.Json;
import io.aitbc.localstack.LocalStack;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine;
import tools.jackson.databind.JsonNode;

/** Agents that conform, and one for each fault that the checks are meant to find. */
class ConformanceTest {
    private static final Path ROOT = Path.of("..").toAbsolutePath().normalize();
    private static final List<String> BROKEN_AGENT = List.of(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-XX:TieredStopAtLevel=1",
            "-cp",
            System.getProperty("java.class.path"),
            BrokenAgent.class.getName());

    private static JsonNode run(List<String> options, List<String> command) {
        StringWriter out = new StringWriter();
        StringWriter err = new StringWriter();
        List<String> arguments = new ArrayList<>(List.of("--agent", "agent-" + UUID.randomUUID()));
        arguments.addAll(options);
        arguments.add("--");
        arguments.addAll(command);
        int code = new CommandLine(new ConformanceCommand(new PrintWriter(out), new PrintWriter(err), () -> true))
                .setCaseInsensitiveEnumValuesAllowed(true)
                .execute(arguments.toArray(String[]::new));
        assertThat(err.toString()).isEmpty();
        JsonNode report = Json.MAPPER.readTree(out.toString());
        assertThat(code).isEqualTo(report.get("conforms").asBoolean() ? 0 : 1);
        return report;
    }

    private static List<String> overKafka() {
        return List.of(
                "--bootstrap-servers",
                LocalStack.shared().bootstrapServers(),
                "--topic-prefix",
                UUID.randomUUID().toString().substring(0, 8) + ".");
    }

    private static void assertConforms(List<String> options, List<String> command) {
        assertThat(run(options, command).toString()).contains("\"conforms\":true");
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void anAgentWithoutAFaultConforms() {
        assertConforms(
                List.of("--task", "{\"seconds\":1}", "--seconds", "1", "--heartbeat-seconds", "3"),
                Stream.concat(BROKEN_AGENT.stream(), Stream.of("NONE")).toList());
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void whatExceedsItsCapacityMayBeRejected() {
        List<String> options = new ArrayList<>(List.of("--task", "{\"seconds\":1}", "--seconds", "1"));
        options.addAll(List.of("--check", "completes", "--check", "capacity"));
        options.addAll(overKafka());
        assertConforms(
                options,
                Stream.concat(BROKEN_AGENT.stream(), Stream.of("REJECTS_EXCESS"))
                        .toList());
    }

    @ParameterizedTest
    @Execution(ExecutionMode.CONCURRENT)
    @CsvSource({"CLAIMS_ONE_AT_A_TIME, SIGTERM", "REPEATS_ITS_REPORT, REPEATED_ASSIGNMENT"})
    void whatIsNoFaultIsNotBlamed(BrokenAgent.Fault none, Check check) {
        assertConforms(
                List.of(
                        "--task",
                        "{\"seconds\":1}",
                        "--seconds",
                        "1",
                        "--check",
                        "completes",
                        "--check",
                        check.toString()),
                Stream.concat(BROKEN_AGENT.stream(), Stream.of(none.name())).toList());
    }

    /** The check that finds it is the only one that fails. */
    @ParameterizedTest
    @Execution(ExecutionMode.CONCURRENT)
    @CsvSource(
            delimiter = '|',
            value = {
                "RUNS_TOO_MANY                 | CAPACITY            | it ran 5 tasks at once, and its capacity is 2",
                "RUNS_AGAIN                    | REPEATED_ASSIGNMENT | it ran an assignment again that was delivered again",
                "RUNS_AGAIN_UNTIL_REPORTED     | REPEATED_ASSIGNMENT | it ran an assignment again that was delivered again",
                "NEVER_CONFIRMS                | REPEATED_ASSIGNMENT | it ran an assignment again that was delivered again",
                "REPORTS_NO_AGENT              | COMPLETES           | with 422: agent_id is required",
                "REPORTS_ANOTHER_AGENT         | COMPLETES           | with 409: attempt 1 is not live at agent another",
                "REPORTS_NO_ATTEMPT            | COMPLETES           | with 422: attempt is required",
                "IGNORES_CANCELLATIONS         | CANCELLATION        | it completed a task that was cancelled while it ran: its work is wasted, and its slot stays taken",
                "SILENT_WHILE_BUSY             | HEARTBEATS          | it sent no heartbeat for",
                "SENDS_HEARTBEATS_TO_A_WRONG_PATH | HEARTBEATS | /heartbeat was answered with 404: no resource at /agent/",
                "FAILS_UNKNOWN_FIELDS          | UNKNOWN_FIELDS      | it reported failed: unknown field: it must ignore those",
                "DIES_OF_A_BAD_ASSIGNMENT      | BAD_ASSIGNMENT      | its process has ended with exit status 1, and printed nothing",
                "SILENT_ABOUT_A_BAD_ASSIGNMENT | BAD_ASSIGNMENT      | it reported nothing about an assignment that it cannot run",
                "COMMITS_FIRST                 | COMMIT              | it commits an assignment before it has reported it",
                "DROPS_THE_SIGNATURE           | SIGNATURE           | its report does not repeat the signature of the assignment",
                "NEVER_COMMITS                 | COMMIT              | it does not commit an assignment after its report",
                "LOSES_WORK                    | SIGTERM             | it neither finished nor rejected 2 of 2 tasks",
                "DOES_NOT_DEREGISTER           | SIGTERM             | it does not deregister",
                "LEAVES_AT_A_WRONG_PATH        | SIGTERM             | /leave was answered with 404: no resource at /agents/",
            })
    void aFaultIsFoundAndNamed(BrokenAgent.Fault fault, Check check, String sentence) {
        List<String> options = new ArrayList<>(
                check == Check.HEARTBEATS
                        ? List.of("--task", "{\"seconds\":4}", "--seconds", "4", "--heartbeat-seconds", "2")
                        : List.of("--task", "{\"seconds\":1}", "--seconds", "1"));
        options.addAll(List.of("--check", "completes", "--check", check.toString()));
        if (check == Check.COMMIT || check == Check.CAPACITY || check == Check.SIGNATURE) {
            options.addAll(overKafka());
        }

        JsonNode report = run(
                options,
                Stream.concat(BROKEN_AGENT.stream(), Stream.of(fault.name())).toList());

        assertThat(StreamSupport.stream(report.get("checks").spliterator(), false)
                        .filter(one -> one.get("verdict").asString().equals("failed"))
                        .map(one -> one.get("check").asString()))
                .as("%s", report)
                .containsExactly(check.toString());
        assertThat(report.toString()).contains(sentence);
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    @Timeout(value = 30, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
    void aCommandThatEndsIsNotWaitedFor() {
        assertThat(run(List.of(), List.of("false")).at("/checks/0/detail").asString())
                .endsWith(" has not registered: its process has ended with exit status 1, and printed nothing");
        assertThat(run(List.of(), List.of("sh", "-c", "seq 7; echo no such file >&2; exit 3"))
                        .at("/checks/0/detail")
                        .asString())
                .endsWith("ended with exit status 3, and printed last: 4 | 5 | 6 | 7 | no such file");
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void nothingIsCheckedAfterTheEndOfAProcess() {
        JsonNode report = run(
                List.of("--task", "{}", "--seconds", "1"),
                Stream.concat(BROKEN_AGENT.stream(), Stream.of("DIES_OF_A_BAD_ASSIGNMENT"))
                        .toList());

        assertThat(report.at("/checks/0/verdict").asString()).isEqualTo("failed");
        assertThat(report.at("/checks/0/detail").asString()).startsWith("its process has ended with exit status 1");
        assertThat(StreamSupport.stream(report.get("checks").spliterator(), false)
                        .skip(1)
                        .map(one -> one.get("verdict").asString()))
                .hasSize(Check.values().length - 1)
                .containsOnly("skipped");
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void theChecksAreListedByTheirNames() {
        StringWriter err = new StringWriter();
        PrintWriter nowhere = new PrintWriter(new StringWriter());
        CommandLine line = new CommandLine(new ConformanceCommand(nowhere, nowhere, () -> true))
                .setErr(new PrintWriter(err, true));

        assertThat(line.execute("--agent", "mine", "--check", "nope")).isEqualTo(2);
        assertThat(err.toString().lines().findFirst())
                .contains("Invalid value for option '--check' (NAME): \"nope\" is no check (one of completes,"
                        + " unknown-fields, bad-assignment, repeated-assignment, cancellation, capacity, heartbeats,"
                        + " commit, signature, sigterm)");
    }

    /** With the library. */
    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void pythonOverHttp(@TempDir Path folder) throws IOException {
        assumeTrue(isInstalled("python3", "-c", "import sys; sys.exit(sys.version_info < (3, 9))"), "no Python 3.9");
        Path agent = Files.writeString(folder.resolve("agent.py"), """
                import os, sys, time
                sys.path.insert(0, %s)
                from agent_coordinator import Worker
                worker = Worker(os.environ["COORDINATOR_URL"], os.environ["AGENT_ID"], capacity=2, drain_seconds=0.5)
                @worker.handler("sleep")
                def sleep(assignment):
                    assignment.cancelled.wait(assignment.task_data["seconds"])
                worker.run()
                """.formatted(
                        Json.text(ROOT.resolve("clients/python").toString())));
        assertConforms(sleeping(), List.of("python3", "-B", agent.toString()));
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void nodeOverHttp(@TempDir Path folder) throws IOException {
        assumeTrue(isInstalled("node", "-e", "process.exit(AbortSignal.any ? 0 : 1)"), "no Node 20.3");
        Path agent = Files.writeString(folder.resolve("agent.mjs"), """
                import { setTimeout as sleep } from 'node:timers/promises';
                import { Worker } from %s;
                const worker = new Worker(process.env.COORDINATOR_URL, process.env.AGENT_ID, { capacity: 2, drainMs: 500 });
                worker.handle('sleep', (assignment, { signal }) => sleep(1000 * assignment.task_data.seconds, 'slept', { signal }));
                await worker.run();
                """.formatted(Json.text(
                ROOT.resolve("clients/typescript/src/index.js").toString())));
        assertConforms(sleeping(), List.of("node", agent.toString()));
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void pythonThatIsCalled() {
        assumeTrue(isInstalled("python3", "--version"), "no Python");
        assertConforms(
                sleeping(),
                environment(List.of(
                        "python3",
                        "-B",
                        ROOT.resolve("examples/python/push_agent.py").toString())));
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void pythonOverKafka() {
        Optional<String> python = Stream.of("python3", "/usr/bin/python3")
                .filter(one -> isInstalled(one, "-c", "import confluent_kafka"))
                .findFirst();
        assumeTrue(python.isPresent(), "no confluent_kafka for Python");
        List<String> options = new ArrayList<>(sleeping());
        options.addAll(overKafka());
        assertConforms(
                options,
                environment(List.of(
                        python.get(),
                        "-B",
                        ROOT.resolve("examples/python/kafka_agent.py").toString())));
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void javaOverKafka() {
        List<String> options = new ArrayList<>(sleeping());
        options.addAll(overKafka());
        List<String> command = new ArrayList<>(BROKEN_AGENT.subList(0, BROKEN_AGENT.size() - 1));
        command.add(SleepingWorker.class.getName());
        assertConforms(options, command);
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void nodeOverKafka() {
        Path example = ROOT.resolve("examples/node/kafka-agent.mjs");
        assumeTrue(
                Files.exists(example.resolveSibling("node_modules/kafkajs")) && isInstalled("node", "--version"),
                "no kafkajs: npm install in examples/node");
        List<String> options = new ArrayList<>(sleeping());
        options.addAll(overKafka());
        assertConforms(options, environment(List.of("node", example.toString())));
    }

    private static List<String> sleeping() {
        return List.of(
                "--task", "{\"task_type\":\"sleep\",\"seconds\":1.5}", "--seconds", "1.5", "--heartbeat-seconds", "12");
    }

    /** Settings of the examples. */
    private static List<String> environment(List<String> command) {
        List<String> all = new ArrayList<>(List.of("env", "CAPACITY=2", "DRAIN_SECONDS=0.5", "PORT=0"));
        all.addAll(command);
        return all;
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
