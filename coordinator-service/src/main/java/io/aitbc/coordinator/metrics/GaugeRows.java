package io.aitbc.coordinator.metrics;

import io.micrometer.core.instrument.MultiGauge;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.util.List;
import java.util.Map;
import org.springframework.stereotype.Component;

/** Replaces the rows of gauges between scrapes: a scrape that meets a gauge half replaced fails, because of duplicate labels. */
@Component
final class GaugeRows {
    private final PrometheusMeterRegistry registry;

    GaugeRows(PrometheusMeterRegistry registry) {
        this.registry = registry;
    }

    /** @param rows all rows of some gauges */
    synchronized void replace(Map<MultiGauge, List<MultiGauge.Row<?>>> rows) {
        rows.forEach((gauge, all) -> gauge.register(all, true));
    }

    /** All metrics as text. */
    synchronized String scrape(String contentType) {
        return registry.scrape(contentType);
    }
}
