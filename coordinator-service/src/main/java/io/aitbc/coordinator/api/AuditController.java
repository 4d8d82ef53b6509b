package io.aitbc.coordinator.api;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonUnwrapped;
import io.aitbc.contracts.AuditRecord;
import io.aitbc.coordinator.audit.AuditArchive;
import io.swagger.v3.oas.annotations.Operation;
import io.swagger.v3.oas.annotations.Parameter;
import io.swagger.v3.oas.annotations.tags.Tag;
import jakarta.validation.constraints.Max;
import jakarta.validation.constraints.Min;
import java.time.Clock;
import java.time.Instant;
import java.util.List;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;

@RestController
@RequestMapping({"/audit", "/v1/audit"})
@Tag(name = "security")
class AuditController {
    private final AuditArchive archive;
    private final TopicSearches searches;
    private final Clock clock;

    AuditController(AuditArchive archive, TopicSearches searches, Clock clock) {
        this.archive = archive;
        this.searches = searches;
        this.clock = clock;
    }

    /** @param offset for paging with {@code before} */
    record Entry(
            @JsonProperty("offset") long offset,
            @JsonUnwrapped AuditRecord record) {}

    record Audit(
            @JsonProperty("status") String status,
            @JsonProperty("records") List<Entry> records,
            @JsonProperty("count") int count,
            @JsonProperty("timestamp") Instant timestamp) {}

    @GetMapping
    @Operation(summary = "List who did what over REST, newest first")
    Audit list(
            @RequestParam(name = "limit", defaultValue = "50") @Min(1) @Max(1_000) int limit,
            @Parameter(description = "Only records before this offset, for the next page")
                    @RequestParam(name = "before", defaultValue = "9223372036854775807")
                    @Min(0)
                    long before,
            @Parameter(description = "Only what happened at this time or later")
                    @RequestParam(name = "since", defaultValue = "1970-01-01T00:00:00Z")
                    Instant since)
            throws InterruptedException {
        List<Entry> entries = searches.run(() -> archive.list(before, limit, since)).stream()
                .map(entry -> new Entry(entry.offset(), entry.record()))
                .toList();
        return new Audit("success", entries, entries.size(), clock.instant());
    }
}
