package io.aitbc.coordinator.registry;

import io.aitbc.coordinator.taskstate.TaskState;
import java.time.Instant;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
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
    private static final Pattern ENTRY = Pattern.compile("(\\d{1,9}) (\\d{1,15}) (\\d{1,15}) (\\S+)");
    private static final Logger log = LoggerFactory.getLogger(HeldAssignment.class);

    /**
     * Parses an entry. A corrupt one counts as overdue, so that recovery examines it.
     *
     * @param entry the assignment's entry in the agent's in-flight hash: attempt, assigned at and deadline in ms, and the origin or {@code -}
     */
    public static HeldAssignment read(String taskId, String entry) {
        Matcher parts = ENTRY.matcher(entry);
        if (!parts.matches()) {
            log.atDebug().addKeyValue("task_id", taskId).log("Corrupt entry of a held assignment: {}", entry);
            return new HeldAssignment(taskId, 0, Instant.EPOCH, Instant.EPOCH, null);
        }
        return new HeldAssignment(
                taskId,
                Integer.parseInt(parts.group(1)),
                Instant.ofEpochMilli(Long.parseLong(parts.group(2))),
                Instant.ofEpochMilli(Long.parseLong(parts.group(3))),
                parts.group(4).equals("-") ? null : parts.group(4));
    }

    /** Whether the entry is corrupt, so that only the agent and the task are known. */
    public boolean isCorrupt() {
        return attempt == 0;
    }

    /** Restarts the timeout at the agent's last progress report, if there is one. */
    public HeldAssignment afterProgress(TaskState task) {
        Instant prolonged = task.prolongedDeadline();
        return prolonged != null && prolonged.isAfter(deadline)
                ? new HeldAssignment(taskId, attempt, assignedAt, prolonged, origin)
                : this;
    }
}
