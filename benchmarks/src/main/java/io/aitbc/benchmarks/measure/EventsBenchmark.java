package io.aitbc.benchmarks.measure;

import io.aitbc.benchmarks.cluster.Cluster;
import io.aitbc.benchmarks.load.CoordinatorSide;
import io.aitbc.benchmarks.report.Medians;
import io.aitbc.benchmarks.report.Report;
import io.aitbc.localstack.LocalStack;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** What {@code tasks.events} costs: floods to two clusters in turns, one of them without events. Or what a history costs whose database is down. */
@Command(name = "events", description = "Tasks per second with events, compared with a cluster without.")
public final class EventsBenchmark extends Benchmark {
    private static final int IN_FLIGHT = 10_000;

    @Option(names = "--agents", defaultValue = "100", description = "Number of agents")
    private int agents;

    @Option(names = "--tasks", defaultValue = "100000", description = "Tasks per measurement")
    private int tasks;

    @Option(names = "--times", defaultValue = "5", description = "Repetitions, the clusters in turn")
    private int times;

    @Option(names = "--warm-up", defaultValue = "1000000", description = "Tasks before the first measurement")
    private int warmUp;

    @Option(
            names = "--history-down",
            description = "Compare a cluster with a history whose database is down with one that has no history")
    private boolean historyDown;

    @Override
    List<Report> measure() {
        String name = historyDown ? "with a history whose database is down" : "with events";
        Report report = new Report(
                (historyDown ? "History" : "Events") + ": floods to " + agents + " agents, median of " + times,
                name + ", tasks/s",
                "without, tasks/s",
                "ratio");
        Report costs = Measured.costs("coordinator", times);
        // Nothing listens there.
        String dead = "--aitbc.history.url=postgresql://127.0.0.1:" + LocalStack.freePort() + "/history";
        try (Cluster eventsOn = historyDown ? new Cluster(dead) : new Cluster();
                Cluster eventsOff = historyDown ? new Cluster() : new Cluster("--aitbc.events.enabled=false");
                CoordinatorSide with = new CoordinatorSide(eventsOn, agents, IN_FLIGHT / agents).working();
                CoordinatorSide without = new CoordinatorSide(eventsOff, agents, IN_FLIGHT / agents).working()) {
            with.flood("warm", warmUp, 0);
            without.flood("warm", warmUp, 0);
            Measured on = new Measured(name);
            Measured off = new Measured("without");
            List<Double> ratios = new ArrayList<>();
            for (int i = 0; i < times; i++) {
                String run = "flood" + i;
                double rate = on.add(with, tasks, side -> side.flood(run, tasks, 0));
                double rateWithout = off.add(without, tasks, side -> side.flood(run, tasks, 0));
                ratios.add(rate / rateWithout);
                System.out.printf(Locale.ROOT, "  %.0f tasks/s, without %.0f%n", rate, rateWithout);
            }
            report.row(on.rate(), off.rate(), String.format(Locale.ROOT, "%.2f", Medians.of(ratios)));
            on.report(costs, agents, "flood");
            off.report(costs, agents, "flood");
        }
        return List.of(report, costs);
    }
}
