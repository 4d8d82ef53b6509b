package io.aitbc.benchmarks.measure;

import io.aitbc.benchmarks.cluster.ChildProcess;
import io.aitbc.benchmarks.cluster.Cluster;
import io.aitbc.benchmarks.load.BacklogLoad;
import io.aitbc.benchmarks.load.RawReader;
import io.aitbc.benchmarks.report.Medians;
import io.aitbc.benchmarks.report.Report;
import io.aitbc.contracts.Priority;
import io.lettuce.core.RedisClient;
import io.lettuce.core.api.StatefulRedisConnection;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.function.IntFunction;
import org.apache.kafka.clients.admin.Admin;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** What a coordinator does with a backlog that is far larger than what it holds in memory. */
@Command(name = "backlog", description = "Reading, memory, dispatch and restart with a million waiting tasks and more.")
public final class BacklogBenchmark extends Benchmark {
    private static final Duration TIMEOUT = Duration.ofMinutes(10);
    private static final Duration METRIC_INTERVAL = Duration.ofMillis(50);
    private static final int RUNNABLE = 1_000;
    private static final int CAPACITY = 5_000;
    private static final int TAKEOVERS = 3;
    private static final String RECEIVED = "coordinator_tasks_received_total";
    private static final String PARTITIONS = "coordinator_partitions";
    private static final String WAITING = "coordinator_lane_waiting";

    /** What is measured. */
    private enum Runs {
        BLOCKED,
        QUEUES,
        RESTART,
        GROUPS,
        LEDGER
    }

    @Option(names = "--runs", split = ",", description = "What to measure: ${COMPLETION-CANDIDATES}; all by default")
    private Set<Runs> runs = EnumSet.allOf(Runs.class);

    @Option(names = "--tasks", defaultValue = "1000000", description = "Number of waiting tasks")
    private int tasks;

    @Option(names = "--groups", defaultValue = "1000", description = "Number of groups that are drained in turns")
    private int groups;

    @Option(names = "--heap", defaultValue = "1g", description = "Heap of the coordinator")
    private String heap = "1g";

    private final Report report = new Report("A backlog of many tasks", "what", "tasks", "result", "figure");

    @Override
    List<Report> measure() {
        for (Runs run : runs) {
            try (Cluster cluster = new Cluster(2, List.of("-Xms" + heap, "-Xmx" + heap));
                    BacklogLoad load = new BacklogLoad(cluster.bootstrapServers())) {
                // They leave the group: otherwise a restarted one would get its partitions in turns.
                cluster.stopCoordinator(0);
                cluster.stopCoordinator(1);
                switch (run) {
                    case BLOCKED -> blocked(cluster, load, "before", i -> Priority.NORMAL);
                    case QUEUES -> blocked(cluster, load, "in five queues before", i -> Priority.values()[i % 5]);
                    case RESTART -> restart(cluster, load);
                    case GROUPS -> groups(cluster, load);
                    case LEDGER -> ledger(cluster, load);
                }
            }
        }
        return List.of(report);
    }

    private void blocked(Cluster cluster, BacklogLoad load, String where, IntFunction<Priority> priority) {
        load.submit("blocked", tasks, priority, i -> BacklogLoad.requires("of-nobody"));
        load.submit("runnable", RUNNABLE, priority, i -> BacklogLoad.requires("able"));
        load.agent("able-agent", "able", CAPACITY);
        double rawCold;
        List<Double> rawWarm = new ArrayList<>();
        try (ChildProcess reader = new ChildProcess(RawReader.class, cluster.bootstrapServers())) {
            rawCold = reader.ask(tasks + RUNNABLE).get("nanos").asDouble() / (tasks + RUNNABLE);
            for (int i = 0; i < TAKEOVERS; i++) {
                rawWarm.add(reader.ask(tasks + RUNNABLE).get("nanos").asDouble() / (tasks + RUNNABLE));
            }
        }
        cluster.restartCoordinator();
        String what = "blocked, " + where + " " + RUNNABLE + " that can run";
        long start = awaitRead(cluster, 1);
        long end = awaitRead(cluster, tasks + RUNNABLE);
        Cluster.await("all to be assigned", TIMEOUT, () -> load.assigned() == RUNNABLE);
        row(what, "all assigned, after they were read", seconds(Math.max(0, load.lastAssignedNanos() - end)));
        row(what, "heap per waiting task", bytes(cluster.coordinatorHeapBytes() / (double) tasks));
        reading("read by a process that has just started", rawCold, (double) (end - start) / (tasks + RUNNABLE));
        List<Double> warm = new ArrayList<>();
        for (int i = 0; i < TAKEOVERS; i++) {
            warm.add(takeOver(cluster));
        }
        reading("read at a takeover by a process that is warm", Medians.of(rawWarm), Medians.of(warm));
    }

    /** A second coordinator takes its share and dies: returns the ns in which the first then reads a task of that share. */
    private double takeOver(Cluster cluster) {
        cluster.restartCoordinator(1);
        Cluster.await(
                "the other coordinator to read its share",
                TIMEOUT,
                () -> cluster.metric(0, PARTITIONS) == cluster.metric(1, PARTITIONS)
                        && cluster.metric(0, WAITING) + cluster.metric(1, WAITING) == tasks);
        double read = cluster.metric(RECEIVED);
        double share = cluster.metric(1, WAITING);
        cluster.killCoordinator(1);
        long start = awaitRead(cluster, read + 1);
        return (awaitRead(cluster, read + share) - start) / share;
    }

    private void reading(String what, double rawNanos, double nanos) {
        row(what, "µs a task, a raw consumer", micros(rawNanos));
        row(what, "µs a task, the coordinator", micros(nanos));
        row(what, "ratio", ratio(nanos, rawNanos));
    }

    private void restart(Cluster cluster, BacklogLoad load) {
        load.submit(
                "waiting", tasks, i -> Priority.NORMAL, i -> BacklogLoad.requires(i % 2 == 0 ? "able" : "of-nobody"));
        load.agent("able-agent", "able", 100);
        cluster.restartCoordinator();
        awaitRead(cluster, tasks);
        cluster.killCoordinator();
        int before = load.assigned();
        long start = System.nanoTime();
        cluster.restartCoordinator();
        Cluster.await("partitions", TIMEOUT, () -> cluster.metric(PARTITIONS) > 0);
        long gained = System.nanoTime();
        Cluster.await("an assignment", TIMEOUT, () -> load.assigned() > before + 100);
        long first = System.nanoTime();
        int done = (int) (tasks - load.assigned() - 100_000);
        awaitRead(cluster, done);
        row("restart", "process start to its partitions", seconds(gained - start));
        row("restart", "from there to first assignments", seconds(first - gained));
        row("restart", "from there to all read", seconds(System.nanoTime() - gained));
        row(
                "restart",
                "live heap, of " + heap,
                String.format(Locale.ROOT, "%,d MB", cluster.coordinatorHeapBytes() >> 20));
    }

    private void groups(Cluster cluster, BacklogLoad load) {
        load.submit("group", tasks, i -> Priority.NORMAL, i -> BacklogLoad.requires("group-" + i % groups));
        cluster.restartCoordinator();
        awaitRead(cluster, tasks);
        int drained = Math.min(groups, 20);
        int each = tasks / groups;
        long start = System.nanoTime();
        for (int group = 0; group < drained; group++) {
            load.agent("agent-" + group, "group-" + group, 1_000);
            int target = (group + 1) * each;
            Cluster.await("group " + group, TIMEOUT, () -> load.assigned() >= target);
        }
        long time = System.nanoTime() - start;
        row(
                groups + " groups, drained in turns",
                "tasks per second",
                String.format(Locale.ROOT, "%.0f", 1e9 * drained * each / time));
        row(
                groups + " groups, drained in turns",
                "records read again per payload",
                ratio(
                        cluster.metric("coordinator_payloads_read_total"),
                        cluster.metric("coordinator_payloads_fetched_total")));
    }

    /** Half of the tasks are done, every other one; then everything is lost but Kafka's topics. */
    private void ledger(Cluster cluster, BacklogLoad load) {
        load.submit("task", tasks, i -> Priority.NORMAL, i -> BacklogLoad.requires(i % 2 == 0 ? "even" : "odd"));
        for (int i = 0; i < 10; i++) {
            load.agent("even-" + i, "even", 1_000);
        }
        cluster.restartCoordinator();
        Cluster.await(
                "half to be done",
                TIMEOUT,
                () -> load.assigned() == tasks / 2
                        && cluster.metric("coordinator_attempts_ended_total") >= Math.floorDiv(tasks, 2));
        cluster.killCoordinator();
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", cluster.bootstrapServers()));
                RedisClient client = RedisClient.create(cluster.redisUrl());
                StatefulRedisConnection<String, String> redis = client.connect()) {
            redis.sync().flushall();
            Cluster.await("the group to be empty", TIMEOUT, () -> deleteGroup(admin));
        }
        for (int i = 0; i < 10; i++) {
            load.agent("odd-" + i, "odd", 1_000);
        }
        cluster.restartCoordinator();
        Cluster.await("the others to be done", TIMEOUT, () -> load.assigned() == tasks);
        Cluster.pause(Duration.ofSeconds(5));
        row(
                "half done, then Redis and the group's offsets lost",
                "tasks assigned",
                String.format(Locale.ROOT, "%,d", load.assigned()));
        row("half done, then Redis and the group's offsets lost", "assigned twice", load.repeated());
    }

    private static boolean deleteGroup(Admin admin) {
        try {
            admin.deleteConsumerGroups(List.of("agent-coordinator")).all().get();
            return true;
        } catch (ExecutionException e) {
            return false;
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Awaits that a number of tasks has been read; returns when. */
    private static long awaitRead(Cluster cluster, double count) {
        // Each question costs the coordinator time.
        while (cluster.metric(RECEIVED) < count) {
            Cluster.pause(METRIC_INTERVAL);
        }
        return System.nanoTime();
    }

    private void row(String what, String result, Object figure) {
        report.row(what, String.format(Locale.ROOT, "%,d", tasks), result, figure);
        System.out.println("  " + what + ": " + result + " " + figure);
    }

    private static String seconds(long nanos) {
        return String.format(Locale.ROOT, "%.1f s", nanos / 1e9);
    }

    private static String micros(double nanos) {
        return String.format(Locale.ROOT, "%.2f", nanos / 1e3);
    }

    private static String bytes(double bytes) {
        return String.format(Locale.ROOT, "%.0f bytes", bytes);
    }

    private static String ratio(double one, double other) {
        return String.format(Locale.ROOT, "%.2f", one / other);
    }
}
