package io.aitbc.benchmarks.measure;

import io.aitbc.benchmarks.report.Report;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Task;
import io.aitbc.contracts.TaskResult;
import io.aitbc.coordinator.assign.Reservations;
import io.aitbc.coordinator.match.Placement;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.match.WaitingTask;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.redis.Script;
import io.aitbc.coordinator.settle.Settlement;
import io.aitbc.coordinator.taskstate.TaskRecord;
import io.aitbc.coordinator.taskstate.TaskStates;
import io.aitbc.localstack.LocalRedis;
import io.aitbc.localstack.LocalStack;
import io.lettuce.core.LettuceFutures;
import io.lettuce.core.RedisClient;
import io.lettuce.core.RedisFuture;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Processor time of Redis for the scripts of a task's life, beside two plain writes. */
@Command(
        name = "scripts",
        description = "Processor time of Redis per task: queued, reserved, settled, and two plain writes.")
public final class ScriptsBenchmark extends Benchmark {
    private static final int AGENTS = 100;
    private static final Script SETTLE = Script.loadFenced(Settlement.class, "settle");
    private static final Pattern CPU = Pattern.compile("used_cpu_(?:sys|user):([0-9.]+)");
    private static final Pattern MEMORY = Pattern.compile("used_memory:([0-9]+)");

    @Option(names = "--batches", split = ",", defaultValue = "1000,200", description = "Tasks in a call")
    private List<Integer> batches = List.of();

    @Option(names = "--tasks", defaultValue = "100000", description = "Tasks in a round")
    private int tasks;

    @Option(
            names = "--times",
            defaultValue = "5",
            description = "Rounds in turns; medians are shown, after one to warm up")
    private int times;

    private interface Step {
        void run(Redis redis, List<WaitingTask> batch, Instant now);
    }

    @Override
    List<Report> measure() {
        Report report = new Report(
                "Scripts: processor time of Redis, with its append-only file, µs a task, to " + AGENTS + " agents",
                "tasks in a call",
                "record as queued",
                "reserve",
                "settle",
                "two plain SET, pipelined",
                "bytes kept for a task");
        try (LocalRedis server = LocalRedis.start(Files.createTempDirectory("scripts"), LocalStack.freePort());
                RedisClient client = RedisClient.create(server.url());
                Redis redis = new Redis(client, 0)) {
            redis.sync().configSet("appendonly", "yes");
            batches.forEach(size -> report.row(row(redis, size)));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return List.of(report);
    }

    private Object[] row(Redis redis, int size) {
        Reservations reservations = new Reservations(redis, "coordinator-1");
        TaskStates states = new TaskStates(redis);
        Step queue = (to, batch, now) -> states.recordQueued(batch).join();
        Step reserve =
                (to, batch, now) -> reservations.reserve(placements(batch), now).join();
        double[][] measured = new double[5][times];
        for (int time = -1; time < times; time++) {
            redis.sync().flushall();
            redis.sync().set(Keys.INDEX_COMPLETE, Keys.FORMAT + 1);
            for (int agent = 0; agent < AGENTS; agent++) {
                redis.sync().hset(Keys.agent("agent-" + agent), Map.of("status", "active", "capacity", "1000000"));
            }
            long before = info(redis, "memory", MEMORY);
            double[] round = {
                round(redis, size, queue),
                round(redis, size, reserve),
                round(redis, size, ScriptsBenchmark::settle),
                0,
                (info(redis, "memory", MEMORY) - before) / (double) tasks
            };
            redis.sync().flushall();
            round[3] = round(redis, size, ScriptsBenchmark::write);
            for (int i = 0; time >= 0 && i < round.length; i++) {
                measured[i][time] = round[i];
            }
        }
        List<Object> row = new ArrayList<>(List.of(size));
        for (int i = 0; i < measured.length; i++) {
            Arrays.sort(measured[i]);
            row.add(String.format(Locale.ROOT, i < 4 ? "%.1f" : "%.0f", measured[i][times / 2]));
        }
        return row.toArray();
    }

    /** @return processor time of Redis in µs a task */
    private double round(Redis redis, int size, Step step) {
        Instant now = Instant.now();
        double before = cpuSeconds(redis);
        for (int from = 0; from < tasks; from += size) {
            List<WaitingTask> batch = new ArrayList<>(size);
            for (int i = from; i < from + size; i++) {
                Task task =
                        Task.of("task-" + i, Json.object(), Requirements.NONE).accepted("task-" + i, now);
                batch.add(new WaitingTask(task, new Position(Priority.NORMAL, i % 12, i), now, 250));
            }
            step.run(redis, batch, now);
        }
        return (cpuSeconds(redis) - before) * 1e6 / tasks;
    }

    private static List<Placement> placements(List<WaitingTask> batch) {
        return batch.stream()
                .map(waiting -> new Placement(waiting, agentOf(waiting)))
                .toList();
    }

    private static String agentOf(WaitingTask waiting) {
        return "agent-" + waiting.position().offset() % AGENTS;
    }

    private static void settle(Redis redis, List<WaitingTask> batch, Instant now) {
        List<String> all = new ArrayList<>();
        for (WaitingTask waiting : batch) {
            TaskResult result = new TaskResult(
                    null,
                    waiting.id(),
                    1,
                    agentOf(waiting),
                    TaskResult.Status.COMPLETED,
                    Json.object().put("sum", waiting.position().offset()),
                    null,
                    now,
                    now);
            all.addAll(List.of(
                    result.taskId(), TaskRecord.attempt(1), result.agentId(), "completed", TaskRecord.outcome(result)));
        }
        SETTLE.runSync(redis, List.of(String.valueOf(now.toEpochMilli()), Script.pack(all)));
    }

    /** What two writes for each task cost that compare nothing. */
    private static void write(Redis redis, List<WaitingTask> batch, Instant now) {
        List<RedisFuture<?>> written = new ArrayList<>();
        for (WaitingTask waiting : batch) {
            String record = TaskRecord.assigned(waiting.task(), agentOf(waiting), waiting.position(), now);
            written.add(redis.async().set(Keys.task(waiting.id()), record));
            written.add(redis.async().set(Keys.task(waiting.id()), record));
        }
        LettuceFutures.awaitAll(1, TimeUnit.MINUTES, written.toArray(RedisFuture[]::new));
    }

    private static double cpuSeconds(Redis redis) {
        Matcher cpu = CPU.matcher(redis.sync().info("cpu"));
        double seconds = 0;
        while (cpu.find()) {
            seconds += Double.parseDouble(cpu.group(1));
        }
        return seconds;
    }

    private static long info(Redis redis, String section, Pattern pattern) {
        Matcher found = pattern.matcher(redis.sync().info(section));
        return found.find() ? Long.parseLong(found.group(1)) : 0;
    }
}
