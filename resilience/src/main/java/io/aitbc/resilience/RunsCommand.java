package io.aitbc.resilience;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.function.ToIntFunction;
import java.util.function.ToLongFunction;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
        name = "runs",
        mixinStandardHelpOptions = true,
        description = "Runs fault injection, one fault and seed per run, and prints a table of the findings.")
final class RunsCommand implements Callable<Integer> {
    @Option(
            names = "--faults",
            split = ",",
            description = "Comma-separated faults; all by default. Any of: ${COMPLETION-CANDIDATES}")
    private List<Fault> faults = Arrays.asList(Fault.values());

    @Option(names = "--mixed", description = "Injects all faults in each run, instead of one fault per run.")
    private boolean mixed;

    @Option(names = "--security", description = "Runs the coordinators with security on.")
    private boolean security;

    @Mixin
    private RunSeries series = new RunSeries();

    @Option(names = "--seconds", description = "Seconds of load per run; ${DEFAULT-VALUE} by default.")
    private int seconds = 30;

    @Option(names = "--coordinators", description = "Number of coordinators; ${DEFAULT-VALUE} by default.")
    private int coordinators = 2;

    @Option(
            names = "--brokers",
            description = "Number of brokers; ${DEFAULT-VALUE} by default. Some faults have three in any case.")
    private int brokers = 1;

    @Override
    public Integer call() {
        if (mixed) {
            // They need another cluster than the rest.
            faults = faults.stream().filter(Fault::hasUsualCluster).toList();
        }
        List<List<Fault>> kinds =
                mixed ? List.of(faults) : faults.stream().map(List::of).toList();
        for (int i = 0; i < series.runs; i++) {
            for (List<Fault> kind : kinds) {
                long seed = series.seed + i;
                series.play(mixed ? "mixed" : kind.get(0).wireName(), seed, ofRun -> run(kind, seed, ofRun));
            }
        }
        return series.report();
    }

    private Run run(List<Fault> kind, long seed, Path folder) {
        Run run = new Run(
                kind, seed, Duration.ofSeconds(seconds), coordinators, folder, security ? Cluster.SECURED : List.of());
        run.useBrokers(brokers);
        return run;
    }

    /** Returns a Markdown table with a row for each fault. */
    static String table(List<Run.Outcome> outcomes) {
        Map<String, List<Run.Outcome>> rows = outcomes.stream()
                .collect(Collectors.groupingBy(
                        outcome -> outcome.faults().size() == 1
                                ? outcome.faults().get(0).ordinal() + 100 + " "
                                        + outcome.faults().get(0).description()
                                : "999 all selected faults in each run",
                        TreeMap::new,
                        Collectors.toList()));
        StringBuilder table = new StringBuilder("| fault | runs | tasks | lost | executed twice | two live attempts |"
                + " over capacity or a limit | missing events | wrong counts | executed again after a lost agent | longest pause | longest wait |\n"
                + "|---|---|---|---|---|---|---|---|---|---|---|---|\n");
        rows.forEach((name, all) -> table.append("| ")
                .append(name.substring(4))
                .append(" | ")
                .append(all.size())
                .append(sum(all, Audit.Findings::tasks))
                .append(sum(all, findings -> findings.lost().size()))
                .append(sum(all, findings -> findings.twice().size()))
                .append(sum(all, findings -> findings.twoLive().size()))
                .append(sum(all, findings -> findings.overCapacity().size()))
                .append(sum(all, findings -> findings.missingEvents().size()))
                .append(" | ")
                .append(all.stream().mapToInt(one -> one.wrongCounts().size()).sum())
                .append(sum(all, findings -> findings.again().size()))
                .append(longest(all, Audit.Findings::longestPauseMs))
                .append(longest(all, Audit.Findings::longestWaitMs))
                .append(" |\n"));
        return table.toString();
    }

    private static String sum(List<Run.Outcome> all, ToIntFunction<Audit.Findings> count) {
        return " | " + all.stream().map(Run.Outcome::findings).mapToInt(count).sum();
    }

    private static String longest(List<Run.Outcome> all, ToLongFunction<Audit.Findings> ms) {
        return String.format(
                " | %.1f s",
                all.stream().map(Run.Outcome::findings).mapToLong(ms).max().orElse(0) / 1_000.0);
    }
}
