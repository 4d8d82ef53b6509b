package io.aitbc.coordinator.dispatch;

import io.aitbc.contracts.ControlMessage.ClearQueue;
import io.aitbc.contracts.ControlMessage.QueueCleared;
import io.aitbc.contracts.Priority;
import io.aitbc.coordinator.assign.Verdict;
import io.aitbc.coordinator.background.ConsecutiveFailures;
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
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.Comparator;
import java.util.Deque;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.HashMap;
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

    /** The wants reported by another lane. */
    private record RemoteWants(List<Want> wants, Instant at) {}

    private static final Duration REMOTE_WANTS_TTL = Duration.ofSeconds(1);

    /** Maximum number of concurrent batches in Redis: enough to keep it busy, few enough that views stay fresh. */
    private static final int MAX_PENDING_BATCHES = 4;

    /**
     * Target number of tasks per agent in a large batch: costs per agent, in Redis, Kafka and other coordinators, dominate if each agent
     * gets a single task.
     */
    private static final int TASKS_PER_AGENT = 4;

    private static final Duration INITIAL_BACKOFF = Duration.ofMillis(100);
    private static final Duration MAX_BACKOFF = Duration.ofSeconds(2);
    private static final Duration REPUBLISH_INTERVAL = Duration.ofSeconds(1);
    private static final Duration RECORD_INTERVAL = Duration.ofMillis(100);
    /** Maximum number per call while tasks are being assigned. */
    private static final int MAX_RECORDED_WHILE_BUSY = 200;

    private static final Duration DEFER_INTERVAL = Duration.ofMillis(100);
    /** Number of clears kept per queue; a newer clear supersedes older ones. */
    static final int MAX_CLEARS_KEPT = 5;
    /** Maximum across all partitions per call, to leave time for other work. */
    private static final int MAX_DEFERRED = 1_000;
    /** No deferral while more than this share of the held tasks can move on: room will come without its cost. */
    private static final double MAX_UNBLOCKED_SHARE = 1 / 8.0;

    /**
     * Defer after this long without progress, for example when more urgent tasks take all agents: later tasks may have agents of their own.
     */
    private static final Duration MAX_STALL = Duration.ofSeconds(5);
    /** Divides the rate of one window per second in that case, and while only deferred tasks come round again. */
    private static final double SLOW_RATE_DIVISOR = 160;

    private final Matcher matcher;
    private final SideEffects effects;
    private final int windowPerPartition;
    private final long windowBytesPerPartition;
    private final long memory;
    private final int batch;
    private final Map<OwnedPartition.Id, OwnedPartition> partitions = new HashMap<>();
    /** The latest clear commands of each queue, from any coordinator, oldest first. */
    private final Map<Priority, Deque<ClearQueue>> clears = new EnumMap<>(Priority.class);
    /** Finished clears per partition, as reported by any owner. */
    private final Set<QueueCleared> cleared = new HashSet<>();

    private final Set<Priority> pausedQueues = EnumSet.noneOf(Priority.class);
    private final Set<String> cancelled = new HashSet<>();
    private final Set<String> unpublished = new HashSet<>();
    private final Map<String, RemoteWants> remoteWants = new HashMap<>();
    /** Whether reported wants have changed or expired since the matcher was last updated. */
    private boolean remoteWantsChanged;
    /** Positions of tasks that may not be visible yet; some of them may no longer wait. */
    private final Deque<Position> unrecorded = new ArrayDeque<>();
    /** Newly read tasks that an agent may have already. */
    private final Set<WaitingTask> inherited = Collections.newSetFromMap(new IdentityHashMap<>());
    /** Tasks that may have an agent, pending a check; they are in no backlog. */
    private final List<WaitingTask> unverified = new ArrayList<>();

    private boolean recording;
    private Instant nextRecording = Instant.EPOCH;
    private Instant lastPlacementAt = Instant.EPOCH;
    private int pendingBatches;
    /** Whether the last batch had the maximum size, so that there may be more to place. */
    private boolean full;

    private int pendingPublications;
    private int pendingDeferrals;
    private Instant now = Instant.EPOCH;
    private Instant backoffUntil = Instant.EPOCH;
    private Duration backoff = INITIAL_BACKOFF;
    private final ConsecutiveFailures failures = new ConsecutiveFailures(log);
    private final ThrottledWarning notPublished =
            new ThrottledWarning(log, "{} assignments could not be published: {}");
    private Instant nextDeferral = Instant.EPOCH;
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
        this.windowPerPartition = windowPerPartition;
        this.windowBytesPerPartition = windowBytesPerPartition;
        this.memory = memory;
        this.batch = batch;
    }

    Matcher matcher() {
        return matcher;
    }

    // Ownership

    /** @param end the offset after its last record */
    void gained(OwnedPartition.Id id, long committedOffset, String metadata, long end) {
        OwnedPartition partition = new OwnedPartition(committedOffset, metadata, end);
        partitions.put(id, partition);
        clears.getOrDefault(id.priority(), new ArrayDeque<>())
                .forEach(command -> startClearing(id, partition, command));
    }

    /** @return how many tasks waited in them */
    int lost(Set<OwnedPartition.Id> ids) {
        partitions.keySet().removeAll(ids);
        unrecorded.removeIf(position -> ids.contains(OwnedPartition.Id.of(position)));
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
        for (ClearQueue command : clears.getOrDefault(priority, new ArrayDeque<>())) {
            for (int number : command.endOffsets().keySet()) {
                QueueCleared report = new QueueCleared(command.commandId(), priority, number);
                if (cleared.add(report)) {
                    effects.report(report);
                }
            }
        }
        return lost(partitions.keySet().stream()
                .filter(id -> id.priority() == priority)
                .collect(Collectors.toSet()));
    }

    /** Gives up all partitions and ignores pending answers. */
    void lostAll() {
        lost(Set.copyOf(partitions.keySet()));
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
        OwnedPartition partition = partitions.get(OwnedPartition.Id.of(position));
        return partition != null && partition.received(position.offset());
    }

    /**
     * Marks everything below an offset as read. Offsets without a record hold no task: transaction markers, records of aborted
     * transactions, gaps left by compaction. Otherwise they would count as waiting until the next record arrives.
     */
    void readUpTo(OwnedPartition.Id id, long position) {
        OwnedPartition partition = partitions.get(id);
        if (partition != null) {
            partition.readUpTo(position);
        }
    }

    /** Adds a task that was read and now waits. */
    void addWaiting(WaitingTask task, Instant now) {
        advanceClock(now);
        if (!isOwned(task)) {
            return;
        }
        unrecorded.add(task.position());
        if (partition(task).isInherited(task.position().offset())) {
            inherited.add(task);
        }
        returnToBacklog(task);
    }

    /** Whether a partition holds the maximum of unfinished tasks. */
    boolean isFull(OwnedPartition.Id id) {
        OwnedPartition partition = partitions.get(id);
        if (partition == null) {
            return false;
        }
        // Cleared tasks are removed at once, which makes room to read on, but within a bound while Redis is
        // unavailable.
        int windows = partition.readsForClear() ? 2 : 1;
        return partition.unfinished() >= (long) windows * windowPerPartition
                || partition.bytes() >= windows * windowBytesPerPartition
                || partition.memory() / windows >= memory / partitions.size();
    }

    /** Marks the record at this position done. */
    void finished(Position position) {
        OwnedPartition partition = partitions.get(OwnedPartition.Id.of(position));
        if (partition != null) {
            partition.finished(position.offset());
        }
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
        if (!now.isBefore(backoffUntil)) {
            cancelCleared();
            endExpired();
            // After the two steps above, so that no task is assigned that was cleared or had expired before it was
            // read.
            more = assign();
            verifyInherited();
            recordWaiting();
            verifyUnpublished();
            verifyReservations();
            defer();
        }
        reportClears();
        throwPendingError();
        return more;
    }

    /** Advances the clock. If it was set back, resets all delays, which would otherwise last until the old time is reached again. */
    private void advanceClock(Instant time) {
        if (time.isBefore(now)) {
            backoffUntil = Instant.EPOCH;
            nextRecording = Instant.EPOCH;
            nextDeferral = Instant.EPOCH;
            nextVerification = Instant.EPOCH;
            lastPlacementAt = Instant.EPOCH;
            remoteWants.clear();
            remoteWantsChanged = true;
            partitions.values().forEach(partition -> partition.markProgress(time));
        }
        now = time;
    }

    /** The commits that changed since the last call. */
    Map<OwnedPartition.Id, Commit> commits() {
        Map<OwnedPartition.Id, Commit> changed = new HashMap<>();
        partitions.forEach((id, partition) -> {
            Commit commit = partition.changedCommit();
            if (commit != null) {
                changed.put(id, commit);
            }
        });
        return changed;
    }

    /** Marks all commits as not made, after a failure: the next call of {@link #commits} returns them again. */
    void commitFailed() {
        partitions.values().forEach(OwnedPartition::commitFailed);
    }

    /** Whether answers are pending. */
    boolean hasPendingWork() {
        return pendingBatches > 0 || pendingPublications > 0 || pendingDeferrals > 0;
    }

    // Commands of operators and clients

    /** Cancels the tasks that were in a queue when the command was given. */
    void clear(ClearQueue command) {
        Deque<ClearQueue> ofQueue = clears.computeIfAbsent(command.priority(), priority -> new ArrayDeque<>());
        ofQueue.add(command);
        if (ofQueue.size() > MAX_CLEARS_KEPT) {
            // Superseded by newer clears.
            String forgotten = ofQueue.remove().commandId();
            cleared.removeIf(report -> report.commandId().equals(forgotten));
        }
        partitions.forEach((id, partition) -> {
            if (id.priority() == command.priority()) {
                startClearing(id, partition, command);
            }
        });
    }

    /** Records that a clear is finished in a partition, as reported by its owner. */
    void cleared(QueueCleared report) {
        cleared.add(report);
        OwnedPartition partition = partitions.get(new OwnedPartition.Id(report.priority(), report.partition()));
        if (partition != null) {
            partition.cleared(report.commandId());
        }
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
        unrecorded.clear();
        matcher.backlog().all().forEach(task -> unrecorded.add(task.position()));
    }

    /** Records that tasks were cancelled, wherever they wait. */
    void cancelled(Collection<String> taskIds) {
        cancelled.addAll(taskIds);
    }

    private void startClearing(OwnedPartition.Id id, OwnedPartition partition, ClearQueue command) {
        if (!cleared.contains(new QueueCleared(command.commandId(), id.priority(), id.number()))) {
            partition.clear(command, id.number());
        }
    }

    private void removeCancelled() {
        if (!cancelled.isEmpty()) {
            matcher.backlog().takeIf(task -> cancelled.contains(task.id())).forEach(task -> finished(task.position()));
            cancelled.clear();
        }
    }

    private void cancelCleared() {
        Set<OwnedPartition.Id> withoutEnd = new HashSet<>();
        boolean clearing = false;
        for (Map.Entry<OwnedPartition.Id, OwnedPartition> entry : partitions.entrySet()) {
            if (entry.getValue().isClearing()) {
                clearing = true;
                // Offsets below the position without a record (transaction markers) are done.
                entry.getValue().readUpTo(effects.position(entry.getKey()));
                if (entry.getValue().needsEnd()) {
                    withoutEnd.add(entry.getKey());
                }
            }
        }
        if (!withoutEnd.isEmpty()) {
            // Includes records hidden by an open transaction, if they were there when the command was given.
            effects.appendedEnds(withoutEnd)
                    .forEach((id, end) -> partitions.get(id).setEnd(end));
        }
        if (clearing) {
            takeCleared().forEach((commandId, tasks) -> end(tasks, "cancelled", commandId));
        }
    }

    private Map<String, List<WaitingTask>> takeCleared() {
        Map<String, List<WaitingTask>> taken = new HashMap<>();
        for (WaitingTask task : matcher.backlog().takeIf(task -> partition(task).clearOf(task) != null)) {
            taken.computeIfAbsent(partition(task).clearOf(task), id -> new ArrayList<>())
                    .add(task);
        }
        return taken;
    }

    private void reportClears() {
        partitions.forEach((id, partition) -> {
            if (partition.isClearing()) {
                for (ClearQueue finished : partition.takeFinishedClears()) {
                    QueueCleared report = new QueueCleared(finished.commandId(), id.priority(), id.number());
                    cleared.add(report);
                    effects.report(report);
                }
            }
        });
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
                backOff(failure);
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
        remoteWants.put(coordinatorId, new RemoteWants(wants, at));
        remoteWantsChanged = true;
    }

    /** Accepts one free place on each of these agents, left by another coordinator to the aged tasks that wait here. */
    void acceptOffers(List<String> agentIds, Instant at) {
        matcher.acceptOffers(agentIds, at);
    }

    /** The priority of the most urgent task elsewhere for which agents are left free; null if there is none. */
    @Nullable
    Priority yieldsTo(Instant at) {
        expireRemoteWants(at);
        return remoteWants.values().stream()
                .flatMap(one -> one.wants.stream())
                .min(Comparator.comparingInt(Want::level))
                .map(want -> Priority.values()[want.level()])
                .orElse(null);
    }

    private void expireRemoteWants(Instant at) {
        remoteWantsChanged |= remoteWants
                .values()
                .removeIf(one -> one.at.plus(REMOTE_WANTS_TTL).isBefore(at));
    }

    private void applyRemoteWants() {
        expireRemoteWants(now);
        if (remoteWantsChanged) {
            remoteWantsChanged = false;
            Map<String, List<Want>> wants = new HashMap<>();
            remoteWants.forEach((coordinatorId, one) -> wants.put(coordinatorId, one.wants));
            matcher.setRemoteWants(wants);
        }
    }

    private boolean assign() {
        // Small batches run one at a time: tasks that arrive meanwhile make the next one larger, and cheaper per task.
        if (pendingBatches >= (full ? MAX_PENDING_BATCHES : 1)) {
            return false;
        }
        applyRemoteWants();
        int most = Math.max(batch, TASKS_PER_AGENT * Math.min(batch, matcher.agentCount()));
        List<Placement> placements = matcher.match(now, most);
        if (!placements.isEmpty()) {
            lastPlacementAt = now;
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
                backoff = INITIAL_BACKOFF;
                failures.reset();
                verdicts.forEach(this::applyVerdict);
                byAgent(verdicts).forEach(this::publish);
            } else {
                backOff(failure);
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
                markPublished(waiting.position());
            } else {
                // Reserved but not published: a repeated reservation answers LIVE, and it is published then.
                notPublished.add(waiting.id() + " to " + verdict.agentId() + " (" + failure + ")");
                markUnverified(waiting);
                nextVerification = now.plus(REPUBLISH_INTERVAL);
            }
        });
    }

    private void markPublished(Position position) {
        OwnedPartition partition = partitions.get(OwnedPartition.Id.of(position));
        if (partition != null) {
            partition.finished(position.offset());
            partition.markProgress(now);
        }
    }

    /** Defers the oldest blocked tasks of full partitions to the tail if more records follow, so that these get their chance. */
    private void defer() {
        if (now.isBefore(nextDeferral)) {
            return;
        }
        nextDeferral = now.plus(DEFER_INTERVAL);
        Set<OwnedPartition.Id> full = new HashSet<>();
        partitions.forEach((id, partition) -> {
            if ((isFull(id) || partition.isLedgerTruncated()) && !pausedQueues.contains(id.priority())) {
                full.add(id);
            } else {
                partition.markProgress(now);
            }
        });
        if (full.isEmpty() || !matcher.backlog().hasBlocked(now)) {
            return;
        }
        List<WaitingTask> chosen = new ArrayList<>();
        int most = Math.max(1, MAX_DEFERRED / full.size());
        effects.ends(full).forEach((id, end) -> selectDeferrals(id, end, most, chosen));
        matcher.backlog().take(chosen);
        chosen.forEach(this::defer);
    }

    private void selectDeferrals(OwnedPartition.Id id, long end, int most, List<WaitingTask> chosen) {
        OwnedPartition partition = partitions.get(id);
        if (partition == null) {
            return;
        }
        boolean more = partition.hasUnread(end);
        boolean stuck = partition.isLedgerTruncated() || more && isStuck(id, partition);
        if (!stuck && !(more && partition.hasStalledFor(MAX_STALL, now))) {
            return;
        }
        double slowRate = windowPerPartition / SLOW_RATE_DIVISOR;
        double perSecond = stuck && partition.unseen(end) > 0 ? windowPerPartition : slowRate;
        double burst = (stuck ? windowPerPartition : slowRate) / 10;
        partition.refillAllowance(perSecond, Math.max(1, burst), now);
        int left = most;
        // A task costs one token; a large one costs as many as the average-sized tasks that it displaces from the
        // window.
        double bytesEach = (double) windowBytesPerPartition / windowPerPartition;
        for (long offset : partition.unfinishedOffsets()) {
            if (left == 0 || !partition.mayDefer()) {
                return;
            }
            WaitingTask task = matcher.backlog().at(new Position(id.priority(), id.number(), offset));
            if (task != null
                    && partition.clearOf(task) == null
                    && matcher.backlog().isBlocked(task, now)) {
                chosen.add(task);
                partition.deferralSelected(Math.max(1, task.bytes() / bytesEach));
                left--;
            }
        }
    }

    /** Whether nearly all held tasks of a partition are blocked. */
    private boolean isStuck(OwnedPartition.Id id, OwnedPartition partition) {
        return matcher.backlog().blockedIn(id.priority(), id.number(), now)
                >= (1 - MAX_UNBLOCKED_SHARE) * partition.unfinished();
    }

    private void defer(WaitingTask task) {
        OwnedPartition partition = partition(task);
        pendingDeferrals++;
        partition.deferralStarted();
        onAnswer(effects.defer(task), (done, failure) -> {
            pendingDeferrals--;
            partition.deferralEnded(failure == null);
            if (partition != partition(task)) {
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

    /** Makes waiting tasks visible. Assignment has precedence: while it is busy, most tasks are assigned before their turn here. */
    private void recordWaiting() {
        if (recording || now.isBefore(nextRecording)) {
            return;
        }
        if (unrecorded.size() > batch + 2 * matcher.backlog().size()) {
            unrecorded.removeIf(position -> matcher.backlog().at(position) == null);
        }
        boolean busy = now.isBefore(lastPlacementAt.plus(RECORD_INTERVAL));
        int most = busy ? Math.min(batch, MAX_RECORDED_WHILE_BUSY) : batch;
        List<WaitingTask> batchTasks = new ArrayList<>();
        while (batchTasks.size() < most && !unrecorded.isEmpty()) {
            WaitingTask task = matcher.backlog().at(unrecorded.remove());
            if (task != null) {
                batchTasks.add(task);
            }
        }
        if (!batchTasks.isEmpty()) {
            nextRecording = busy ? now.plus(RECORD_INTERVAL) : now;
            recordQueued(batchTasks);
        }
    }

    private void recordQueued(List<WaitingTask> tasks) {
        recording = true;
        onAnswer(effects.recordQueued(tasks), (ended, failure) -> {
            recording = false;
            if (failure != null) {
                backOff(failure);
                tasks.stream().filter(this::isOwned).forEach(task -> unrecorded.add(task.position()));
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
        OwnedPartition partition = partitions.get(OwnedPartition.Id.of(task.position()));
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
        if (isOwned(task)) {
            unverified.add(task);
        }
    }

    private boolean isOwned(WaitingTask task) {
        return partition(task) != null;
    }

    private OwnedPartition partition(WaitingTask task) {
        return partitions.get(OwnedPartition.Id.of(task.position()));
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

    private void backOff(Throwable failure) {
        if (!now.isBefore(backoffUntil)) {
            failures.onFailure()
                    .addKeyValue("pause_ms", backoff.toMillis())
                    .log("Dispatch paused, Redis unavailable: {}", failure.toString());
            backoffUntil = now.plus(backoff);
            backoff = backoff.multipliedBy(2).compareTo(MAX_BACKOFF) > 0 ? MAX_BACKOFF : backoff.multipliedBy(2);
        }
    }
}
