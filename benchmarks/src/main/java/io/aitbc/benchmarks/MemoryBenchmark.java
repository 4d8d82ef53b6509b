package io.aitbc.benchmarks;

import io.lettuce.core.api.StatefulRedisConnection;
import java.time.Duration;
import java.util.List;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** What a task of 250 bytes takes in memory while it waits, while an agent has it, and once it is done. */
@Command(name = "memory", description = "Bytes per waiting, in-flight and finished task, in coordinator and Redis.")
final class MemoryBenchmark extends Benchmark {
    private static final int AGENTS = 100;
    private static final Duration LONG = Duration.ofMinutes(5);

    @Option(names = "--tasks", defaultValue = "100000", description = "How many")
    private int tasks;

    @Override
    List<Report> measure() {
        Report report = new Report("Memory, bytes per task", "state", "coordinator", "Redis");
        try (Cluster cluster = new Cluster();
                CoordinatorSide side = new CoordinatorSide(cluster, AGENTS, tasks / AGENTS)) {
            // What is made once, with the first tasks, belongs to none.
            side.submit(new Submitter.Order("first", 1_000, 0, "all", 0));
            Cluster.await("the first", LONG, () -> deadlines(side) == 1_000);
            Usage empty = Usage.of(cluster, side);
            side.pause();
            side.submit(new Submitter.Order("waiting", tasks - 1_000, 0, "all", 0));
            Cluster.await("all to be known", LONG, () -> keys(side) >= tasks);
            Usage waiting = Usage.of(cluster, side);
            waiting.report(report, "waiting", empty, tasks - 1_000);
            side.resume();
            Cluster.await("all to be given", LONG, () -> deadlines(side) == tasks);
            Usage held = Usage.of(cluster, side);
            held.report(report, "in flight", empty, tasks - 1_000);
            side.reset();
            side.working();
            side.awaitSettled(tasks);
            Usage done = Usage.of(cluster, side);
            done.report(report, "finished, as long as it is kept", empty, tasks - 1_000);
        }
        return List.of(report);
    }

    private static long deadlines(CoordinatorSide side) {
        return side.redis().sync().zcard("tasks:deadlines");
    }

    private static long keys(CoordinatorSide side) {
        return side.redis().sync().dbsize();
    }

    private record Usage(long heap, long redis) {
        static Usage of(Cluster cluster, CoordinatorSide side) {
            return new Usage(cluster.coordinatorHeapBytes(), usedMemory(side.redis()));
        }

        void report(Report report, String state, Usage before, int count) {
            report.row(state, (heap - before.heap) / count, (redis - before.redis) / count);
        }

        private static long usedMemory(StatefulRedisConnection<String, String> redis) {
            return redis.sync()
                    .info("memory")
                    .lines()
                    .filter(line -> line.startsWith("used_memory:"))
                    .mapToLong(line -> Long.parseLong(line.substring(line.indexOf(':') + 1)))
                    .findFirst()
                    .orElseThrow();
        }
    }
}
