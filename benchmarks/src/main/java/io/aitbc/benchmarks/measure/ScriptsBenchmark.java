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
import io.lettuce.core.codec.StringCodec;
import io.lettuce.core.output.StatusOutput;
import io.lettuce.core.protocol.CommandArgs;
import io.lettuce.core.protocol.CommandType;
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

/**
 * Processor time of Redis for the scripts of a task's life, beside what they cannot do without: two words for each task, as the raw relay's
 * fence writes them; the same records written twice, and each agent's in-flight hash, with nothing compared; and two plain writes.
 */
@Command(
        name = "scripts",
        description =
                "Processor time of Redis per task: queued, reserved, settled, and the same writes without a check.")
public final class ScriptsBenchmark extends Benchmark {
    private static final int AGENTS = 100;
    private static final Script SETTLE = Script.loadFencedWithLimits(Settlement.class, "settle");
    /** The writes of the raw relay's fence, with arguments as the scripts get them. */
    private static final String FENCE = """
            for i, id in ipairs(cmsgpack.unpack(ARGV[1])) do
              if ARGV[2] == 'given' then redis.call('SET', 'fenced:' .. id, ARGV[2], 'NX')
              else redis.call('SET', 'fenced:' .. id, ARGV[2], 'EX', 86400) end
            end""";
    /** The writes of a reservation and of a settlement: records, and entries of the agents' in-flight hashes, which a settlement removes. */
    private static final String WRITES = """
            local parts, records, agents = cmsgpack.unpack(ARGV[1]), {}, {}
            for i = 1, #parts, 4 do
              local id, agent, entry = parts[i], parts[i + 2], parts[i + 3]
              records[#records + 1] = 'task:' .. id
              records[#records + 1] = parts[i + 1]
              local entries = agents[agent] or {}
              agents[agent] = entries
              entries[#entries + 1] = id
              if ARGV[2] == 'HSET' then entries[#entries + 1] = entry end
            end
            for i = 1, #records, 2000 do
              redis.call('MSET', unpack(records, i, math.min(#records, i + 1999)))
            end
            for agent, entries in pairs(agents) do
              redis.call(ARGV[2], 'agent:' .. agent .. ':inflight', unpack(entries))
            end""";

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
                "the writes of both alone",
                "two words",
                "two plain SET, pipelined",
                "bytes kept for a task");
        try (LocalRedis server =
                        LocalRedis.startInstalled(Files.createTempDirectory("scripts"), LocalStack.freePort());
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
        double[][] measured = new double[7][times];
        for (int time = -1; time < times; time++) {
            redis.sync().flushall();
            markIndexComplete(redis);
            for (int agent = 0; agent < AGENTS; agent++) {
                redis.sync().hset(Keys.agent("agent-" + agent), Map.of("status", "active", "capacity", "1000000"));
            }
            long before = info(redis, "memory", MEMORY);
            double[] round = {
                round(redis, size, queue),
                round(redis, size, reserve),
                round(redis, size, ScriptsBenchmark::settle),
                0,
                0,
                0,
                (info(redis, "memory", MEMORY) - before) / (double) tasks
            };
            redis.sync().flushall();
            round[3] = round(redis, size, ScriptsBenchmark::writeUnchecked);
            redis.sync().flushall();
            round[4] = round(redis, size, ScriptsBenchmark::writeWords);
            redis.sync().flushall();
            round[5] = round(redis, size, ScriptsBenchmark::write);
            for (int i = 0; time >= 0 && i < round.length; i++) {
                measured[i][time] = round[i];
            }
        }
        List<Object> row = new ArrayList<>(List.of(size));
        for (int i = 0; i < measured.length; i++) {
            Arrays.sort(measured[i]);
            row.add(String.format(Locale.ROOT, i < 6 ? "%.1f" : "%.0f", measured[i][times / 2]));
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

    static String agentOf(WaitingTask waiting) {
        return "agent-" + waiting.position().offset() % AGENTS;
    }

    static void settle(Redis redis, List<WaitingTask> batch, Instant now) {
        List<String> all = new ArrayList<>();
        for (WaitingTask waiting : batch) {
            TaskResult result = result(waiting, now);
            all.addAll(List.of(
                    result.taskId(), TaskRecord.live(1), result.agentId(), "completed", TaskRecord.outcome(result)));
        }
        SETTLE.runSync(redis, List.of(String.valueOf(now.toEpochMilli()), Script.pack(all)));
    }

    private static TaskResult result(WaitingTask waiting, Instant now) {
        return new TaskResult(
                null,
                waiting.id(),
                1,
                agentOf(waiting),
                TaskResult.Status.COMPLETED,
                Json.object().put("sum", waiting.position().offset()),
                null,
                now,
                now);
    }

    /** What is written when a task is reserved and when it is settled, with nothing read or compared. */
    private static void writeUnchecked(Redis redis, List<WaitingTask> batch, Instant now) {
        List<String> reserved = new ArrayList<>();
        List<String> settled = new ArrayList<>();
        for (WaitingTask waiting : batch) {
            String record = TaskRecord.assigned(waiting.task(), agentOf(waiting), waiting.position(), now);
            String entry = TaskRecord.inflightEntry(
                    1, now, now.plusSeconds(300), waiting.position().toString());
            reserved.addAll(List.of(waiting.id(), record, agentOf(waiting), entry));
            settled.addAll(List.of(
                    waiting.id(), record + "\n\n" + TaskRecord.outcome(result(waiting, now)), agentOf(waiting), ""));
        }
        run(redis, WRITES, reserved, "HSET");
        run(redis, WRITES, settled, "HDEL");
    }

    /** What the fence of the raw relay writes. */
    private static void writeWords(Redis redis, List<WaitingTask> batch, Instant now) {
        List<String> ids = batch.stream().map(WaitingTask::id).toList();
        run(redis, FENCE, ids, "given");
        run(redis, FENCE, ids, "done");
    }

    private static void run(Redis redis, String script, List<String> parts, String how) {
        CommandArgs<String, String> all = new CommandArgs<>(StringCodec.UTF8)
                .add(script)
                .add(0)
                .add(Script.pack(parts))
                .addValue(how);
        redis.async()
                .dispatch(CommandType.EVAL, new StatusOutput<>(StringCodec.UTF8), all)
                .toCompletableFuture()
                .join();
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

    static double cpuSeconds(Redis redis) {
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

    /** Marks the index as complete, as a coordinator does: otherwise scripts refuse to grant. */
    static void markIndexComplete(Redis redis) {
        String id = redis.sync()
                .info("replication")
                .lines()
                .filter(line -> line.startsWith("master_replid:"))
                .findFirst()
                .orElseThrow();
        redis.sync().set(Keys.INDEX_COMPLETE, Keys.FORMAT + "1 " + id.substring(id.indexOf(':') + 1));
    }
}
