package io.aitbc.resilience;

import io.aitbc.contracts.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.springframework.util.FileSystemUtils;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Upgrades coordinators from the previous release under load, and back. */
@Command(
        name = "upgrade",
        mixinStandardHelpOptions = true,
        description =
                "Builds a release from its tag, replaces its coordinators one by one by those of this build under load, and back.")
final class UpgradeCommand implements Callable<Integer> {
    @Option(names = "--tag", required = true, description = "Tag of the previous release, such as v0.2.0.")
    private String tag = "";

    @Option(names = "--repository", description = "Git repository that has the tag; ${DEFAULT-VALUE} by default.")
    private Path repository = Path.of(".");

    @Option(names = "--runs", description = "Number of runs; ${DEFAULT-VALUE} by default.")
    private int runs = 1;

    @Option(
            names = "--seed",
            description = "Seed of the first run, incremented for each further one; ${DEFAULT-VALUE} by default.")
    private long seed = 1;

    @Option(
            names = "--folder",
            description = "Folder for the checkout, ledgers, logs, charts and reports; ${DEFAULT-VALUE} by default.")
    private Path folder = Path.of("target", "resilience");

    @Override
    public Integer call() throws IOException, InterruptedException {
        Path previous = build();
        List<Run.Outcome> outcomes = new ArrayList<>();
        for (long one = seed; one < seed + runs; one++) {
            Path ofRun = folder.resolve("upgrade-" + one);
            System.out.println("upgrade from " + tag + ", seed " + one);
            Run run = new Run(List.of(Fault.UPGRADE), one, Duration.ZERO, 2, ofRun, List.of());
            run.usePrevious(previous);
            Run.Outcome outcome = run.play();
            outcomes.add(outcome);
            if (outcome.isClean()) {
                run.deleteData();
            } else {
                System.out.println("  NOT CLEAN, all files are kept in " + ofRun + ": " + Json.text(outcome.findings())
                        + " " + outcome.wrongCounts());
            }
        }
        System.out.print(RunsCommand.table(outcomes));
        return outcomes.stream().allMatch(Run.Outcome::isClean) ? 0 : 1;
    }

    /** Builds the coordinator in a checkout of its own. */
    private Path build() throws IOException, InterruptedException {
        Path checkout = folder.resolve("checkout").toAbsolutePath();
        FileSystemUtils.deleteRecursively(checkout);
        Files.createDirectories(folder);
        run(
                List.of(
                        "git",
                        "clone",
                        "--quiet",
                        "--depth",
                        "1",
                        "--branch",
                        tag,
                        repository.toUri().toString(),
                        checkout.toString()),
                folder);
        System.out.println("building " + tag);
        run(List.of("mvn", "-B", "-q", "-DskipTests", "-pl", "coordinator-service", "-am", "package"), checkout);
        try (Stream<Path> built =
                Files.list(checkout.resolve("coordinator-service").resolve("target"))) {
            return built.filter(file -> file.getFileName().toString().endsWith("-exec.jar"))
                    .findFirst()
                    .orElseThrow();
        }
    }

    private static void run(List<String> command, Path folder) throws IOException, InterruptedException {
        int exit = new ProcessBuilder(command)
                .directory(folder.toFile())
                .inheritIO()
                .start()
                .waitFor();
        if (exit != 0) {
            throw new IllegalStateException(String.join(" ", command) + " ended with " + exit);
        }
    }
}
