package io.aitbc.benchmarks;

import io.aitbc.benchmarks.measure.AllBenchmark;
import io.aitbc.benchmarks.measure.BacklogBenchmark;
import io.aitbc.benchmarks.measure.EventsBenchmark;
import io.aitbc.benchmarks.measure.FairnessBenchmark;
import io.aitbc.benchmarks.measure.GrowthBenchmark;
import io.aitbc.benchmarks.measure.LatencyBenchmark;
import io.aitbc.benchmarks.measure.LimitsBenchmark;
import io.aitbc.benchmarks.measure.LiveBenchmark;
import io.aitbc.benchmarks.measure.MatchingBenchmark;
import io.aitbc.benchmarks.measure.MemoryBenchmark;
import io.aitbc.benchmarks.measure.PeersBenchmark;
import io.aitbc.benchmarks.measure.PullBenchmark;
import io.aitbc.benchmarks.measure.RegistryBenchmark;
import io.aitbc.benchmarks.measure.RestBenchmark;
import io.aitbc.benchmarks.measure.ScriptsBenchmark;
import io.aitbc.benchmarks.measure.SearchBenchmark;
import io.aitbc.benchmarks.measure.SecurityBenchmark;
import io.aitbc.benchmarks.measure.SizeBenchmark;
import io.aitbc.benchmarks.measure.StrategyBenchmark;
import io.aitbc.benchmarks.measure.ThroughputBenchmark;
import io.aitbc.benchmarks.measure.UrgentBenchmark;
import picocli.CommandLine;
import picocli.CommandLine.Command;

/** The command line. Broker, coordinator and raw comparison run in processes of their own. */
@Command(
        name = "benchmarks",
        mixinStandardHelpOptions = true,
        description = "Measures costs on this machine, compared with the raw limit.",
        subcommands = {
            RegistryBenchmark.class,
            StrategyBenchmark.class,
            MatchingBenchmark.class,
            ScriptsBenchmark.class,
            ThroughputBenchmark.class,
            EventsBenchmark.class,
            SearchBenchmark.class,
            LatencyBenchmark.class,
            UrgentBenchmark.class,
            FairnessBenchmark.class,
            LimitsBenchmark.class,
            GrowthBenchmark.class,
            BacklogBenchmark.class,
            RestBenchmark.class,
            SecurityBenchmark.class,
            PullBenchmark.class,
            MemoryBenchmark.class,
            SizeBenchmark.class,
            PeersBenchmark.class,
            LiveBenchmark.class,
            AllBenchmark.class
        })
public final class Benchmarks {
    private Benchmarks() {}

    public static void main(String[] args) {
        System.exit(new CommandLine(new Benchmarks())
                .setCaseInsensitiveEnumValuesAllowed(true)
                .execute(args));
    }
}
