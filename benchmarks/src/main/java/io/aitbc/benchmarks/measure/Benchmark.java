package io.aitbc.benchmarks.measure;

import io.aitbc.benchmarks.report.Report;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** A benchmark, run alone or with all others. */
@Command(mixinStandardHelpOptions = true)
abstract class Benchmark implements Callable<Integer> {
    @Option(names = "--json", description = "File for the tables as JSON; charts are written beside it")
    private @Nullable Path json;

    /** Runs the benchmark, which takes minutes. */
    abstract List<Report> measure();

    @Override
    public Integer call() {
        List<Report> reports = measure();
        Report.printAll(reports);
        write(reports);
        return 0;
    }

    final void write(List<Report> reports) {
        Report.write(reports, json);
    }
}
