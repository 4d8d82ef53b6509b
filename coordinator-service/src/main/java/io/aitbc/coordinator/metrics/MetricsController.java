package io.aitbc.coordinator.metrics;

import io.swagger.v3.oas.annotations.Operation;
import io.swagger.v3.oas.annotations.media.Content;
import io.swagger.v3.oas.annotations.media.Schema;
import io.swagger.v3.oas.annotations.responses.ApiResponse;
import io.swagger.v3.oas.annotations.tags.Tag;
import org.springframework.http.HttpHeaders;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

@RestController
@Tag(name = "service", description = "Health, metrics and endpoints of this coordinator")
class MetricsController {
    private static final String TEXT = "text/plain; version=0.0.4; charset=utf-8";

    private final GaugeRows rows;

    MetricsController(GaugeRows rows) {
        this.rows = rows;
    }

    @GetMapping({"/metrics", "/v1/metrics"})
    @Operation(summary = "Get metrics in the Prometheus text format")
    @ApiResponse(
            responseCode = "200",
            content = @Content(mediaType = TEXT, schema = @Schema(implementation = String.class)))
    ResponseEntity<String> metrics() {
        return ResponseEntity.ok().header(HttpHeaders.CONTENT_TYPE, TEXT).body(rows.scrape(TEXT));
    }
}
