package io.aitbc.coordinator.dispatch;

import io.aitbc.contracts.ControlMessage.QueueCleared;
import io.aitbc.contracts.TaskStatus;
import io.aitbc.coordinator.assign.Judgement;
import io.aitbc.coordinator.assign.Verdict;
import io.aitbc.coordinator.limit.LimitBook;
import io.aitbc.coordinator.match.Placement;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.match.SlotOffer;
import io.aitbc.coordinator.match.WaitingTask;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;

/**
 * The effects of a lane's decisions. Calls do not block; each future completes on the lane's own thread, between rounds or before the
 * call returns.
 */
interface SideEffects {
    /**
     * Judges placements; if the request fails, it is unknown which were granted.
     *
     * @param limits the definitions of limits that they are based on
     */
    CompletableFuture<Judgement> reserve(List<Placement> placements, LimitBook limits, Instant now);

    /**
     * Ends tasks that no agent has; false for tasks that an agent has after all, or that had ended otherwise.
     *
     * @param note the clear command that they are counted for; why they fail, if the status is failed: they are dead-lettered
     * @param limits the definitions of limits that they failed because of
     */
    CompletableFuture<List<Boolean>> endWaiting(
            List<WaitingTask> tasks, TaskStatus status, String note, LimitBook limits, Instant now);

    CompletableFuture<Void> publish(Verdict verdict);

    /**
     * Reads records of waiting tasks again; some may be missing from the answer.
     *
     * @param positions ascending
     */
    CompletableFuture<Payloads.Fetched> fetch(List<Position> positions);

    /** Fails the tasks of records that are gone. */
    CompletableFuture<Void> failLost(Set<Position> positions);

    /** Appends a waiting task again, to the same partition. */
    CompletableFuture<Void> append(WaitingTask task);

    /** Makes waiting tasks visible to queries; true for tasks that have ended, because they were cancelled. */
    CompletableFuture<List<Boolean>> recordQueued(List<WaitingTask> tasks);

    /**
     * Partition → the offset after the last appended record, which an open transaction may still hide; partitions whose end is unknown are
     * absent.
     */
    Map<OwnedPartition.Id, Long> appendedEnds(Set<OwnedPartition.Id> partitions);

    /** The next offset to read. */
    long position(OwnedPartition.Id partition);

    void report(QueueCleared cleared);

    /** Offers slots to the aged tasks of other coordinators. Messages may get lost: unused slots are then reclaimed. */
    void offerSlots(List<SlotOffer> offers);
}
