package io.aitbc.benchmarks.measure;

import io.aitbc.benchmarks.cluster.Cluster;
import io.aitbc.benchmarks.load.CoordinatorSide;
import io.aitbc.benchmarks.load.Submitter;
import io.aitbc.benchmarks.report.Medians;
import io.aitbc.benchmarks.report.Report;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.IntConsumer;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Cost per task as one dimension grows. */
@Command(
        name = "growth",
        description = "Cost per task by backlog, blocked tasks, requirements, agents and coordinators.")
public final class GrowthBenchmark extends Benchmark {
    private static final int AGENTS = 100;
    private static final int CAPACITY = 100;
    private static final int WARM_UP = 300_000;
    /** Per coordinator: before, the JIT compilers of each take as much time as the work itself. */
    private static final int LONG_WARM_UP = 1_300_000;

    /** The dimensions. */
    private enum Curves {
        AGENTS,
        BACKLOG,
        REQUIREMENTS,
        BLOCKED,
        COORDINATORS
    }

    @Option(names = "--curves", split = ",", description = "Dimensions: ${COMPLETION-CANDIDATES}; all by default")
    private Set<Curves> curves = EnumSet.allOf(Curves.class);

    @Option(names = "--agents", split = ",", defaultValue = "10,100,1000,5000", description = "Numbers of agents")
    private List<Integer> agents = List.of();

    @Option(
            names = "--backlogs",
            split = ",",
            defaultValue = "1000,10000,100000,1000000",
            description = "Numbers of waiting tasks")
    private List<Integer> backlogs = List.of();

    @Option(
            names = "--groups",
            split = ",",
            defaultValue = "1,100,1000",
            description = "Numbers of different requirements")
    private List<Integer> groups = List.of();

    @Option(
            names = "--blocked",
            split = ",",
            defaultValue = "0,20000,200000",
            description = "Numbers of tasks that no agent can take")
    private List<Integer> blocked = List.of();

    @Option(names = "--coordinators", split = ",", defaultValue = "1,2", description = "Numbers of coordinators")
    private List<Integer> coordinators = List.of();

    @Option(names = "--tasks", defaultValue = "60000", description = "Tasks per measurement")
    private int tasks;

    @Option(names = "--times", defaultValue = "5", description = "Measurements per value")
    private int times;

    @Override
    List<Report> measure() {
        List<Report> reports = new ArrayList<>();
        for (Curves curve : curves) {
            reports.add(
                    switch (curve) {
                        case AGENTS -> byAgents();
                        case BACKLOG -> byBacklog();
                        case REQUIREMENTS -> byRequirements();
                        case BLOCKED -> byBlocked();
                        case COORDINATORS -> byCoordinators();
                    });
        }
        return reports;
    }

    private Report byRequirements() {
        Curve curve = new Curve("Growth by requirements", "different requirements");
        return onOneCluster(curve, side -> {
            for (int count : groups) {
                curve.measure(count, side, tasks, times, run -> side.flood("groups" + count + "-" + run, tasks, count));
            }
        });
    }

    private Report byBlocked() {
        Curve curve = new Curve("Growth by blocked tasks", "tasks that no agent can take");
        return onOneCluster(curve, side -> {
            int already = 0;
            for (int count : blocked) {
                side.submit(new Submitter.Order("blocked" + count, count - already, 0, "all", -1));
                already = count;
                awaitQuiet(side);
                curve.measure(
                        Math.max(1, count),
                        side,
                        tasks,
                        times,
                        run -> side.flood("beside" + count + "-" + run, tasks, 0));
            }
        });
    }

    private static Report onOneCluster(Curve curve, Consumer<CoordinatorSide> measurements) {
        try (Cluster cluster = new Cluster();
                CoordinatorSide side = new CoordinatorSide(cluster, AGENTS, CAPACITY).working()) {
            side.flood("warm", WARM_UP, 0);
            measurements.accept(side);
        }
        return curve.report;
    }

    /** Awaits that new tasks have been read and recorded, which is not part of the measurement. */
    private static void awaitQuiet(CoordinatorSide side) {
        long before;
        do {
            before = side.redis().sync().dbsize();
            Cluster.pause(Duration.ofSeconds(1));
        } while (side.redis().sync().dbsize() != before);
    }

    private Report byAgents() {
        Curve curve = new Curve("Growth by agents", "agents");
        for (int count : agents) {
            try (Cluster cluster = new Cluster();
                    CoordinatorSide side = new CoordinatorSide(cluster, count, AGENTS * CAPACITY / count).working()) {
                side.flood("warm", WARM_UP, 0);
                curve.measure(count, side, tasks, times, run -> side.flood("flood" + run, tasks, 0));
            }
        }
        return curve.report;
    }

    /** Cost of tasks that pass a constant backlog. */
    private Report byBacklog() {
        Curve curve = new Curve("Growth by backlog", "tasks that wait");
        return onOneCluster(curve, side -> {
            for (int backlog : backlogs) {
                String name = "backlog" + backlog + "-";
                curve.measure(
                        backlog,
                        side,
                        tasks,
                        times,
                        run -> side.fill(name + run, backlog + tasks),
                        run -> side.release(tasks));
            }
        });
    }

    private Report byCoordinators() {
        Curve curve = new Curve("Growth by coordinators", "coordinators");
        for (int count : coordinators) {
            try (Cluster cluster = new Cluster(count);
                    CoordinatorSide side = new CoordinatorSide(cluster, AGENTS, CAPACITY).working()) {
                side.flood("warm", count * LONG_WARM_UP, 0);
                curve.measure(count, side, tasks, times, run -> side.flood("flood" + run, tasks, 0));
            }
        }
        return curve.report;
    }

    private static final class Curve {
        private static final List<String> PROCESSES = List.of("coordinator", "Redis", "Kafka");

        final Report report;

        Curve(String title, String across) {
            report = new Report(title, across, "tasks/s", "CPU µs/task: coordinators", "Redis", "Kafka");
            report.axes(across, "processor µs per task");
        }

        void measure(int at, CoordinatorSide side, double count, int times, IntConsumer run) {
            measure(at, side, count, times, i -> {}, run);
        }

        /** @param before preparation of each run, not measured */
        void measure(int at, CoordinatorSide side, double count, int times, IntConsumer before, IntConsumer run) {
            List<Double> rates = new ArrayList<>();
            Map<String, List<Double>> us = new LinkedHashMap<>();
            for (int i = 0; i < times; i++) {
                before.accept(i);
                Map<String, Duration> cpu = side.cpuByProcess();
                long start = System.nanoTime();
                run.accept(i);
                rates.add(count * 1e9 / (System.nanoTime() - start));
                Map<String, Duration> after = side.cpuByProcess();
                for (String process : PROCESSES) {
                    Duration spent = after.get(process).minus(cpu.get(process));
                    us.computeIfAbsent(process, name -> new ArrayList<>()).add(spent.toNanos() / 1e3 / count);
                }
            }
            List<Object> row = new ArrayList<>(List.of(at, String.format(Locale.ROOT, "%.0f", Medians.of(rates))));
            us.forEach((process, each) -> {
                row.add(String.format(Locale.ROOT, "%.0f", Medians.of(each)));
                report.point(process, at, Medians.of(each));
            });
            report.row(row.toArray());
            System.out.println(
                    "  " + String.join(", ", row.stream().map(String::valueOf).toList()));
        }
    }
}
