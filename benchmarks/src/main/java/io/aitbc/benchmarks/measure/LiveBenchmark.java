package io.aitbc.benchmarks.measure;

import io.aitbc.benchmarks.cluster.ChildProcess;
import io.aitbc.benchmarks.cluster.Cluster;
import io.aitbc.benchmarks.load.CoordinatorSide;
import io.aitbc.benchmarks.load.Submitter;
import io.aitbc.benchmarks.load.Timestamps;
import io.aitbc.benchmarks.load.Watchers;
import io.aitbc.benchmarks.report.Report;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import org.HdrHistogram.Histogram;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import tools.jackson.databind.JsonNode;

/** Cost of live updates with many clients. */
@Command(name = "live", description = "Cost of live updates per client, and the age of a message on arrival.")
public final class LiveBenchmark extends Benchmark {
    @Option(names = "--agents", defaultValue = "5000", description = "Number of agents")
    private int agents;

    @Option(names = "--clients", split = ",", defaultValue = "0,500", description = "Numbers of clients")
    private List<Integer> clients = List.of();

    @Option(
            names = "--topics",
            split = ";",
            defaultValue = "queues,stats;agents",
            description = "Subscribed topics, sets separated by ;")
    private List<String> topics = List.of();

    @Option(names = "--rate", defaultValue = "200", description = "Tasks per second during the measurement")
    private int rate;

    @Option(names = "--seconds", defaultValue = "20", description = "Seconds per measurement")
    private int seconds;

    @Override
    List<Report> measure() {
        Report report = new Report(
                "Live updates: " + agents + " agents, " + rate + " tasks/s",
                "topics",
                "clients",
                "coordinator, share of a core",
                "messages/s per client",
                "kB/s per client",
                "age on arrival: p50, ms",
                "p99, ms");
        try (Cluster cluster = new Cluster();
                CoordinatorSide side = new CoordinatorSide(cluster, agents, 2).working();
                ChildProcess watchers =
                        new ChildProcess(Watchers.class, cluster.restUrl().replaceFirst("http", "ws") + "/ws")) {
            side.flood("warm", 50_000, 0);
            for (String topic : topics) {
                for (int count : clients) {
                    watchers.ask("watch", count, topic);
                    // The first message is the full snapshot.
                    Cluster.pause(Duration.ofSeconds(5));
                    measure(report, cluster, side, watchers, topic, count);
                    watchers.ask("leave");
                }
            }
        }
        return List.of(report);
    }

    private void measure(
            Report report, Cluster cluster, CoordinatorSide side, ChildProcess watchers, String topic, int count) {
        watchers.ask("reset");
        Duration before = cluster.coordinatorCpu();
        side.reset();
        side.submit(new Submitter.Order("live-" + topic.hashCode() + "-" + count, rate * seconds, rate, "all", 0));
        double share = cluster.coordinatorCpu().minus(before).toMillis() / 1e3 / seconds;
        JsonNode heard = watchers.ask("figures");
        Histogram ages = Timestamps.decode(heard.get("ages").asString());
        double each = Math.max(1, count) * seconds;
        report.row(
                topic,
                count,
                text("%.2f", share),
                text("%.2f", heard.get("messages").asLong() / each),
                text("%.1f", heard.get("bytes").asLong() / 1e3 / each),
                text("%.0f", ages.getValueAtPercentile(50) / 1e3),
                text("%.0f", ages.getValueAtPercentile(99) / 1e3));
        side.awaitSettled((long) rate * seconds);
    }

    private static String text(String format, double value) {
        return String.format(Locale.ROOT, format, value);
    }
}
