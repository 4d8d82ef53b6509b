package io.aitbc.coordinator.api;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import io.aitbc.contracts.DeadLetterHeaders;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.coordinator.deadletter.DeadLetterArchive;
import io.aitbc.coordinator.deadletter.DeadLetterArchive.Letter;
import io.aitbc.coordinator.intake.Redrive;
import io.aitbc.coordinator.security.Caller;
import io.swagger.v3.oas.annotations.Operation;
import io.swagger.v3.oas.annotations.Parameter;
import io.swagger.v3.oas.annotations.tags.Tag;
import jakarta.validation.constraints.Max;
import jakarta.validation.constraints.Min;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Instant;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;
import tools.jackson.databind.JsonNode;

@RestController
@RequestMapping({"/tasks/dead-letter", "/v1/tasks/dead-letter"})
@Tag(name = "dead letters", description = "List dead letters and redrive failed tasks")
class DeadLetterController {
    private static final int TEXT_SHOWN = 1_000;

    private final DeadLetterArchive archive;
    private final Redrive redrive;
    private final TopicSearches searches;
    private final Clock clock;

    DeadLetterController(DeadLetterArchive archive, Redrive redrive, TopicSearches searches, Clock clock) {
        this.archive = archive;
        this.searches = searches;
        this.redrive = redrive;
        this.clock = clock;
    }

    /**
     * @param offset the letter's offset, for paging with {@code before}
     * @param taskId absent if the record had none
     * @param sourceTopic origin of a poison record; with partition and offset
     * @param task the dead-lettered value, if it is a JSON object
     * @param text else its first {@value #TEXT_SHOWN} characters
     */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    record DeadLetter(
            @JsonProperty("offset") long offset,
            @JsonProperty("dead_lettered_at") Instant at,
            @JsonProperty("task_id") @Nullable String taskId,
            @JsonProperty("reason") @Nullable String reason,
            @JsonProperty("detail") @Nullable String detail,
            @JsonProperty("priority") @Nullable String priority,
            @JsonProperty("source_topic") @Nullable String sourceTopic,
            @JsonProperty("source_partition") @Nullable Integer sourcePartition,
            @JsonProperty("source_offset") @Nullable Long sourceOffset,
            @JsonProperty("task") @Nullable JsonNode task,
            @JsonProperty("text") @Nullable String text) {

        static DeadLetter of(Letter letter) {
            String text = new String(letter.value(), StandardCharsets.UTF_8);
            JsonNode task = object(text);
            String partition = letter.header(DeadLetterHeaders.PARTITION);
            String offset = letter.header(DeadLetterHeaders.OFFSET);
            return new DeadLetter(
                    letter.offset(),
                    letter.at(),
                    letter.key(),
                    letter.header(DeadLetterHeaders.REASON),
                    letter.header(DeadLetterHeaders.DETAIL),
                    letter.header(DeadLetterHeaders.PRIORITY),
                    letter.header(DeadLetterHeaders.TOPIC),
                    partition == null ? null : Integer.valueOf(partition),
                    offset == null ? null : Long.valueOf(offset),
                    task,
                    task == null ? text.substring(0, Math.min(TEXT_SHOWN, text.length())) : null);
        }

        private static @Nullable JsonNode object(String text) {
            try {
                JsonNode node = Json.read(text, JsonNode.class);
                return node.isObject() ? node : null;
            } catch (Json.MalformedMessageException e) {
                return null;
            }
        }
    }

    record DeadLetters(
            @JsonProperty("status") String status,
            @JsonProperty("dead_letters") List<DeadLetter> deadLetters,
            @JsonProperty("count") int count,
            @JsonProperty("timestamp") Instant timestamp) {}

    @GetMapping
    @Operation(summary = "List dead letters, newest first")
    DeadLetters list(
            @RequestParam(name = "limit", defaultValue = "50") @Min(1) @Max(1_000) int limit,
            @Parameter(description = "Only dead letters before this offset, for the next page")
                    @RequestParam(name = "before", defaultValue = "9223372036854775807")
                    @Min(0)
                    long before,
            @Parameter(hidden = true) Caller caller)
            throws InterruptedException {
        List<Letter> found =
                searches.run(() -> archive.list(before, limit, letter -> !caller.isScoped() || isOf(caller, letter)));
        List<DeadLetter> letters = found.stream().map(DeadLetter::of).toList();
        return new DeadLetters("success", letters, letters.size(), clock.instant());
    }

    private static boolean isOf(Caller caller, Letter letter) {
        JsonNode task = DeadLetter.of(letter).task();
        return task != null
                && letter.key() != null
                && caller.maySee(letter.key(), task.path("fairness_key").asString(null));
    }

    record Redriven(
            @JsonProperty("status") String status,
            @JsonProperty("message") String message,
            @JsonProperty("task_id") String taskId,
            @JsonProperty("attempt") int attempt,
            @JsonProperty("priority") Priority priority,
            @JsonProperty("timestamp") Instant timestamp) {}

    @PostMapping("/{task_id}/redrive")
    @Operation(summary = "Redrive a failed task: queue it again with a fresh set of attempts")
    Redriven redrive(@PathVariable("task_id") @Id String taskId) throws InterruptedException {
        Redrive.Redriven redriven = redrive.redrive(taskId);
        return new Redriven(
                "success",
                redriven.repeated() ? "Task is already queued again" : "Task queued again",
                taskId,
                redriven.attempt(),
                redriven.priority(),
                clock.instant());
    }
}
