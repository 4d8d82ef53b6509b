package io.aitbc.resilience;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.springframework.util.FileSystemUtils;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
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

    @Mixin
    private RunSeries series = new RunSeries();

    @Override
    public Integer call() throws IOException, InterruptedException {
        Path previous = build();
        for (long seed = series.seed; seed < series.seed + series.runs; seed++) {
            long ofRun = seed;
            series.play(Fault.UPGRADE.wireName(), seed, folder -> {
                Run run = new Run(List.of(Fault.UPGRADE), ofRun, Duration.ZERO, 2, folder, List.of());
                run.usePrevious(previous);
                return run;
            });
        }
        return series.report();
    }

    /** Builds the coordinator in a checkout of its own. */
    private Path build() throws IOException, InterruptedException {
        Path checkout = series.folder.resolve("checkout").toAbsolutePath();
        FileSystemUtils.deleteRecursively(checkout);
        Files.createDirectories(series.folder);
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
                series.folder);
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
