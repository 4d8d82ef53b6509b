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
    /** Exit code of a command that failed, rather than found something. */
    private static final int COULD_NOT_RUN = 2;

    private Resilience() {}

    public static void main(String[] args) {
        System.setProperty("logback.configurationFile", "io/aitbc/resilience/logback.xml");
        System.setProperty("java.awt.headless", "true");
        System.exit(new CommandLine(new Resilience())
                .setExecutionExceptionHandler((failure, line, arguments) -> {
                    line.getErr().println("It could not be carried out: " + failure);
                    if (!(failure instanceof IllegalStateException)) {
                        failure.printStackTrace(line.getErr());
                    }
                    return COULD_NOT_RUN;
                })
                .execute(args));
    }
}
