package io.aitbc.benchmarks.measure;

import io.aitbc.benchmarks.report.Report;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** Runs all benchmarks, one after another. */
@Command(name = "all", description = "Run all benchmarks with their defaults; takes about two hours.")
public final class AllBenchmark extends Benchmark {
    private static final List<Supplier<Benchmark>> ALL = List.of(
            ThroughputBenchmark::new,
            LatencyBenchmark::new,
            PeersBenchmark::new,
            ScriptsBenchmark::new,
            MemoryBenchmark::new,
            GrowthBenchmark::new,
            UrgentBenchmark::new,
            FairnessBenchmark::new,
            LimitsBenchmark::new,
            RestBenchmark::new,
            BacklogBenchmark::new,
            RegistryBenchmark::new,
            MatchingBenchmark::new,
            LiveBenchmark::new);

    @Spec
    private CommandSpec spec;

    @Option(names = "--only", split = ",", description = "Benchmarks to run, by name; all by default")
    private Set<String> only = Set.of();

    @Override
    List<Report> measure() {
        List<CommandLine> commands =
                ALL.stream().map(one -> new CommandLine(one.get())).toList();
        Set<String> names = commands.stream().map(CommandLine::getCommandName).collect(Collectors.toSet());
        if (!names.containsAll(only)) {
            throw new ParameterException(
                    spec.commandLine(), "--only: expected some of " + String.join(", ", new TreeSet<>(names)));
        }
        List<Report> reports = new ArrayList<>();
        for (CommandLine command : commands) {
            if (!only.isEmpty() && !only.contains(command.getCommandName())) {
                continue;
            }
            command.parseArgs();
            System.out.println(command.getCommandName());
            Benchmark benchmark = command.getCommand();
            List<Report> some = benchmark.measure();
            // Printed at once: a later benchmark may fail.
            Report.printAll(some);
            reports.addAll(some);
            write(reports);
        }
        return reports;
    }
}
