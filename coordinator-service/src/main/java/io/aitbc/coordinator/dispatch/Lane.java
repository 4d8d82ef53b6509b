package io.aitbc.coordinator.dispatch;

import io.aitbc.contracts.ControlMessage.ClearQueue;
import io.aitbc.contracts.ControlMessage.QueueCleared;
import io.aitbc.contracts.Priority;
import io.aitbc.coordinator.assign.Verdict;
import io.aitbc.coordinator.background.ThrottledWarning;
import io.aitbc.coordinator.dispatch.OwnedPartition.Commit;
import io.aitbc.coordinator.match.Matcher;
import io.aitbc.coordinator.match.Placement;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.match.SlotOffer;
import io.aitbc.coordinator.match.WaitingTask;
import io.aitbc.coordinator.match.Want;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.function.BiConsumer;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The decisions of one thread about its partitions, from the arrival of a record to the offset that may be committed. Independent of Kafka,
 * Redis and clocks: it requests effects through {@link SideEffects}, and continues when the answer arrives.
 */
final class Lane {
    /**
     * The effects of a lane's decisions. Calls do not block; each future completes on the lane's own thread, between rounds or before the
     * call returns.
     */
    interface SideEffects {
        /** Judges placements; if the request fails, it is unknown what was granted. */
        CompletableFuture<List<Verdict>> reserve(List<Placement> placements, Instant now);

        /** Ends tasks that no agent has; false for tasks that an agent has after all. */
        CompletableFuture<List<Boolean>> endWaiting(
                List<WaitingTask> tasks, String status, String clearId, Instant now);

        CompletableFuture<Void> publish(Verdict verdict);

        /** Defers a task: appends it to the tail of its partition, with its original acceptance time. */
        CompletableFuture<Void> defer(WaitingTask task);

        /** Makes waiting tasks visible to queries; true for tasks that have ended, because they were cancelled. */
        CompletableFuture<List<Boolean>> recordQueued(List<WaitingTask> tasks);

        /** Partition → the offset after the last readable record; partitions whose end is unknown are absent. */
        Map<OwnedPartition.Id, Long> ends(Set<OwnedPartition.Id> partitions);

        /** Partition → the offset after the last appended record, which an open transaction may still hide. */
        Map<OwnedPartition.Id, Long> appendedEnds(Set<OwnedPartition.Id> partitions);

        /** The next offset to read. */
        long position(OwnedPartition.Id partition);

        void report(QueueCleared cleared);

        /** Offers places to the aged tasks of other coordinators. Messages may get lost: unused places are then taken back. */
        void offerSlots(List<SlotOffer> places);
    }

    private static final Logger log = LoggerFactory.getLogger(Lane.class);

    /** Maximum number of concurrent batches in Redis: enough to keep it busy, few enough that views stay fresh. */
    private static final int MAX_PENDING_BATCHES = 4;

    /**
     * Target number of tasks per agent in a large batch: costs per agent, in Redis, Kafka and other coordinators, dominate if each agent
     * gets a single task.
     */
    private static final int TASKS_PER_AGENT = 4;

    private static final Duration REPUBLISH_INTERVAL = Duration.ofSeconds(1);

    private final Matcher matcher;
    private final SideEffects effects;
    private final int batch;
    private final OwnedPartitions partitions;
    private final Clears clears;
    private final Deferrals deferrals;
    private final Unrecorded unrecorded;
    private final RemoteDemand remoteDemand = new RemoteDemand();
    private final Backoff backoff = new Backoff(log);
    private final Set<Priority> pausedQueues = EnumSet.noneOf(Priority.class);
    private final Set<String> cancelled = new HashSet<>();
    private final Set<String> unpublished = new HashSet<>();
    /** Newly read tasks that an agent may have already. */
    private final Set<WaitingTask> inherited = Collections.newSetFromMap(new IdentityHashMap<>());
    /** Tasks that may have an agent, pending a check; they are in no backlog. */
    private final List<WaitingTask> unverified = new ArrayList<>();

    private boolean recording;
    private int pendingBatches;
    /** Whether the last batch had the maximum size, so that there may be more to place. */
    private boolean full;

    private int pendingPublications;
    private int pendingDeferrals;
    private Instant now = Instant.EPOCH;
    private final ThrottledWarning notPublished =
            new ThrottledWarning(log, "{} assignments could not be published: {}");
    private Instant nextVerification = Instant.EPOCH;
    /** Generation, incremented by {@link #lostAll}: answers to requests of an earlier one are ignored. */
    private int generation;
    /** Error in the handling of an answer, to be thrown by the next round. */
    private @Nullable Throwable pendingError;

    /**
     * @param windowPerPartition maximum number of unfinished tasks held per partition
     * @param windowBytesPerPartition maximum total size of these, excluding the last
     * @param memory heap bytes for the tasks of all partitions; each owned partition has an equal share
     * @param batch maximum number of tasks reserved per call; four times as many with as many agents
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
        this.partitions = new OwnedPartitions(windowPerPartition, windowBytesPerPartition, memory);
        this.clears = new Clears(partitions, effects);
        this.deferrals = new Deferrals(partitions, matcher.backlog(), effects);
        this.unrecorded = new Unrecorded(matcher.backlog(), batch);
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
        partitions.removeAll(ids);
        unrecorded.removeAll(ids);
        inherited.removeIf(task -> ids.contains(OwnedPartition.Id.of(task.position())));
        unverified.removeIf(task -> ids.contains(OwnedPartition.Id.of(task.position())));
        return matcher.backlog()
                .takeIf(task -> ids.contains(OwnedPartition.Id.of(task.position())))
                .size();
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
        generation++;
        pendingBatches = 0;
        pendingPublications = 0;
        pendingDeferrals = 0;
        recording = false;
        pendingError = null;
        matcher.forgetPlacements();
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
            inherited.add(task);
        }
        returnToBacklog(task);
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
        throwPendingError();
        boolean more = false;
        advanceClock(now);
        notPublished.flush(now);
        removeCancelled();
        if (backoff.isOver(now)) {
            clears.take(matcher.backlog()).forEach((commandId, tasks) -> end(tasks, "cancelled", commandId));
            endExpired();
            // After the two steps above, so that no task is assigned that was cleared or had expired before it was
            // read.
            more = assign();
            verifyInherited();
            recordWaiting();
            verifyUnpublished();
            verifyReservations();
            deferrals.take(pausedQueues, now).forEach(this::defer);
        }
        clears.report();
        throwPendingError();
        return more;
    }

    /** Advances the clock. If it was set back, resets all delays, which would otherwise last until the old time is reached again. */
    private void advanceClock(Instant time) {
        if (time.isBefore(now)) {
            backoff.clockSetBack();
            unrecorded.clockSetBack();
            deferrals.clockSetBack();
            nextVerification = Instant.EPOCH;
            remoteDemand.reset();
            partitions.forEach((id, partition) -> partition.markProgress(time));
        }
        now = time;
    }

    /** The commits that changed since the last call. */
    Map<OwnedPartition.Id, Commit> commits() {
        return partitions.commits();
    }

    /** Marks all commits as not made, after a failure: the next call of {@link #commits} returns them again. */
    void commitFailed() {
        partitions.commitFailed();
    }

    /** Whether enough tasks wait for the largest batch. */
    boolean hasFullBatch() {
        return matcher.backlog().size() >= batch;
    }

    /** Whether answers are pending. */
    boolean hasPendingWork() {
        return pendingBatches > 0 || pendingPublications > 0 || pendingDeferrals > 0;
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
        unpublished.addAll(taskIds);
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
        List<WaitingTask> expired = matcher.backlog().takeExpired(now);
        if (!expired.isEmpty()) {
            end(expired, "expired", "");
        }
    }

    private void end(List<WaitingTask> tasks, String status, String clearId) {
        pendingBatches++;
        onAnswer(effects.endWaiting(tasks, status, clearId, now), (ended, failure) -> {
            pendingBatches--;
            if (failure != null) {
                backoff.onFailure(failure, now);
                tasks.forEach(this::returnToBacklog);
                return;
            }
            for (int i = 0; i < tasks.size(); i++) {
                if (ended.get(i)) {
                    finished(tasks.get(i).position());
                } else {
                    // Left from before a crash: the reservation will name the agent, and the assignment is published
                    // again.
                    markUnverified(tasks.get(i));
                }
            }
        });
    }

    /** Stores the current wants of another coordinator's lane. */
    void updateRemoteWants(String coordinatorId, List<Want> wants, Instant at) {
        remoteDemand.update(coordinatorId, wants, at);
    }

    /** Accepts one free place on each of these agents, left by another coordinator to the aged tasks that wait here. */
    void acceptOffers(List<String> agentIds, Instant at) {
        matcher.acceptOffers(agentIds, at);
    }

    /** The priority of the most urgent task elsewhere for which agents are left free; null if there is none. */
    @Nullable
    Priority yieldsTo(Instant at) {
        return remoteDemand.mostUrgent(at);
    }

    private boolean assign() {
        // Small batches run one at a time: tasks that arrive meanwhile make the next one larger, and cheaper per task.
        if (pendingBatches >= (full ? MAX_PENDING_BATCHES : 1)) {
            return false;
        }
        remoteDemand.applyTo(matcher, now);
        int most = Math.max(batch, TASKS_PER_AGENT * Math.min(batch, matcher.agentCount()));
        List<Placement> placements = matcher.match(now, most);
        if (!placements.isEmpty()) {
            unrecorded.placed(now);
            reserve(placements);
        }
        if (!matcher.slotOffers().isEmpty()) {
            effects.offerSlots(matcher.slotOffers());
        }
        full = placements.size() == most;
        return full && pendingBatches < MAX_PENDING_BATCHES;
    }

    private void reserve(List<Placement> placements) {
        pendingBatches++;
        onAnswer(effects.reserve(placements, now), (verdicts, failure) -> {
            pendingBatches--;
            if (failure == null) {
                backoff.onSuccess();
                verdicts.forEach(this::applyVerdict);
                byAgent(verdicts).forEach(this::publish);
            } else {
                backoff.onFailure(failure, now);
                for (Placement placement : placements) {
                    matcher.unanswered(placement);
                    markUnverified(placement.waiting());
                }
            }
        });
    }

    /** Held verdicts grouped by agent, in order: Kafka then gets fewer and larger batches. */
    private static List<Verdict> byAgent(List<Verdict> verdicts) {
        Map<String, List<Verdict>> byAgent = new LinkedHashMap<>();
        for (Verdict verdict : verdicts) {
            if (verdict.isHeld()) {
                byAgent.computeIfAbsent(verdict.agentId(), id -> new ArrayList<>())
                        .add(verdict);
            }
        }
        return byAgent.values().stream().flatMap(List::stream).toList();
    }

    private void applyVerdict(Verdict verdict) {
        matcher.answered(verdict.placement(), verdict.held());
        WaitingTask waiting = verdict.placement().waiting();
        switch (verdict.ruling()) {
            case GRANTED, LIVE -> {
                // Published below, grouped by agent.
            }
            case ENDED, DUPLICATE -> finished(waiting.position());
            case FULL -> returnToBacklog(waiting);
            case UNAVAILABLE -> {
                if (verdict.placement().agentId().isEmpty()) {
                    // No agent has it. Redis may have no record of it either.
                    unrecorded.add(waiting.position());
                } else {
                    // Until the live view has news of the agent, it gets no tasks.
                    matcher.agentGone(verdict.placement().agentId());
                }
                returnToBacklog(waiting);
            }
        }
    }

    private void publish(Verdict verdict) {
        WaitingTask waiting = verdict.placement().waiting();
        pendingPublications++;
        onAnswer(effects.publish(verdict), (done, failure) -> {
            pendingPublications--;
            if (failure == null) {
                partitions.published(waiting.position(), now);
            } else {
                // Reserved but not published: a repeated reservation answers LIVE, and it is published then.
                notPublished.add(waiting.id() + " to " + verdict.agentId() + " (" + failure + ")");
                markUnverified(waiting);
                nextVerification = now.plus(REPUBLISH_INTERVAL);
            }
        });
    }

    private void defer(WaitingTask task) {
        OwnedPartition partition = partitions.of(task);
        pendingDeferrals++;
        partition.deferralStarted();
        onAnswer(effects.defer(task), (done, failure) -> {
            pendingDeferrals--;
            partition.deferralEnded(failure == null);
            if (partition != partitions.of(task)) {
                // The partition was lost meanwhile, and perhaps regained: the task is then read again, and a clear must
                // find it there.
                return;
            }
            if (failure == null) {
                finished(task.position());
            } else {
                returnToBacklog(task);
            }
        });
    }

    private void verifyInherited() {
        if (!inherited.isEmpty()) {
            unverified.addAll(matcher.backlog().takeIf(inherited::contains));
            inherited.clear();
        }
    }

    /** Makes waiting tasks visible to queries. */
    private void recordWaiting() {
        if (!recording) {
            List<WaitingTask> tasks = unrecorded.take(now);
            if (!tasks.isEmpty()) {
                recordQueued(tasks);
            }
        }
    }

    private void recordQueued(List<WaitingTask> tasks) {
        recording = true;
        onAnswer(effects.recordQueued(tasks), (ended, failure) -> {
            recording = false;
            if (failure != null) {
                backoff.onFailure(failure, now);
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

    /**
     * Checks tasks that an agent may have already, because the answer to a reservation was lost or its publication failed, here or on the
     * previous owner. They must not wait for a free agent: they may be the ones that fill it.
     */
    private void verifyReservations() {
        if (unverified.isEmpty() || now.isBefore(nextVerification) || pendingBatches >= MAX_PENDING_BATCHES) {
            return;
        }
        List<WaitingTask> asked = unverified.subList(0, Math.min(batch, unverified.size()));
        List<Placement> placements =
                asked.stream().map(task -> new Placement(task, "")).toList();
        asked.clear();
        reserve(placements);
    }

    /** Returns a task to the backlog, unless its partition was lost meanwhile. */
    private void returnToBacklog(WaitingTask task) {
        OwnedPartition partition = partitions.of(task);
        if (partition != null) {
            partition.addWaiting(task);
            matcher.backlog().add(task, now);
        }
    }

    private void verifyUnpublished() {
        if (!unpublished.isEmpty()) {
            unverified.addAll(matcher.backlog().takeIf(task -> unpublished.contains(task.id())));
            unpublished.clear();
        }
    }

    /** Schedules a check whether an agent has the task. */
    private void markUnverified(WaitingTask task) {
        if (partitions.owns(task)) {
            unverified.add(task);
        }
    }

    /** Handles an answer when it arrives. A future would swallow an error in the handler, so the next round throws it. */
    private <T> void onAnswer(CompletableFuture<T> answer, BiConsumer<T, @Nullable Throwable> next) {
        int asked = generation;
        answer.whenComplete((value, failure) -> {
            if (asked == generation) {
                try {
                    next.accept(value, failure);
                } catch (RuntimeException | Error e) {
                    pendingError = e;
                }
            }
        });
    }

    private void throwPendingError() {
        if (pendingError != null) {
            throw new IllegalStateException("an answer could not be handled", pendingError);
        }
    }
}
