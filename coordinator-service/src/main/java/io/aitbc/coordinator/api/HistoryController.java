package io.aitbc.coordinator.api;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.aitbc.coordinator.history.TaskHistory;
import io.swagger.v3.oas.annotations.Operation;
import io.swagger.v3.oas.annotations.tags.Tag;
import java.time.Clock;
import java.time.Instant;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RestController;

@RestController
@RequestMapping({"/history", "/v1/history"})
@Tag(name = "tasks")
class HistoryController {
    private final TaskHistory history;
    private final Clock clock;

    HistoryController(TaskHistory history, Clock clock) {
        this.history = history;
        this.clock = clock;
    }

    record RebuildBegun(
            @JsonProperty("status") String status,
            @JsonProperty("message") String message,
            @JsonProperty("timestamp") Instant timestamp) {}

    @PostMapping("/rebuild")
    @Operation(
            summary = "Read all events again that Kafka still has, and add what is missing in the history",
            description = "The metric `coordinator_history_lag` shows the progress. Requires a history.")
    RebuildBegun rebuild() {
        history.rebuild();
        return new RebuildBegun("success", "The history is being rebuilt from tasks.events", clock.instant());
    }
}
