package io.aitbc.coordinator.registry;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.aitbc.contracts.Json;
import java.time.DateTimeException;
import java.time.Instant;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * An unsettled assignment of an agent, and when it is taken back.
 *
 * @param origin the position of the task's record that it was granted for, {@code priority:partition:offset}; null if that is not known, as after Redis was emptied
 */
public record HeldAssignment(
        String taskId,
        int attempt,
        Instant assignedAt,
        Instant deadline,
        @Nullable String origin) {
    private static final Logger log = LoggerFactory.getLogger(HeldAssignment.class);

    /**
     * One that somebody has spoilt by hand counts as due, so that it is looked at.
     *
     * @param note what stands in Redis of what the agent holds, as JSON
     */
    public static HeldAssignment read(String taskId, String note) {
        record Note(
                @JsonProperty("attempt") int attempt,
                @JsonProperty("assigned_at") @Nullable Instant assignedAt,
                @JsonProperty("deadline") @Nullable Instant deadline,
                @JsonProperty("origin") @Nullable String origin) {}
        try {
            Note read = Json.read(note, Note.class);
            if (read.assignedAt() != null && read.deadline() != null) {
                return new HeldAssignment(taskId, read.attempt(), read.assignedAt(), read.deadline(), read.origin());
            }
        } catch (Json.MalformedMessageException e) {
            log.atDebug().addKeyValue("task_id", taskId).log("What is held is noted as {}: {}", note, e.getMessage());
        }
        return new HeldAssignment(taskId, 0, Instant.EPOCH, Instant.EPOCH, null);
    }

    /** Whether nothing is known but that the agent holds it. */
    public boolean isSpoilt() {
        return attempt == 0;
    }

    /**
     * With the whole time again since the agent last told of its progress.
     *
     * @param progressAt when that was, as it stands in Redis; null if it never did
     * @param timeoutSeconds how long that is, as it stands in Redis
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
            log.atDebug().addKeyValue("task_id", taskId).log("Its progress cannot be read: {}", e.getMessage());
            return this;
        }
    }
}
