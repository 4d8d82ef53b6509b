package io.aitbc.benchmarks;

import io.aitbc.coordinator.CoordinatorApplication;
import io.aitbc.localstack.LocalKafka;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.CountDownLatch;
import picocli.CommandLine;
import picocli.CommandLine.Command;

/** The command line. Broker, coordinator and raw comparison run in processes of their own, started from the same jar. */
@Command(
        name = "benchmarks",
        mixinStandardHelpOptions = true,
        description = "Measures costs on this machine, compared with the raw limit.",
        subcommands = {
            RegistryBenchmark.class,
            StrategyBenchmark.class,
            MatchingBenchmark.class,
            ThroughputBenchmark.class,
            LatencyBenchmark.class,
            UrgentBenchmark.class,
            GrowthBenchmark.class,
            RestBenchmark.class,
            MemoryBenchmark.class,
            PeersBenchmark.class,
            LiveBenchmark.class,
            AllBenchmark.class
        })
public final class Benchmarks {
    private Benchmarks() {}

    public static void main(String[] args) throws Exception {
        if (args.length > 0 && args[0].startsWith("role:")) {
            play(args[0], Arrays.copyOfRange(args, 1, args.length));
        } else {
            System.exit(new CommandLine(new Benchmarks())
                    .setCaseInsensitiveEnumValuesAllowed(true)
                    .execute(args));
        }
    }

    private static void play(String role, String[] args) throws Exception {
        switch (role) {
            case "role:kafka" -> {
                LocalKafka kafka =
                        LocalKafka.start(Path.of(args[0]), Integer.parseInt(args[1]), Integer.parseInt(args[2]));
                Runtime.getRuntime().addShutdownHook(new Thread(kafka::close));
                new CountDownLatch(1).await();
            }
            case "role:coordinator" -> CoordinatorApplication.main(args);
            case "role:agents" -> BareAgents.play(args);
            case "role:submitter" -> Submitter.play(args);
            case "role:watchers" -> Watchers.play(args);
            case "role:relay" -> RawRelay.play(args);
            case "role:rabbit-agents" -> RabbitAgents.play(args);
            case "role:rabbit-submitter" -> RabbitAgents.submit(args);
            case "role:raw-heartbeats" -> RawHeartbeats.run(args[0], args[1], Long.parseLong(args[2]));
            default -> throw new IllegalArgumentException(role);
        }
    }
}
