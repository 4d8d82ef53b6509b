package io.aitbc.coordinator.registry;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.aitbc.contracts.Json;
import java.time.DateTimeException;
import java.time.Instant;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * An unsettled assignment of an agent, and its deadline.
 *
 * @param origin the position of the task record that it was granted for, {@code priority:partition:offset}; null if unknown, as after Redis
 *     was emptied
 */
public record HeldAssignment(
        String taskId,
        int attempt,
        Instant assignedAt,
        Instant deadline,
        @Nullable String origin) {
    private static final Logger log = LoggerFactory.getLogger(HeldAssignment.class);

    /**
     * Parses an entry. A corrupt one counts as overdue, so that recovery examines it.
     *
     * @param json the assignment's entry in the agent's in-flight hash, as JSON
     */
    public static HeldAssignment read(String taskId, String json) {
        record Entry(
                @JsonProperty("attempt") int attempt,
                @JsonProperty("assigned_at") @Nullable Instant assignedAt,
                @JsonProperty("deadline") @Nullable Instant deadline,
                @JsonProperty("origin") @Nullable String origin) {}
        try {
            Entry read = Json.read(json, Entry.class);
            if (read.assignedAt() != null && read.deadline() != null) {
                return new HeldAssignment(taskId, read.attempt(), read.assignedAt(), read.deadline(), read.origin());
            }
        } catch (Json.MalformedMessageException e) {
            log.atDebug()
                    .addKeyValue("task_id", taskId)
                    .log("Corrupt entry of a held assignment {}: {}", json, e.getMessage());
        }
        return new HeldAssignment(taskId, 0, Instant.EPOCH, Instant.EPOCH, null);
    }

    /** Whether the entry is corrupt, so that only the agent and the task are known. */
    public boolean isCorrupt() {
        return attempt == 0;
    }

    /**
     * Restarts the timeout at the agent's last progress report.
     *
     * @param progressAt time of that report as stored in Redis; null if there is none
     * @param timeoutSeconds the timeout as stored in Redis
     */
    public HeldAssignment afterProgress(@Nullable String progressAt, @Nullable String timeoutSeconds) {
        if (progressAt == null || timeoutSeconds == null) {
            return this;
        }
        try {
            Instant prolonged = Instant.parse(progressAt).plusSeconds(Long.parseLong(timeoutSeconds));
            return prolonged.isAfter(deadline)
                    ? new HeldAssignment(taskId, attempt, assignedAt, prolonged, origin)
                    : this;
        } catch (DateTimeException | NumberFormatException e) {
            log.atDebug().addKeyValue("task_id", taskId).log("Corrupt progress: {}", e.getMessage());
            return this;
        }
    }
}
