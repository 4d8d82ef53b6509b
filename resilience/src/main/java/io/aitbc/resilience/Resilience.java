package io.aitbc.resilience;

import picocli.CommandLine;
import picocli.CommandLine.Command;

/** The command line. */
@Command(
        name = "resilience",
        mixinStandardHelpOptions = true,
        description = "Injects faults into a cluster and accounts for every task.",
        subcommands = {RunsCommand.class, UpgradeCommand.class, SoakCommand.class})
public final class Resilience {
    private Resilience() {}

    public static void main(String[] args) {
        System.setProperty("logback.configurationFile", "io/aitbc/resilience/logback.xml");
        System.setProperty("java.awt.headless", "true");
        System.exit(new CommandLine(new Resilience()).execute(args));
    }
}
