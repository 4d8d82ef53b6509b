package io.aitbc.benchmarks.report;

import io.aitbc.contracts.Json;
import io.aitbc.localstack.LocalRedis;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.apache.kafka.common.utils.internals.AppInfoParser;
import org.jspecify.annotations.Nullable;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.CategoryChart;
import org.knowm.xchart.CategoryChartBuilder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.internal.chartpart.Chart;

/** A table as Markdown and JSON, with an optional chart of lines or bars. */
public final class Report {
    private final String title;
    private final List<String> columns;
    private final List<List<String>> rows = new ArrayList<>();
    private final Map<String, Map<Double, Double>> curves = new LinkedHashMap<>();
    private List<Integer> bars = List.of();
    private boolean stacked;
    private String xTitle = "";
    private String yTitle = "";

    public Report(String title, String... columns) {
        this.title = title;
        this.columns = List.of(columns);
    }

    public void row(Object... values) {
        rows.add(Arrays.stream(values).map(String::valueOf).toList());
    }

    /**
     * Adds a bar chart: for each row one bar per named column, all of one unit. The columns before them label the bars.
     */
    public Report bars(String vertical, Integer... ofColumns) {
        yTitle = vertical;
        bars = List.of(ofColumns);
        return this;
    }

    /** Like {@link #bars}, stacked. */
    public Report stackedBars(String vertical, Integer... ofColumns) {
        stacked = true;
        return bars(vertical, ofColumns);
    }

    /** Adds a line chart. */
    public void axes(String horizontal, String vertical) {
        xTitle = horizontal;
        yTitle = vertical;
    }

    /** Adds the next point of a line, from left to right. */
    public void point(String curve, double x, double y) {
        curves.computeIfAbsent(curve, name -> new LinkedHashMap<>()).put(x, y);
    }

    /** Prints tables below a description of the machine. */
    public static void printAll(List<Report> reports) {
        System.out.println();
        System.out.println(machine());
        reports.forEach(Report::print);
    }

    /** Writes tables to a file, if one is given, and their charts beside it. */
    public static void write(List<Report> reports, @Nullable Path jsonFile) {
        if (jsonFile != null) {
            Map<String, Object> json = new LinkedHashMap<>();
            json.put("machine", machine());
            json.put("tables", reports.stream().map(Report::json).toList());
            try {
                Files.createDirectories(jsonFile.toAbsolutePath().getParent());
                Files.write(jsonFile, Json.bytes(json));
                for (Report report : reports) {
                    report.draw(jsonFile);
                }
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }

    private Map<String, Object> json() {
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("title", title);
        json.put("columns", columns);
        json.put("rows", rows);
        return json;
    }

    private void draw(Path jsonFile) throws IOException {
        if (curves.isEmpty() && bars.isEmpty()) {
            return;
        }
        String file = title.replaceAll("[:,;].*", "").toLowerCase(Locale.ROOT).replaceAll("[^a-z0-9]+", "-");
        BitmapEncoder.saveBitmap(
                bars.isEmpty() ? curveChart() : barChart(),
                jsonFile.resolveSibling(file).toString(),
                BitmapEncoder.BitmapFormat.PNG);
    }

    private Chart<?, ?> curveChart() {
        XYChart chart = new XYChartBuilder()
                .width(900)
                .height(450)
                .title(title)
                .xAxisTitle(xTitle)
                .yAxisTitle(yTitle)
                .build();
        chart.getStyler().setXAxisLogarithmic(true).setYAxisMin(0.0);
        curves.forEach(
                (name, points) -> chart.addSeries(name, List.copyOf(points.keySet()), List.copyOf(points.values())));
        return chart;
    }

    private Chart<?, ?> barChart() {
        CategoryChart chart = new CategoryChartBuilder()
                .width(1_200)
                .height(600)
                .title(title.replaceAll("[:;].*", ""))
                .yAxisTitle(yTitle)
                .build();
        chart.getStyler().setStacked(stacked).setXAxisLabelRotation(45).setYAxisDecimalPattern("#,###");
        List<String> labels = rows.stream()
                .map(row -> String.join(", ", row.subList(0, bars.get(0))))
                .toList();
        for (int column : bars) {
            chart.addSeries(
                    columns.get(column),
                    labels,
                    rows.stream().map(row -> number(row.get(column))).toList());
        }
        return chart;
    }

    /** Cells without a number have no bar. */
    private static double number(String cell) {
        try {
            return Double.parseDouble(cell);
        } catch (NumberFormatException e) {
            return 0;
        }
    }

    private void print() {
        System.out.println();
        System.out.println(title);
        System.out.println();
        print(columns);
        print(columns.stream().map(column -> "---").toList());
        rows.forEach(Report::print);
    }

    private static void print(List<String> cells) {
        System.out.println("| " + String.join(" | ", cells) + " |");
    }

    private static String version(Path executable) {
        try {
            Process process = new ProcessBuilder(executable.toString(), "--version").start();
            String said = process.inputReader().readLine();
            return said.replaceAll(" sha=.*", "");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static String machine() {
        return Runtime.getRuntime().availableProcessors() + " cores, JDK " + Runtime.version() + ", Kafka "
                + AppInfoParser.getVersion() + ", "
                + LocalRedis.installed("redis-server").map(Report::version).orElse("the local stack's Redis") + ", "
                + System.getProperty("os.name") + " "
                + System.getProperty("os.version");
    }
}
