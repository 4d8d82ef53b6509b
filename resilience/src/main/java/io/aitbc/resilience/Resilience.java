package io.aitbc.resilience;

import io.aitbc.coordinator.CoordinatorApplication;
import io.aitbc.localstack.LocalKafka;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Collectors;
import picocli.CommandLine;
import picocli.CommandLine.Command;

/** The command line, and the entry point of each process role. */
@Command(
        name = "resilience",
        mixinStandardHelpOptions = true,
        description = "Injects faults into a cluster and accounts for every task.",
        subcommands = {RunsCommand.class, SoakCommand.class})
public final class Resilience {
    private Resilience() {}

    public static void main(String[] args) throws Exception {
        if (args.length == 0 || !args[0].equals("role:coordinator")) {
            System.setProperty("logback.configurationFile", "io/aitbc/resilience/logback.xml");
        }
        if (args.length > 0 && args[0].startsWith("role:")) {
            play(args[0], Arrays.copyOfRange(args, 1, args.length));
        } else {
            System.setProperty("java.awt.headless", "true");
            System.exit(new CommandLine(new Resilience()).execute(args));
        }
    }

    private static void play(String role, String[] args) throws Exception {
        switch (role) {
            case "role:kafka" -> runKafka(args);
            case "role:coordinator" -> CoordinatorApplication.main(args);
            case "role:agents" -> AgentsProcess.play(args);
            case "role:producer" -> ProducerProcess.play(args);
            default -> throw new IllegalArgumentException(role);
        }
    }

    private static void runKafka(String[] args) throws InterruptedException {
        Map<Integer, Integer> proxied = Arrays.stream(args)
                .skip(3)
                .map(pair -> pair.split("="))
                .collect(Collectors.toMap(pair -> Integer.parseInt(pair[0]), pair -> Integer.parseInt(pair[1])));
        LocalKafka kafka =
                LocalKafka.start(Path.of(args[0]), Integer.parseInt(args[1]), Integer.parseInt(args[2]), proxied);
        Runtime.getRuntime().addShutdownHook(new Thread(kafka::close));
        new CountDownLatch(1).await();
    }
}
