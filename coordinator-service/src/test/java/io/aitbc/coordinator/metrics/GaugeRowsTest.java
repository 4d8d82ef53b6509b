package io.aitbc.coordinator.metrics;

import static org.assertj.core.api.Assertions.assertThat;

import io.micrometer.core.instrument.MultiGauge;
import io.micrometer.core.instrument.MultiGauge.Row;
import io.micrometer.core.instrument.Tags;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;

class GaugeRowsTest {
    private static final int SCRAPES = 20_000;

    @Test
    void aScrapeNeverMeetsAGaugeThatIsHalfReplaced() {
        PrometheusMeterRegistry registry = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
        MultiGauge plain = MultiGauge.builder("plain").register(registry);
        MultiGauge keyed = MultiGauge.builder("keyed").register(registry);
        GaugeRows rows = new GaugeRows(registry);
        AtomicBoolean isDone = new AtomicBoolean();
        CompletableFuture<Void> updates = CompletableFuture.runAsync(() -> {
            for (int i = 0; !isDone.get(); i++) {
                rows.replace(Map.of(
                        plain, List.of(Row.of(Tags.empty(), i)),
                        keyed, List.of(Row.of(Tags.of("key", "a"), i), Row.of(Tags.of("key", "b"), i))));
            }
        });
        try {
            for (int i = 0; i < SCRAPES; i++) {
                rows.scrape("text/plain; version=0.0.4; charset=utf-8");
            }
        } finally {
            isDone.set(true);
        }
        updates.join();
        assertThat(rows.scrape("text/plain; version=0.0.4; charset=utf-8")).contains("plain ", "keyed{key=\"a\"}");
    }
}
