package io.aitbc.benchmarks.measure;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Task;
import io.aitbc.contracts.TaskResult;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;

/** The messages of a task's life: each is read or written once per task. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class Messages {
    private static final Instant NOW = Instant.parse("2026-01-01T00:00:00.123Z");

    private final byte[] task = ("{\"task_id\":\"flood1-77777-1764000000000000\",\"task_data\":{\"text\":\""
                    + "x".repeat(180) + "\"},\"submitted_at\":\"" + NOW + "\"}")
            .getBytes(StandardCharsets.UTF_8);
    private final byte[] result =
            ("{\"assignment_id\":\"flood1-77777-1764000000000000:1\",\"task_id\":\"flood1-77777-1764000000000000\",\"attempt\":1,"
                            + "\"agent_id\":\"worker-77\",\"status\":\"completed\",\"result\":{\"ok\":true},"
                            + "\"started_at\":\"" + NOW + "\",\"finished_at\":\"" + NOW + "\"}")
                    .getBytes(StandardCharsets.UTF_8);
    private final Task read = Json.read(task, Task.class).accepted("flood1-77777-1764000000000000", NOW);
    private final byte[] assignment = Json.bytes(Assignment.of(read, Priority.NORMAL, "worker-77", NOW));

    @Benchmark
    public Task readTask() {
        return Json.read(task, Task.class).accepted("flood1-77777-1764000000000000", NOW);
    }

    @Benchmark
    public byte[] writeAssignment() {
        return Json.bytes(Assignment.of(read, Priority.NORMAL, "worker-77", NOW));
    }

    @Benchmark
    public Assignment readAssignment() {
        return Json.read(assignment, Assignment.class);
    }

    @Benchmark
    public TaskResult readResult() {
        return Json.read(result, TaskResult.class);
    }
}
