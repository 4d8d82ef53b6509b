package io.aitbc.benchmarks.measure;

import io.aitbc.benchmarks.report.Report;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import picocli.CommandLine;
import picocli.CommandLine.Command;

/** Runs all benchmarks, one after another. */
@Command(name = "all", description = "Run all benchmarks with their defaults; takes about two hours.")
public final class AllBenchmark extends Benchmark {
    private static final List<Supplier<Benchmark>> ALL = List.of(
            ThroughputBenchmark::new,
            LatencyBenchmark::new,
            PeersBenchmark::new,
            GrowthBenchmark::new,
            UrgentBenchmark::new,
            RestBenchmark::new,
            MemoryBenchmark::new,
            BacklogBenchmark::new,
            RegistryBenchmark::new,
            MatchingBenchmark::new,
            LiveBenchmark::new);

    @Override
    List<Report> measure() {
        List<Report> reports = new ArrayList<>();
        for (Supplier<Benchmark> one : ALL) {
            Benchmark benchmark = one.get();
            new CommandLine(benchmark).parseArgs();
            System.out.println(new CommandLine(benchmark).getCommandName());
            List<Report> some = benchmark.measure();
            // Printed at once: a later benchmark may fail.
            Report.printAll(some);
            reports.addAll(some);
            write(reports);
        }
        return reports;
    }
}
