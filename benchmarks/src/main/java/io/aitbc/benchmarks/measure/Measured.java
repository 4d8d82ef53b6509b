package io.aitbc.benchmarks.measure;

import io.aitbc.benchmarks.load.Side;
import io.aitbc.benchmarks.report.Medians;
import io.aitbc.benchmarks.report.Report;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;

/** The measurements of one side: tasks per second, and processor time by process. */
final class Measured {
    private final String side;
    private final List<Double> rates = new ArrayList<>();
    private final Map<String, List<Double>> us = new HashMap<>();

    /** One measurement. */
    interface Measurement {
        double perSecond(Side side);
    }

    Measured(String side) {
        this.side = side;
    }

    /**
     * The table for {@link #report}.
     *
     * @param between name of the column of the process between Kafka and the agents
     */
    static Report costs(String between, int times) {
        return new Report(
                "Processor time by process, µs per task, median of " + times,
                "agents",
                "what",
                "side",
                "submitter",
                "Kafka",
                between,
                "Redis",
                "agents",
                "all");
    }

    double add(Side measured, int tasks, Measurement measurement) {
        Map<String, Duration> before = measured.cpuByProcess();
        double rate = measurement.perSecond(measured);
        rates.add(rate);
        Map<String, Double> spent = new HashMap<>();
        measured.cpuByProcess()
                .forEach((who, time) ->
                        spent.put(who, time.minus(before.get(who)).toNanos() / 1e3 / tasks));
        spent.put(
                "all", spent.values().stream().mapToDouble(Double::doubleValue).sum());
        spent.forEach(
                (who, one) -> us.computeIfAbsent(who, name -> new ArrayList<>()).add(one));
        return rate;
    }

    /** Tasks per second, the median. */
    String rate() {
        return String.format(Locale.ROOT, "%.0f", Medians.of(rates));
    }

    void report(Report costs, int agents, String what) {
        String between = us.containsKey("relay") ? "relay" : "coordinator";
        costs.row(Stream.concat(
                        Stream.of(agents, what, side),
                        Stream.of("submitter", "Kafka", between, "Redis", "agents", "all")
                                .map(this::median))
                .toArray());
    }

    private String median(String who) {
        return us.containsKey(who) ? String.format(Locale.ROOT, "%.1f", Medians.of(us.get(who))) : "";
    }
}
