package io.aitbc.coordinator.dispatch;

import io.aitbc.contracts.ControlMessage.ClearQueue;
import io.aitbc.contracts.ControlMessage.QueueCleared;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.TaskStatus;
import io.aitbc.coordinator.dispatch.OwnedPartition.Commit;
import io.aitbc.coordinator.match.Matcher;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.match.WaitingTask;
import io.aitbc.coordinator.match.Want;
import java.time.Instant;
import java.util.Collection;
import java.util.Collections;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The decisions of one thread about its partitions, from the arrival of a record to the offset that may be committed. Independent of Kafka,
 * Redis and clocks: it requests effects through {@link SideEffects}, and continues when the answer arrives.
 */
final class Lane {
    private static final Logger log = LoggerFactory.getLogger(Lane.class);

    private final Matcher matcher;
    private final SideEffects effects;
    private final int batch;
    private final OwnedPartitions partitions;
    private final Clears clears;
    private final Deferrals deferrals;
    private final Unrecorded unrecorded;
    private final Assigner assigner;
    private final RemoteDemand remoteDemand = new RemoteDemand();
    private final PendingRequests pendingRequests = new PendingRequests();
    private final Backoff backoff = new Backoff(log);
    private final LaneClock clock = new LaneClock();
    private final Set<Priority> pausedQueues = EnumSet.noneOf(Priority.class);
    private final Set<String> cancelled = new HashSet<>();
    private boolean recording;

    /**
     * @param windowPerPartition maximum number of unfinished tasks held per partition
     * @param windowBytesPerPartition maximum total size of these, excluding the last
     * @param memory heap bytes for the tasks of all partitions; each owned partition has an equal share
     * @param batch maximum number of tasks reserved per call; with many agents up to four times as many, see {@link DispatchSettings}
     */
    Lane(
            Matcher matcher,
            SideEffects effects,
            int windowPerPartition,
            long windowBytesPerPartition,
            long memory,
            int batch) {
        this.matcher = matcher;
        this.effects = effects;
        this.batch = batch;
        this.partitions = new OwnedPartitions(matcher.backlog(), windowPerPartition, windowBytesPerPartition, memory);
        this.clears = new Clears(partitions, effects);
        this.deferrals = new Deferrals(partitions, matcher.backlog(), effects);
        this.unrecorded = new Unrecorded(matcher.backlog(), batch);
        this.assigner = new Assigner(matcher, partitions, unrecorded, effects, pendingRequests, backoff, clock, batch);
    }

    Matcher matcher() {
        return matcher;
    }

    // Ownership

    /** @param end the offset after its last record */
    void gained(OwnedPartition.Id id, long committedOffset, String metadata, long end) {
        OwnedPartition partition = new OwnedPartition(committedOffset, metadata, end);
        partitions.add(id, partition);
        clears.resume(id, partition);
    }

    /** @return how many tasks waited in them */
    int lost(Set<OwnedPartition.Id> ids) {
        unrecorded.removeAll(ids);
        assigner.lost(ids);
        return partitions.removeAll(ids);
    }

    /**
     * Handles the deletion of a priority's topic, which also finishes its clears: they must not cancel tasks in a new topic of that name.
     *
     * @return how many tasks waited here
     */
    int topicLost(Priority priority) {
        clears.topicDeleted(priority);
        return lost(partitions.ids().stream()
                .filter(id -> id.priority() == priority)
                .collect(Collectors.toSet()));
    }

    /** Gives up all partitions and ignores pending answers. */
    void lostAll() {
        lost(partitions.ids());
        pendingRequests.forget();
        assigner.forgetPending();
        recording = false;
    }

    // Records read

    /** Marks a record as read; false if it is already done, or not in an owned partition, and must be skipped. */
    boolean received(Position position) {
        return partitions.received(position);
    }

    /**
     * Marks everything below an offset as read. Offsets without a record hold no task: transaction markers, records of aborted
     * transactions, gaps left by compaction. Otherwise they would count as waiting until the next record arrives.
     */
    void readUpTo(OwnedPartition.Id id, long position) {
        partitions.readUpTo(id, position);
    }

    /** Adds a task that was read and now waits. */
    void addWaiting(WaitingTask task, Instant now) {
        advanceClock(now);
        OwnedPartition partition = partitions.of(task);
        if (partition == null) {
            return;
        }
        unrecorded.add(task.position());
        if (partition.isInherited(task.position().offset())) {
            assigner.inherited(task);
        }
        partitions.addWaiting(task, now);
    }

    /** Whether a partition holds the maximum of unfinished tasks. */
    boolean isFull(OwnedPartition.Id id) {
        return partitions.isFull(id);
    }

    /** Marks the record at this position done. */
    void finished(Position position) {
        partitions.finished(position);
    }

    // Rounds

    /**
     * Does all work that is possible now.
     *
     * @return whether more work is possible at once
     * @throws IllegalStateException if an answer could not be handled: the state of its tasks is unknown, and only {@link #lostAll}
     *     recovers it
     */
    boolean round(Instant now) {
        pendingRequests.throwError();
        boolean more = false;
        advanceClock(now);
        assigner.flushWarnings();
        removeCancelled();
        if (backoff.isOver(now)) {
            clears.take(matcher.backlog())
                    .forEach((commandId, tasks) -> assigner.end(tasks, TaskStatus.CANCELLED, commandId));
            endExpired();
            remoteDemand.applyTo(matcher, now);
            // After the steps above, so that no task is assigned that was cleared or had expired before it was read.
            more = assigner.assign();
            assigner.takeInherited();
            recordWaiting();
            assigner.takeUnpublished();
            assigner.verifyReservations();
            deferrals.take(pausedQueues, now).forEach(this::defer);
        }
        clears.report();
        pendingRequests.throwError();
        return more;
    }

    /** Advances the clock. If it was set back, resets all delays, which would otherwise last until the old time is reached again. */
    private void advanceClock(Instant time) {
        if (clock.advance(time)) {
            backoff.clockSetBack();
            unrecorded.clockSetBack();
            deferrals.clockSetBack();
            assigner.clockSetBack();
            remoteDemand.reset();
            partitions.forEach((id, partition) -> partition.markProgress(time));
        }
    }

    /** The commits that changed since the last call. */
    Map<OwnedPartition.Id, Commit> commits() {
        return partitions.commits();
    }

    /** Marks all commits as not made, after a failure: the next call of {@link #commits} returns them again. */
    void commitFailed() {
        partitions.commitFailed();
    }

    /** Whether enough tasks wait for a full batch. */
    boolean hasFullBatch() {
        return matcher.backlog().size() >= batch;
    }

    /** Whether answers are pending. */
    boolean hasPendingWork() {
        return pendingRequests.isAnyPending();
    }

    // Commands of operators and clients

    /** Cancels the tasks that were in a queue when the command was given. */
    void clear(ClearQueue command) {
        clears.start(command);
    }

    /** Records that a clear is finished in a partition, as reported by its owner. */
    void cleared(QueueCleared report) {
        clears.reported(report);
    }

    /** Pauses or resumes assignment from a queue. */
    void pause(Priority priority, boolean paused) {
        if (paused) {
            pausedQueues.add(priority);
        } else {
            pausedQueues.remove(priority);
        }
        matcher.pause(pausedQueues);
    }

    /** Schedules publication of tasks that wait here although an agent is recorded as holding them: it never received them. */
    void unpublished(Collection<String> taskIds) {
        assigner.unpublished(taskIds);
    }

    /** Schedules all waiting tasks to be made visible again. */
    void recordAllAgain() {
        unrecorded.reset();
    }

    /** Records that tasks were cancelled, wherever they wait. */
    void cancelled(Collection<String> taskIds) {
        cancelled.addAll(taskIds);
    }

    private void removeCancelled() {
        if (!cancelled.isEmpty()) {
            matcher.backlog().takeIf(task -> cancelled.contains(task.id())).forEach(task -> finished(task.position()));
            cancelled.clear();
        }
    }

    private void endExpired() {
        List<WaitingTask> expired = matcher.backlog().takeExpired(clock.now());
        if (!expired.isEmpty()) {
            assigner.end(expired, TaskStatus.EXPIRED, "");
        }
    }

    /** Stores the current wants of another coordinator's lane. */
    void updateRemoteWants(String coordinatorId, List<Want> wants, Instant at) {
        remoteDemand.update(coordinatorId, wants, at);
    }

    /** Accepts one free slot on each of these agents, yielded by another coordinator to the aged tasks that wait here. */
    void acceptOffers(List<String> agentIds, Instant at) {
        matcher.acceptOffers(agentIds, at);
    }

    /** The priority of the most urgent task elsewhere for which agents are left free; null if there is none. */
    @Nullable
    Priority yieldsTo(Instant at) {
        return remoteDemand.mostUrgent(at);
    }

    private void defer(WaitingTask task) {
        OwnedPartition partition = Objects.requireNonNull(partitions.of(task));
        partition.deferralStarted();
        pendingRequests.handle(effects.defer(task), (done, failure) -> {
            partition.deferralEnded(failure == null);
            if (partition != partitions.of(task)) {
                // The partition was lost meanwhile, and perhaps regained: the task is then read again, and a clear must
                // find it there.
                return;
            }
            if (failure == null) {
                finished(task.position());
            } else {
                partitions.addWaiting(task, clock.now());
            }
        });
    }

    /** Makes waiting tasks visible to queries. */
    private void recordWaiting() {
        if (!recording) {
            List<WaitingTask> tasks = unrecorded.take(clock.now());
            if (!tasks.isEmpty()) {
                recordQueued(tasks);
            }
        }
    }

    private void recordQueued(List<WaitingTask> tasks) {
        recording = true;
        pendingRequests.handle(effects.recordQueued(tasks), (ended, failure) -> {
            recording = false;
            if (failure != null) {
                backoff.onFailure(failure, clock.now());
                unrecorded.addAll(tasks.stream().filter(partitions::owns).toList());
                return;
            }
            // Only these records: another of a later attempt, redriven meanwhile, may be waiting too.
            Set<WaitingTask> done = Collections.newSetFromMap(new IdentityHashMap<>());
            for (int i = 0; i < tasks.size(); i++) {
                if (ended.get(i)) {
                    done.add(tasks.get(i));
                }
            }
            if (!done.isEmpty()) {
                matcher.backlog().takeIf(done::contains).forEach(task -> finished(task.position()));
            }
        });
    }
}
