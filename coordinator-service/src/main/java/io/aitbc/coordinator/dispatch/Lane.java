package io.aitbc.coordinator.dispatch;

import io.aitbc.contracts.ControlMessage.ClearQueue;
import io.aitbc.contracts.ControlMessage.QueueCleared;
import io.aitbc.contracts.Priority;
import io.aitbc.coordinator.background.Problem;
import io.aitbc.coordinator.dispatch.OwnedPartition.Commit;
import io.aitbc.coordinator.limit.LimitBook;
import io.aitbc.coordinator.match.BacklogEntry;
import io.aitbc.coordinator.match.KeptAgent;
import io.aitbc.coordinator.match.LaneTime;
import io.aitbc.coordinator.match.Matcher;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.match.TaskSummary;
import io.aitbc.coordinator.match.WaitingTask;
import io.aitbc.coordinator.match.Want;
import io.aitbc.coordinator.queue.OffsetLedger;
import java.time.Duration;
import java.time.Instant;
import java.util.Collection;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
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
    /** While nothing is assigned for this long, what waits is blocked or not due. */
    private static final Duration BUSY_PERIOD = Duration.ofSeconds(1);

    private final Matcher matcher;
    private final SideEffects effects;
    private final int batch;
    private final OwnedPartitions partitions;
    private final Clears clears;
    private final Unrecorded unrecorded;
    private final Unverified unverified;
    private final Payloads payloads;
    private final Endings endings;
    private final Waiting waiting;
    private final Relocations relocations;
    private final Assigner assigner;
    private final RemoteDemand remoteDemand = new RemoteDemand();
    private final PendingRequests pendingRequests = new PendingRequests();
    private final Backoff backoff = new Backoff(log);
    private final LaneClock clock = new LaneClock();
    private final Set<Priority> pausedQueues = EnumSet.noneOf(Priority.class);
    private boolean recording;

    /**
     * @param maxWaiting maximum number of tasks in the backlog; beyond it, no more records are read
     * @param batch maximum number of tasks reserved per call; with many agents up to four times as many, see {@link DispatchSettings}
     */
    Lane(Matcher matcher, SideEffects effects, int maxWaiting, int batch) {
        this.matcher = matcher;
        this.effects = effects;
        this.batch = batch;
        this.partitions = new OwnedPartitions(matcher.backlog(), maxWaiting);
        this.unrecorded = new Unrecorded(matcher.backlog(), batch);
        this.unverified = new Unverified(partitions);
        this.payloads = new Payloads(partitions, effects, pendingRequests, clock, log);
        this.endings = new Endings(
                partitions, payloads, unverified, matcher.limits(), effects, pendingRequests, backoff, clock, batch);
        this.waiting = new Waiting(
                matcher.backlog(), matcher.limits(), partitions, unrecorded, unverified, endings, payloads, clock);
        this.relocations =
                new Relocations(matcher.backlog(), partitions, payloads, waiting, endings, effects, pendingRequests);
        this.clears = new Clears(partitions, matcher.backlog(), endings, effects);
        this.assigner = new Assigner(
                matcher, partitions, waiting, unverified, unrecorded, effects, pendingRequests, backoff, clock, batch);
    }

    Matcher matcher() {
        return matcher;
    }

    // Ownership

    /**
     * Takes over a partition.
     *
     * @param done what is done in it
     * @param reserved offsets of records that a previous owner reserved for an agent, and may not have published
     */
    void gained(OwnedPartition.Id id, OffsetLedger done, Set<Long> reserved) {
        OwnedPartition partition = new OwnedPartition(done, reserved);
        partitions.add(id, partition);
        clears.resume(id, partition);
    }

    /** @return how many tasks waited in them */
    int lost(Set<OwnedPartition.Id> ids) {
        unverified.lost(ids);
        endings.lost(ids);
        payloads.lost(ids);
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
        endings.forgetPending();
        payloads.forgetPending();
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

    /**
     * Fails the tasks of records that have been deleted, unless their payloads are in memory.
     *
     * @param beginning the first offset that is left
     */
    void deletedBelow(OwnedPartition.Id id, long beginning) {
        OwnedPartition partition = partitions.get(id);
        if (partition == null || partition.lowestUnfinished() >= beginning) {
            return;
        }
        Set<Position> gone = new HashSet<>();
        matcher.backlog()
                .takeIf(entry -> entry.task() == null
                        && entry.offset() < beginning
                        && entry.partition() == id.number()
                        && entry.priority() == id.priority())
                .forEach(entry -> gone.add(entry.position()));
        partition.receiveUpTo(beginning).forEach(offset -> gone.add(new Position(id.priority(), id.number(), offset)));
        if (!gone.isEmpty()) {
            payloads.failLost(gone);
        }
    }

    /**
     * Appends tasks again whose records are old, if they hold back others that are done.
     *
     * @param end the offset below which records are old
     */
    void relocate(OwnedPartition.Id id, long end) {
        relocations.start(id, end);
    }

    /** Whether a record that is read must be added with its payload; otherwise a summary is enough. */
    boolean needsPayload(Position position) {
        OwnedPartition partition = partitions.of(position);
        return matcher.backlog().withoutPayload() == 0 && matcher.backlog().hasRoom()
                || partition != null && partition.isReserved(position.offset());
    }

    /** Whether a task of which the summary is known must be added with its payload all the same, so that it is not read again. */
    boolean needsPayload(TaskSummary task) {
        return matcher.backlog().wouldKeepPayload(task);
    }

    /** Adds a task that was read and now waits. */
    void addWaiting(WaitingTask task, Instant now) {
        advanceClock(now);
        waiting.add(task);
    }

    /** Adds a task that was read, without its payload. */
    void addWaiting(TaskSummary task, Instant now) {
        advanceClock(now);
        waiting.add(task);
    }

    /** Whether the backlog has no room for more tasks. */
    boolean isBacklogFull() {
        return partitions.isBacklogFull();
    }

    /** Whether no more records of a partition are to be read now. */
    boolean isFull(OwnedPartition.Id id) {
        return partitions.isFull(id, endings.size(), clock.now());
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
        clears.advance();
        waiting.takeOut();
        if (backoff.isOver(now)) {
            endings.run();
            remoteDemand.applyTo(matcher, now);
            // After the steps above, so that no task is assigned that was cleared or had expired before it was read.
            more = assigner.assign();
            recordWaiting();
            assigner.verifyReservations();
        }
        waiting.bringNear(pausedQueues);
        clears.report();
        pendingRequests.throwError();
        return more;
    }

    /** Advances the clock. If it was set back, resets all delays, which would otherwise last until the old time is reached again. */
    private void advanceClock(Instant time) {
        if (clock.advance(time)) {
            backoff.clockSetBack();
            unrecorded.clockSetBack();
            unverified.clockSetBack();
            payloads.clockSetBack();
            waiting.clockSetBack();
            remoteDemand.reset();
            assigner.clockSetBack();
            matcher.limits().clockSetBack();
        }
    }

    /** The commits of certain partitions, if they changed since the last call. */
    Map<OwnedPartition.Id, Commit> commits(Predicate<OwnedPartition.Id> which) {
        return partitions.commits(which);
    }

    /** Marks all commits as not made, after a failure: the next call of {@link #commits} returns them again. */
    void commitFailed() {
        partitions.commitFailed();
    }

    int batch() {
        return batch;
    }

    /** Whether tasks are being assigned, and enough wait for a full batch. */
    boolean isBusy() {
        return matcher.backlog().size() >= batch
                && unrecorded.hasPlacedSince(clock.now().minus(BUSY_PERIOD));
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

    /**
     * Applies definitions of limits.
     *
     * @return whether tasks that wait have to be read again, because other limits apply to them
     */
    boolean define(LimitBook limits) {
        return matcher.limits().define(limits) && matcher.backlog().size() > 0;
    }

    /** When tasks may be placed that limits keep back, if nothing happens before. */
    Instant nextDue() {
        boolean canAssign = backoff.isOver(clock.now()) && assigner.canAssign();
        return canAssign ? matcher.limits().nextDue() : Instant.MAX;
    }

    /** Schedules publication of tasks that wait here although an agent is recorded as holding them: it never received them. */
    void unpublished(Collection<String> taskIds) {
        waiting.unpublished(taskIds);
    }

    /** Schedules all waiting tasks to be made visible again. */
    void recordAllAgain() {
        unrecorded.reset();
    }

    /** Records that tasks were cancelled, wherever they wait. */
    void cancelled(Collection<String> taskIds) {
        waiting.cancelled(taskIds);
    }

    /**
     * Stores the current wants of another coordinator's lane, and how far it has come.
     *
     * @param limits the level of the most urgent task that each limit keeps back there
     * @param kept the agents that are kept free for tasks there
     */
    void updateRemoteWants(
            String coordinatorId,
            List<Want> wants,
            List<LaneTime> times,
            Map<String, Integer> limits,
            List<KeptAgent> kept,
            Instant at) {
        remoteDemand.update(coordinatorId, wants, times, limits, kept, at);
    }

    /** Accepts one free slot on each of these agents, yielded by another coordinator to the aged tasks that wait here. */
    void acceptOffers(List<String> agentIds, Instant at) {
        matcher.acceptOffers(agentIds, at);
    }

    /** Why nothing is assigned, though tasks and agents are there. */
    List<Problem> assignmentProblems() {
        return assigner.problems();
    }

    /** The priority of the most urgent task elsewhere for which agents are left free; null if there is none. */
    @Nullable
    Priority yieldsTo(Instant at) {
        return remoteDemand.mostUrgent(at);
    }

    /** Makes waiting tasks visible to queries. */
    private void recordWaiting() {
        if (!recording) {
            List<BacklogEntry> entries = unrecorded.take(clock.now());
            if (!entries.isEmpty()) {
                recordQueued(entries);
            }
        }
    }

    private void recordQueued(List<BacklogEntry> entries) {
        recording = true;
        List<WaitingTask> tasks = entries.stream().map(BacklogEntry::task).toList();
        pendingRequests.handle(effects.recordQueued(tasks), (ended, failure) -> {
            recording = false;
            if (failure != null) {
                backoff.onFailure(failure, clock.now());
                unrecorded.addAll(entries);
                return;
            }
            for (int i = 0; i < entries.size(); i++) {
                // Only this record: another of a later attempt, redriven meanwhile, may be waiting too.
                BacklogEntry entry = entries.get(i);
                if (ended.get(i) && !entry.isRemoved()) {
                    matcher.backlog().remove(entry);
                    // The answer to a reservation says which of its events may not have been published.
                    unverified.add(tasks.get(i));
                }
            }
        });
    }
}
