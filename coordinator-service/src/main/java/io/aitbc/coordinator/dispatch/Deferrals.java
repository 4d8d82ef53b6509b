package io.aitbc.coordinator.dispatch;

import io.aitbc.contracts.Priority;
import io.aitbc.coordinator.match.Backlog;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.match.WaitingTask;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** Selects the oldest blocked tasks of full partitions to be moved to the tail if more records follow, so that these get their chance. */
final class Deferrals {
    private static final Duration INTERVAL = Duration.ofMillis(100);
    /** Maximum across all partitions per call, to leave time for other work. */
    private static final int MAX_SELECTED = 1_000;
    /** No deferral while more than this share of the held tasks is not blocked: the window then frees up without it. */
    private static final double MAX_UNBLOCKED_SHARE = 1 / 8.0;

    /**
     * Defer after this long without progress, for example when more urgent tasks take all agents: later tasks may have agents of their own.
     */
    private static final Duration MAX_STALL = Duration.ofSeconds(5);
    /** Divides the rate of one window per second in that case, and while only deferred tasks come round again. */
    private static final double SLOW_RATE_DIVISOR = 160;

    private final OwnedPartitions partitions;
    private final Backlog backlog;
    private final SideEffects effects;
    private Instant next = Instant.EPOCH;

    Deferrals(OwnedPartitions partitions, Backlog backlog, SideEffects effects) {
        this.partitions = partitions;
        this.backlog = backlog;
        this.effects = effects;
    }

    void clockSetBack() {
        next = Instant.EPOCH;
    }

    /** Takes the tasks to defer now from the backlog. */
    List<WaitingTask> take(Set<Priority> pausedQueues, Instant now) {
        if (now.isBefore(next)) {
            return List.of();
        }
        next = now.plus(INTERVAL);
        Set<OwnedPartition.Id> full = new HashSet<>();
        partitions.forEach((id, partition) -> {
            if ((partitions.isFull(id) || partition.isLedgerTruncated()) && !pausedQueues.contains(id.priority())) {
                full.add(id);
            } else {
                partition.markProgress(now);
            }
        });
        if (full.isEmpty() || !backlog.hasBlocked(now)) {
            return List.of();
        }
        List<WaitingTask> selected = new ArrayList<>();
        int most = Math.max(1, MAX_SELECTED / full.size());
        effects.ends(full).forEach((id, end) -> select(id, end, most, selected, now));
        backlog.take(selected);
        return selected;
    }

    private void select(OwnedPartition.Id id, long end, int most, List<WaitingTask> selected, Instant now) {
        OwnedPartition partition = partitions.get(id);
        if (partition == null) {
            return;
        }
        boolean more = partition.hasUnread(end);
        boolean stuck = partition.isLedgerTruncated() || more && isStuck(id, partition, now);
        if (!stuck && !(more && partition.hasStalledFor(MAX_STALL, now))) {
            return;
        }
        int window = partitions.window();
        double slowRate = window / SLOW_RATE_DIVISOR;
        double perSecond = stuck && partition.unseen(end) > 0 ? window : slowRate;
        double burst = (stuck ? window : slowRate) / 10;
        partition.refillAllowance(perSecond, Math.max(1, burst), now);
        int left = most;
        // A task costs one token; a large one costs as many as the average-sized tasks that it displaces from the
        // window.
        double bytesEach = (double) partitions.windowBytes() / window;
        for (long offset : partition.unfinishedOffsets()) {
            if (left == 0 || !partition.mayDefer()) {
                return;
            }
            WaitingTask task = backlog.at(new Position(id.priority(), id.number(), offset));
            if (task != null && partition.clearOf(task) == null && backlog.isBlocked(task, now)) {
                selected.add(task);
                partition.deferralSelected(Math.max(1, task.bytes() / bytesEach));
                left--;
            }
        }
    }

    /** Whether nearly all held tasks of a partition are blocked. */
    private boolean isStuck(OwnedPartition.Id id, OwnedPartition partition, Instant now) {
        return backlog.blockedIn(id.priority(), id.number(), now) >= (1 - MAX_UNBLOCKED_SHARE) * partition.unfinished();
    }
}
