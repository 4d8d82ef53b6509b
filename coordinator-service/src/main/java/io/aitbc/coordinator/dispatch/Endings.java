package io.aitbc.coordinator.dispatch;

import io.aitbc.contracts.TaskStatus;
import io.aitbc.coordinator.match.BacklogEntry;
import io.aitbc.coordinator.match.Limits;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.match.TaskSummary;
import io.aitbc.coordinator.match.WaitingTask;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;

/** Tasks that are ended instead of assigned: those that have expired, those that a clear covers, and those
 * that could never start. They are in no backlog. */
final class Endings {
    /** Maximum number of concurrent batches in Redis: enough to keep it busy. */
    private static final int MAX_PENDING_BATCHES = 4;

    private final OwnedPartitions partitions;
    private final Payloads payloads;
    private final Unverified unverified;
    private final Limits limits;

    private final SideEffects effects;
    private final PendingRequests pendingRequests;
    private final Backoff backoff;
    private final LaneClock clock;
    private final int batch;

    /**
     * Why a task ends.
     *
     * @param note the clear command that covers it; why it fails, if the status is failed
     */
    private record Reason(TaskStatus status, String note) {}

    private record Ending(BacklogEntry entry, Reason reason) {}

    private record Ready(WaitingTask task, Reason reason) {}

    /** Tasks whose payloads have not been requested. */
    private final Deque<Ending> unrequested = new ArrayDeque<>();
    /** Tasks with payloads. */
    private final Deque<Ready> ready = new ArrayDeque<>();

    private final Set<Position> requested = new HashSet<>();
    private int pendingBatches;

    Endings(
            OwnedPartitions partitions,
            Payloads payloads,
            Unverified unverified,
            Limits limits,
            SideEffects effects,
            PendingRequests pendingRequests,
            Backoff backoff,
            LaneClock clock,
            int batch) {
        this.partitions = partitions;
        this.payloads = payloads;
        this.unverified = unverified;
        this.limits = limits;
        this.effects = effects;
        this.pendingRequests = pendingRequests;
        this.backoff = backoff;
        this.clock = clock;
        this.batch = batch;
    }

    /** Adds a task that has left the backlog. */
    void add(BacklogEntry entry, TaskStatus status, String note) {
        Reason reason = new Reason(status, note);
        WaitingTask task = entry.task();
        if (task == null) {
            unrequested.add(new Ending(entry, reason));
        } else {
            ready.add(new Ready(task, reason));
        }
    }

    /** Adds a task that has not been in the backlog. Its payload is kept if few others are. */
    void add(WaitingTask task, TaskStatus status, String note) {
        if (ready.size() < 2 * batch) {
            ready.add(new Ready(task, new Reason(status, note)));
        } else {
            add(BacklogEntry.of(TaskSummary.of(task)), status, note);
        }
    }

    /** The number of tasks that have not been sent to Redis. */
    int size() {
        return unrequested.size() + ready.size();
    }

    void lost(Set<OwnedPartition.Id> ids) {
        unrequested.removeIf(one -> ids.contains(OwnedPartition.Id.of(one.entry.position())));
        ready.removeIf(one -> ids.contains(OwnedPartition.Id.of(one.task.position())));
        requested.removeIf(position -> ids.contains(OwnedPartition.Id.of(position)));
    }

    /** Forgets requests whose answers will be ignored. */
    void forgetPending() {
        pendingBatches = 0;
        requested.clear();
    }

    /** Ends some batches, and requests the payloads of the next. */
    void run() {
        while (ready.size() + requested.size() < MAX_PENDING_BATCHES * batch && !unrequested.isEmpty()) {
            Ending next = unrequested.remove();
            requested.add(next.entry.position());
            payloads.requestLater(next.entry, task -> {
                requested.remove(next.entry.position());
                if (task != null) {
                    ready.add(new Ready(task, next.reason));
                }
            });
        }
        for (int more = MAX_PENDING_BATCHES - pendingBatches; more > 0 && !ready.isEmpty(); more--) {
            endBatch();
        }
    }

    private void endBatch() {
        Map<Reason, List<WaitingTask>> byReason = new LinkedHashMap<>();
        for (int i = 0; i < batch && !ready.isEmpty(); i++) {
            Ready next = ready.remove();
            byReason.computeIfAbsent(next.reason, reason -> new ArrayList<>()).add(next.task);
        }
        byReason.forEach(this::end);
    }

    private void end(Reason reason, List<WaitingTask> tasks) {
        pendingBatches++;
        List<OwnedPartition> owned = tasks.stream()
                .map(task -> Objects.requireNonNull(partitions.of(task.position())))
                .toList();
        pendingRequests.handle(
                effects.endWaiting(tasks, reason.status, reason.note, limits.book(), clock.now()), (ended, failure) -> {
                    pendingBatches--;
                    if (failure != null) {
                        backoff.onFailure(failure, clock.now());
                    }
                    for (int i = 0; i < tasks.size(); i++) {
                        WaitingTask task = tasks.get(i);
                        if (partitions.of(task.position()) != owned.get(i)) {
                            // The partition was lost meanwhile, and perhaps regained: the task is read again.
                            continue;
                        }
                        if (failure != null) {
                            ready.add(new Ready(task, reason));
                        } else if (ended.get(i)) {
                            partitions.finished(task.position());
                        } else {
                            // Left from before a crash: the reservation will name the agent that has it, or had it, and
                            // what was not published is published.
                            unverified.add(task);
                        }
                    }
                });
    }
}
