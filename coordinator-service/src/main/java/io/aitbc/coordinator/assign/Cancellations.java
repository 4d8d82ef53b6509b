package io.aitbc.coordinator.assign;

import io.aitbc.contracts.Cancellation;
import io.aitbc.contracts.TaskEvent;
import io.aitbc.contracts.TaskStatus;
import io.aitbc.coordinator.event.EventOutbox;
import io.aitbc.coordinator.redis.Claims;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.redis.Script;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Locale;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/** Cancels tasks that have not ended. Thread-safe. */
public final class Cancellations {
    private static final Script CANCEL = Script.loadFencedWithLimits(Cancellations.class, "cancel");

    /** Minimum interval between notifications of the agent. */
    private static final Duration NOTIFICATION_INTERVAL = Duration.ofSeconds(10);

    private final Redis redis;
    private final Claims claims;
    private final AssignmentPublisher assignments;
    private final EventOutbox outbox;
    private final Clock clock;

    public Cancellations(Redis redis, AssignmentPublisher assignments, EventOutbox outbox, Clock clock) {
        this.redis = redis;
        this.claims = new Claims(redis);
        this.assignments = assignments;
        this.outbox = outbox;
        this.clock = clock;
    }

    /**
     * The state of a task before it was cancelled.
     *
     * @param before its status; null if it is unknown
     * @param agentId the agent that had it, or empty
     * @param notified completes once the cancellation is on the agent's topic, if there is an agent
     */
    public record Cancelled(@Nullable TaskStatus before, String agentId, CompletableFuture<Void> notified) {}

    /** Cancels a task unless it has ended. For a task already cancelled some time ago, notifies the agent again. */
    public Cancelled cancel(String taskId) throws InterruptedException {
        Instant now = clock.instant().truncatedTo(ChronoUnit.MILLIS);
        List<Object> before =
                CANCEL.runSync(redis, List.of(taskId, String.valueOf(now.toEpochMilli()), outbox.noteFlag()));
        TaskStatus status = status((String) before.get(0));
        int attempt = ((Long) before.get(1)).intValue();
        String agentId = (String) before.get(2);
        boolean mustNotifyAgent =
                !agentId.isEmpty() && (status == TaskStatus.ASSIGNED || status == TaskStatus.CANCELLED);
        CompletableFuture<Void> notified = mustNotifyAgent
                ? notifyAgent(
                        Cancellation.of(taskId, attempt, agentId, now),
                        before.get(3).equals(1L))
                : CompletableFuture.completedFuture(null);
        if (status != null && !status.hasEnded()) {
            outbox.publish(List.of(TaskEvent.cancelled(taskId, attempt, agentId.isEmpty() ? null : agentId, now)));
        }
        return new Cancelled(status, agentId, notified);
    }

    private static @Nullable TaskStatus status(String answer) {
        return answer.equals("unknown") ? null : TaskStatus.valueOf(answer.toUpperCase(Locale.ROOT));
    }

    /** Publishes once for concurrent cancellations of the same attempt. */
    private CompletableFuture<Void> notifyAgent(Cancellation cancellation, boolean shared) {
        String claim = Keys.cancellation(cancellation.assignmentId());
        String holder = UUID.randomUUID().toString();
        if (!claims.tryAcquire(claim, holder, NOTIFICATION_INTERVAL)) {
            return CompletableFuture.completedFuture(null);
        }
        return assignments.publish(cancellation, shared).whenComplete((done, failure) -> {
            if (failure != null) {
                claims.release(holder, List.of(claim));
            }
        });
    }
}
