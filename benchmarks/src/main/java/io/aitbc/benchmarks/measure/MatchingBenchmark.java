package io.aitbc.benchmarks.measure;

import io.aitbc.benchmarks.report.Report;
import io.aitbc.coordinator.balance.LoadBalancingStrategy;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import org.openjdk.jmh.profile.GCProfiler;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;
import org.openjdk.jmh.runner.options.VerboseMode;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** The matching core alone, with JMH: placements on one core, and their allocations. */
@Command(name = "matching", description = "Placements per second on one core, by strategy and number of agents.")
public final class MatchingBenchmark extends Benchmark {
    @Option(names = "--agents", split = ",", defaultValue = "10,100,1000,10000", description = "Numbers of agents")
    private List<Integer> sizes = List.of();

    @Option(names = "--strategies", split = ",", description = "Strategies; all by default")
    private List<LoadBalancingStrategy> strategies = Arrays.asList(LoadBalancingStrategy.values());

    @Option(names = "--times", defaultValue = "5", description = "Measurements of one second each")
    private int times;

    @Override
    List<Report> measure() {
        List<String> columns = new ArrayList<>(List.of("strategy"));
        sizes.forEach(size -> columns.add(size + " agents: ns, bytes"));
        sizes.forEach(size -> columns.add("placements/s, " + size + " agents"));
        Report report = new Report(
                "Matching: arrival, placement, answer and release of one task (JMH)", columns.toArray(String[]::new));
        report.axes("agents", "ns");
        for (LoadBalancingStrategy strategy : strategies) {
            List<Object> row = new ArrayList<>(List.of(strategy.wireName()));
            List<String> rates = new ArrayList<>();
            for (int size : sizes) {
                RunResult result = run(
                                new OptionsBuilder()
                                        .include(Placements.class.getName())
                                        .param("strategy", strategy.name())
                                        .param("agents", "" + size),
                                times)
                        .iterator()
                        .next();
                double ns = median(result);
                report.point(strategy.wireName(), size, ns);
                row.add(String.format(Locale.ROOT, "%.0f, %.0f", ns, allocated(result)));
                rates.add(String.format(Locale.ROOT, "%.1f million", 1_000 / ns));
            }
            row.addAll(rates);
            report.row(row.toArray());
        }
        return List.of(report, messages());
    }

    static double median(RunResult result) {
        return result.getPrimaryResult().getStatistics().getPercentile(50);
    }

    private Report messages() {
        Report report = new Report("Reading and writing messages of 250 bytes (JMH)", "what", "ns", "bytes");
        for (RunResult result : run(new OptionsBuilder().include(Messages.class.getName()), times)) {
            report.row(
                    result.getPrimaryResult().getLabel(),
                    String.format(Locale.ROOT, "%.0f", median(result)),
                    String.format(Locale.ROOT, "%.0f", allocated(result)));
        }
        return report;
    }

    static double allocated(RunResult result) {
        return result.getSecondaryResults().get("gc.alloc.rate.norm").getScore();
    }

    static Collection<RunResult> run(ChainedOptionsBuilder what, int times) {
        try {
            // Not forked: a nested jar is no class path for another JVM. Each strategy has its own profile
            // anyway.
            return new Runner(what.addProfiler(GCProfiler.class)
                            .forks(0)
                            .verbosity(VerboseMode.SILENT)
                            .warmupIterations(3)
                            .warmupTime(TimeValue.seconds(1))
                            .measurementIterations(times)
                            .measurementTime(TimeValue.seconds(1))
                            .build())
                    .run();
        } catch (RunnerException e) {
            throw new IllegalStateException(e);
        }
    }
}
