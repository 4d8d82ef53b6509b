package io.aitbc.benchmarks;

import io.aitbc.contracts.Json;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.utils.AppInfoParser;
import org.jspecify.annotations.Nullable;

/** A table for people, and the same as JSON. */
final class Report {
    private final String title;
    private final List<String> columns;
    private final List<List<String>> rows = new ArrayList<>();

    Report(String title, String... columns) {
        this.title = title;
        this.columns = List.of(columns);
    }

    void row(Object... values) {
        rows.add(Arrays.stream(values).map(String::valueOf).toList());
    }

    /** Prints the table, and writes it into a file if one is given. */
    void publish(@Nullable Path jsonFile) {
        System.out.println();
        System.out.println(title);
        System.out.println(machine());
        System.out.println();
        print(columns);
        print(columns.stream().map(column -> "---").toList());
        rows.forEach(Report::print);
        if (jsonFile != null) {
            Map<String, Object> json = new LinkedHashMap<>();
            json.put("title", title);
            json.put("machine", machine());
            json.put("columns", columns);
            json.put("rows", rows);
            try {
                Files.write(jsonFile, Json.bytes(json));
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }

    private static void print(List<String> cells) {
        System.out.println("| " + String.join(" | ", cells) + " |");
    }

    private static String machine() {
        return Runtime.getRuntime().availableProcessors() + " cores, JDK " + Runtime.version() + ", Kafka "
                + AppInfoParser.getVersion() + ", " + System.getProperty("os.name") + " "
                + System.getProperty("os.version");
    }
}
