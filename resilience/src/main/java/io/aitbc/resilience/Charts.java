package io.aitbc.resilience;

import java.awt.Color;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.ToLongFunction;
import java.util.stream.Collectors;
import org.knowm.xchart.AnnotationLine;
import org.knowm.xchart.AnnotationText;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.style.Styler;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** Draws timelines as PNG files. */
final class Charts {
    private Charts() {}

    /** Draws the tasks accepted, assigned and completed per second, with the faults marked. */
    static void draw(Run.Outcome outcome, Evidence evidence, Path folder) {
        XYChart chart = chart(
                outcome.faults().stream().map(Fault::wireName).collect(Collectors.joining(", ")) + ", seed "
                        + outcome.seed(),
                "per second");
        long start = evidence.ledger().stream().mapToLong(Ledger.Line::at).min().orElse(0);
        perSecond(
                chart,
                "accepted",
                start,
                evidence.ledger().stream()
                        .filter(line -> line.what() == Ledger.EventType.ACKED)
                        .toList(),
                Ledger.Line::at);
        perSecond(chart, "assigned", start, evidence.assigned(), Evidence.Assigned::at);
        perSecond(
                chart,
                "done",
                start,
                evidence.ledger().stream()
                        .filter(line -> line.what() == Ledger.EventType.FINISHED)
                        .toList(),
                Ledger.Line::at);
        double height = 1;
        for (Timeline.Event event : outcome.events()) {
            double from = (event.from() - start) / 1_000.0;
            chart.addAnnotation(new AnnotationLine(from, true, false));
            chart.addAnnotation(new AnnotationLine((event.to() - start) / 1_000.0, true, false));
            AnnotationText text = new AnnotationText(event.what(), from, height, false);
            chart.addAnnotation(text);
            height = height + 18;
        }
        save(chart, folder.resolve("timeline"));
    }

    /** Draws series over time, each scaled to its own maximum, which its name shows. */
    static void draw(String title, List<Double> seconds, Map<String, List<Double>> series, Path file) {
        XYChart chart = chart(title, "fraction of maximum");
        series.forEach((name, values) -> {
            double most = values.stream().mapToDouble(Double::doubleValue).max().orElse(1);
            chart.addSeries(
                            name + " (" + Math.round(most) + ")",
                            seconds,
                            values.stream()
                                    .map(value -> value / Math.max(1, most))
                                    .toList())
                    .setMarker(SeriesMarkers.NONE);
        });
        save(chart, file);
    }

    private static XYChart chart(String title, String ordinate) {
        XYChart chart = new XYChartBuilder()
                .width(1_200)
                .height(500)
                .title(title)
                .xAxisTitle("seconds")
                .yAxisTitle(ordinate)
                .build();
        chart.getStyler().setLegendPosition(Styler.LegendPosition.OutsideE);
        chart.getStyler().setAnnotationLineColor(Color.LIGHT_GRAY);
        chart.getStyler().setLegendLayout(Styler.LegendLayout.Vertical);
        return chart;
    }

    private static <T> void perSecond(XYChart chart, String name, long start, List<T> all, ToLongFunction<T> at) {
        TreeMap<Long, Integer> counts = new TreeMap<>();
        all.forEach(one -> counts.merge((at.applyAsLong(one) - start) / 1_000, 1, Integer::sum));
        if (counts.isEmpty()) {
            return;
        }
        List<Double> seconds = new ArrayList<>();
        List<Double> values = new ArrayList<>();
        for (long second = 0; second <= counts.lastKey(); second++) {
            seconds.add((double) second);
            values.add((double) counts.getOrDefault(second, 0));
        }
        chart.addSeries(name, seconds, values).setMarker(SeriesMarkers.NONE);
    }

    /** Skips the chart if it cannot be rendered, as on a server without fonts; the report has the figures. */
    private static void save(XYChart chart, Path file) {
        try {
            BitmapEncoder.saveBitmap(chart, file.toString(), BitmapEncoder.BitmapFormat.PNG);
        } catch (IOException | LinkageError | RuntimeException | InternalError e) {
            System.out.println("  no chart: " + e);
        }
    }
}
