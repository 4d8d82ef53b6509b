package io.aitbc.resilience;

import io.aitbc.contracts.Json;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import picocli.CommandLine.Option;

/** Runs with increasing seeds, each in a folder of its own. */
final class RunSeries {
    @Option(names = "--runs", description = "Number of runs of each kind; ${DEFAULT-VALUE} by default.")
    int runs = 1;

    @Option(
            names = "--seed",
            description = "Seed of the first run, incremented for each further one; ${DEFAULT-VALUE} by default.")
    long seed = 1;

    @Option(
            names = "--folder",
            description = "Folder for ledgers, logs, charts and reports; ${DEFAULT-VALUE} by default.")
    Path folder = Path.of("target", "resilience");

    private final List<Run.Outcome> outcomes = new ArrayList<>();

    /** Plays a run. If it is not clean, its files are kept. */
    void play(String name, long runSeed, Function<Path, Run> create) {
        Path ofRun = folder.resolve(name + "-" + runSeed);
        System.out.println(name + ", seed " + runSeed);
        Run run = create.apply(ofRun);
        try {
            Run.Outcome outcome = run.play();
            outcomes.add(outcome);
            if (outcome.isClean()) {
                run.deleteData();
            } else {
                System.out.println("  NOT CLEAN, seed " + runSeed + ", all files are kept in " + ofRun + ": "
                        + Json.text(outcome.findings()) + " " + outcome.wrongCounts());
            }
        } catch (UnsupportedOperationException e) {
            System.out.println("  skipped: " + e.getMessage());
        }
    }

    /** Prints and writes the table of the findings. Returns the exit code: 0 if all runs were clean, and there was one. */
    int report() {
        String table = RunsCommand.table(outcomes);
        System.out.println();
        System.out.print(table);
        try {
            Files.writeString(Files.createDirectories(folder).resolve("report.md"), table);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return !outcomes.isEmpty() && outcomes.stream().allMatch(Run.Outcome::isClean) ? 0 : 1;
    }
}
