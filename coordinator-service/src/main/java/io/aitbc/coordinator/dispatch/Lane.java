package io.aitbc.coordinator.dispatch;

import io.aitbc.contracts.ControlMessage.ClearQueue;
import io.aitbc.contracts.ControlMessage.QueueCleared;
import io.aitbc.contracts.Priority;
import io.aitbc.coordinator.assign.Verdict;
import io.aitbc.coordinator.background.FailuresInARow;
import io.aitbc.coordinator.background.RareWarning;
import io.aitbc.coordinator.dispatch.OwnedPartition.Commit;
import io.aitbc.coordinator.match.Matcher;
import io.aitbc.coordinator.match.PlaceLeft;
import io.aitbc.coordinator.match.Placement;
import io.aitbc.coordinator.match.Position;
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
 * What one thread decides about the partitions it owns, from the arrival of a record to the offset that may be committed. Knows no
 * Kafka, no Redis and no clock: it asks {@link Outside} for what is to be done, and goes on when the answer comes.
 */
final class Lane {
    /**
     * Where a lane's decisions take effect. Nothing here waits; each future is completed on the lane's own thread, between rounds or
     * before the call returns.
     */
    interface Outside {
        /** Judges placements; fails if that could not be asked, and then it is unknown what was granted. */
        CompletableFuture<List<Verdict>> reserve(List<Placement> placements, Instant now);

        /** Ends tasks that no agent has; false for those that an agent has after all. */
        CompletableFuture<List<Boolean>> endWaiting(
                List<WaitingTask> tasks, String status, String clearId, Instant now);

        CompletableFuture<Void> publish(Verdict verdict);

        /** Appends a task to the tail of its partition, as it was first accepted. */
        CompletableFuture<Void> putOff(WaitingTask task);

        /** Makes waiting tasks visible to those who ask; true for those that have ended, for they were cancelled. */
        CompletableFuture<List<Boolean>> noteQueued(List<WaitingTask> tasks);

        /** Partition → the offset behind the last record that can be read; partitions of which that is not known now are missing. */
        Map<OwnedPartition.Id, Long> ends(Set<OwnedPartition.Id> partitions);

        /** The same for the last record of all; a transaction that is still open may keep it from being read. */
        Map<OwnedPartition.Id, Long> appendedEnds(Set<OwnedPartition.Id> partitions);

        /** The next offset that will be read. */
        long position(OwnedPartition.Id partition);

        void report(QueueCleared cleared);

        /** Tells other coordinators of places that are left to their aged tasks. It may get lost: then these are taken back. */
        void leave(List<PlaceLeft> places);
    }

    private static final Logger log = LoggerFactory.getLogger(Lane.class);

    /** What another lane said of its wants. */
    private record Heard(List<Want> wants, Instant at) {}

    private static final Duration HEARD_FOR = Duration.ofSeconds(1);

    /** Batches that may be with Redis at once: enough to keep it busy, few enough that views stay fresh. */
    private static final int MAX_OPEN_BATCHES = 4;

    /**
     * A large batch has so many tasks for each agent, if it may: what is done once for each agent, in Redis, Kafka and at the others, is
     * most of the cost when it is done for a single task.
     */
    private static final int TASKS_PER_AGENT = 4;

    private static final Duration FIRST_PAUSE = Duration.ofMillis(100);
    private static final Duration LONGEST_PAUSE = Duration.ofSeconds(2);
    private static final Duration BETWEEN_PUBLICATIONS = Duration.ofSeconds(1);
    private static final Duration NOTE_EVERY = Duration.ofMillis(100);
    /** How many, each time, while tasks are assigned. */
    private static final int NOTED_BESIDE_OTHERS = 200;

    private static final Duration PUT_OFF_EVERY = Duration.ofMillis(100);
    /** Of more clears of one queue at a time the oldest are forgotten: what they mean, newer ones mean too. */
    static final int CLEARS_KEPT = 5;
    /** Of all partitions together, each time: more would leave no time for anything else. */
    private static final int MOST_PUT_OFF = 1_000;
    /** As long as more than this of what is held moves on by itself, there will be room: to put off would cost and gain nothing. */
    private static final double SHARE_THAT_MOVES = 1 / 8.0;

    /** When more urgent tasks take all agents, nothing moves either; who stands behind may have agents of their own. */
    private static final Duration LONGEST_STANDSTILL = Duration.ofSeconds(5);
    /** How much slower than a window a second it goes then, and while only tasks come round again that were put off before. */
    private static final double SLOWER = 160;

    private final Matcher matcher;
    private final Outside outside;
    private final int windowPerPartition;
    private final long windowBytesPerPartition;
    private final long memory;
    private final int batch;
    private final Map<OwnedPartition.Id, OwnedPartition> partitions = new HashMap<>();
    /** The newest clear commands of each queue, whichever coordinator was asked, the oldest first. */
    private final Map<Priority, Deque<ClearQueue>> clears = new EnumMap<>(Priority.class);
    /** Which of them are finished where, by whomever. */
    private final Set<QueueCleared> cleared = new HashSet<>();

    private final Set<Priority> pausedQueues = EnumSet.noneOf(Priority.class);
    private final Set<String> cancelled = new HashSet<>();
    private final Set<String> unpublished = new HashSet<>();
    private final Map<String, Heard> heard = new HashMap<>();
    /** Whether the matcher does not know yet what was heard, or is not to be heeded any more. */
    private boolean heardChanged;
    /** Where tasks stand that may not be visible yet; some of them wait no more. */
    private final Deque<Position> fresh = new ArrayDeque<>();
    /** Read just now, and perhaps an agent has them already. */
    private final Set<WaitingTask> inherited = Collections.newSetFromMap(new IdentityHashMap<>());
    /** Tasks of which it is not known whether an agent has them; they are in no backlog. */
    private final List<WaitingTask> unsure = new ArrayList<>();

    private boolean noting;
    private Instant nextNote = Instant.EPOCH;
    private Instant lastPlaced = Instant.EPOCH;
    private int openBatches;
    /** Whether the last batch was as large as may be, so that there may be more to place. */
    private boolean full;

    private int openPublications;
    private int openPutOffs;
    private Instant now = Instant.EPOCH;
    private Instant pausedUntil = Instant.EPOCH;
    private Duration pause = FIRST_PAUSE;
    private final FailuresInARow failures = new FailuresInARow(log);
    private final RareWarning notPublished = new RareWarning(log, "{} times an assignment could not be published: {}");
    private Instant nextPutOff = Instant.EPOCH;
    private Instant nextMakeSure = Instant.EPOCH;
    /** How often everything was lost: an answer to what was asked before that is ignored. */
    private int timesLostAll;
    /** What went wrong while an answer was handled, until a round throws it. */
    private @Nullable Throwable broken;

    /**
     * @param windowPerPartition how many unfinished tasks of a partition are held
     * @param windowBytesPerPartition and how large they may be together, but for the last
     * @param memory what the tasks of all partitions together may take, in bytes: each owned partition has an equal share
     * @param batch how many tasks are reserved in one call at most; four times as many when there are as many agents
     */
    Lane(
            Matcher matcher,
            Outside outside,
            int windowPerPartition,
            long windowBytesPerPartition,
            long memory,
            int batch) {
        this.matcher = matcher;
        this.outside = outside;
        this.windowPerPartition = windowPerPartition;
        this.windowBytesPerPartition = windowBytesPerPartition;
        this.memory = memory;
        this.batch = batch;
    }

    Matcher matcher() {
        return matcher;
    }

    // What is owned

    /** @param end the offset behind its last record */
    void gained(OwnedPartition.Id id, long committedOffset, String metadata, long end) {
        OwnedPartition partition = new OwnedPartition(committedOffset, metadata, end);
        partitions.put(id, partition);
        clears.getOrDefault(id.priority(), new ArrayDeque<>())
                .forEach(command -> startClearing(id, partition, command));
    }

    /** @return how many tasks waited there */
    int lost(Set<OwnedPartition.Id> ids) {
        partitions.keySet().removeAll(ids);
        fresh.removeIf(position -> ids.contains(OwnedPartition.Id.of(position)));
        inherited.removeIf(task -> ids.contains(OwnedPartition.Id.of(task.position())));
        unsure.removeIf(task -> ids.contains(OwnedPartition.Id.of(task.position())));
        return matcher.backlog()
                .takeIf(task -> ids.contains(OwnedPartition.Id.of(task.position())))
                .size();
    }

    /**
     * The topic of a priority was deleted, and with it all that a clear of it meant: what will be in the topic of that name is not to
     * be cancelled for it.
     *
     * @return how many tasks waited here
     */
    int topicLost(Priority priority) {
        for (ClearQueue command : clears.getOrDefault(priority, new ArrayDeque<>())) {
            for (int number : command.endOffsets().keySet()) {
                QueueCleared report = new QueueCleared(command.commandId(), priority, number);
                if (cleared.add(report)) {
                    outside.report(report);
                }
            }
        }
        return lost(partitions.keySet().stream()
                .filter(id -> id.priority() == priority)
                .collect(Collectors.toSet()));
    }

    /** Nothing is owned any more, and nothing that was asked for is waited for. */
    void lostAll() {
        lost(Set.copyOf(partitions.keySet()));
        timesLostAll++;
        openBatches = 0;
        openPublications = 0;
        openPutOffs = 0;
        noting = false;
        broken = null;
        matcher.forgetPlacements();
    }

    // What is read

    /** Notes that a record was read; false if it is done already, or not this lane's, and is to be skipped. */
    boolean received(Position position) {
        OwnedPartition partition = partitions.get(OwnedPartition.Id.of(position));
        return partition != null && partition.received(position.offset());
    }

    /**
     * Notes that all below an offset was read. What no record came of holds no task: transaction markers, records of aborted
     * transactions, gaps that compaction left. Without this they would count as waiting until a record comes behind them.
     */
    void readUpTo(OwnedPartition.Id id, long position) {
        OwnedPartition partition = partitions.get(id);
        if (partition != null) {
            partition.readUpTo(position);
        }
    }

    /** A task was read, and waits. */
    void waits(WaitingTask task, Instant now) {
        itIs(now);
        if (!isOwned(task)) {
            return;
        }
        fresh.add(task.position());
        if (partition(task).isInherited(task.position().offset())) {
            inherited.add(task);
        }
        await(task);
    }

    /** Whether a partition has as many unfinished tasks as may be held. */
    boolean isFull(OwnedPartition.Id id) {
        OwnedPartition partition = partitions.get(id);
        if (partition == null) {
            return false;
        }
        // What a clear means is taken out at once, so there is room to read on; but not without end while Redis is
        // away.
        int windows = partition.readsForClear() ? 2 : 1;
        return partition.unfinished() >= (long) windows * windowPerPartition
                || partition.bytes() >= windows * windowBytesPerPartition
                || partition.memory() / windows >= memory / partitions.size();
    }

    /** What stood at a position is dealt with. */
    void finished(Position position) {
        OwnedPartition partition = partitions.get(OwnedPartition.Id.of(position));
        if (partition != null) {
            partition.finished(position.offset());
        }
    }

    // What is done about it

    /**
     * Does what can be done now.
     *
     * @return whether there is more of it
     * @throws IllegalStateException if an answer could not be handled: what it was about is in an unknown state, and only
     *     {@link #lostAll} helps
     */
    boolean round(Instant now) {
        throwIfBroken();
        boolean more = false;
        itIs(now);
        notPublished.say(now);
        finishCancelled();
        if (!now.isBefore(pausedUntil)) {
            cancelCleared();
            endExpired();
            // After the two above, so that nothing is assigned that was cleared, or had expired, before it was read.
            more = assign();
            doubtInherited();
            makeVisible();
            doubtUnpublished();
            makeSure();
            putOff();
        }
        reportClears();
        throwIfBroken();
        return more;
    }

    /** Where the clock was set back, what was put off until later is not kept waiting until that time comes again. */
    private void itIs(Instant time) {
        if (time.isBefore(now)) {
            pausedUntil = Instant.EPOCH;
            nextNote = Instant.EPOCH;
            nextPutOff = Instant.EPOCH;
            nextMakeSure = Instant.EPOCH;
            lastPlaced = Instant.EPOCH;
            heard.clear();
            heardChanged = true;
            partitions.values().forEach(partition -> partition.moved(time));
        }
        now = time;
    }

    /** What changed since the last call, to be committed. */
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

    /** Forgets that commits were made, because they failed: the next call of {@link #commits} has them again. */
    void commitFailed() {
        partitions.values().forEach(OwnedPartition::commitFailed);
    }

    /** Whether something was asked for and not answered yet. */
    boolean hasOpenWork() {
        return openBatches > 0 || openPublications > 0 || openPutOffs > 0;
    }

    // What operators and clients ask for

    /** Cancels what was in a queue when the command was given. */
    void clear(ClearQueue command) {
        Deque<ClearQueue> ofQueue = clears.computeIfAbsent(command.priority(), priority -> new ArrayDeque<>());
        ofQueue.add(command);
        if (ofQueue.size() > CLEARS_KEPT) {
            // What it means, newer ones mean too.
            String forgotten = ofQueue.remove().commandId();
            cleared.removeIf(report -> report.commandId().equals(forgotten));
        }
        partitions.forEach((id, partition) -> {
            if (id.priority() == command.priority()) {
                startClearing(id, partition, command);
            }
        });
    }

    /** A clear is finished in a partition, as its owner says. */
    void cleared(QueueCleared report) {
        cleared.add(report);
        OwnedPartition partition = partitions.get(new OwnedPartition.Id(report.priority(), report.partition()));
        if (partition != null) {
            partition.cleared(report.commandId());
        }
    }

    /** Nothing of a queue is assigned, until it is again. */
    void pause(Priority priority, boolean paused) {
        if (paused) {
            pausedQueues.add(priority);
        } else {
            pausedQueues.remove(priority);
        }
        matcher.pause(pausedQueues);
    }

    /** An agent counts as holding these tasks, but never got them: if they wait here, they are to be published to it. */
    void unpublished(Collection<String> taskIds) {
        unpublished.addAll(taskIds);
    }

    /** What waits is to be made visible again. */
    void noteAgain() {
        fresh.clear();
        matcher.backlog().all().forEach(task -> fresh.add(task.position()));
    }

    /** Tasks have been cancelled, wherever they wait. */
    void cancelled(Collection<String> taskIds) {
        cancelled.addAll(taskIds);
    }

    private void startClearing(OwnedPartition.Id id, OwnedPartition partition, ClearQueue command) {
        if (!cleared.contains(new QueueCleared(command.commandId(), id.priority(), id.number()))) {
            partition.clear(command, id.number());
        }
    }

    private void finishCancelled() {
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
                // What lies before and held no record (transaction markers) is done.
                entry.getValue().readUpTo(outside.position(entry.getKey()));
                if (entry.getValue().needsEnd()) {
                    withoutEnd.add(entry.getKey());
                }
            }
        }
        if (!withoutEnd.isEmpty()) {
            // What a transaction keeps from being read now was meant too, if it stood there when the command was given.
            outside.appendedEnds(withoutEnd)
                    .forEach((id, end) -> partitions.get(id).endIs(end));
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
                    outside.report(report);
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
        openBatches++;
        then(outside.endWaiting(tasks, status, clearId, now), (ended, failure) -> {
            openBatches--;
            if (failure != null) {
                pauseAfter(failure);
                tasks.forEach(this::await);
                return;
            }
            for (int i = 0; i < tasks.size(); i++) {
                if (ended.get(i)) {
                    finished(tasks.get(i).position());
                } else {
                    // From before a crash: the reservation will say which agent, and it is published again.
                    doubt(tasks.get(i));
                }
            }
        });
    }

    /** What the lane of another coordinator waits for, as it said just now. */
    void heard(String coordinatorId, List<Want> wants, Instant at) {
        heard.put(coordinatorId, new Heard(wants, at));
        heardChanged = true;
    }

    /** Another coordinator leaves a place of each of these agents to the aged tasks that wait here. */
    void offered(List<String> agentIds, Instant at) {
        matcher.offered(agentIds, at);
    }

    /** The priority of the most urgent task elsewhere to which agents are left; absent when there is none. */
    @Nullable
    Priority yieldsTo(Instant at) {
        forgetOldWants(at);
        return heard.values().stream()
                .flatMap(one -> one.wants.stream())
                .min(Comparator.comparingInt(Want::level))
                .map(want -> Priority.values()[want.level()])
                .orElse(null);
    }

    private void forgetOldWants(Instant at) {
        heardChanged |= heard.values().removeIf(one -> one.at.plus(HEARD_FOR).isBefore(at));
    }

    private void heedWants() {
        forgetOldWants(now);
        if (heardChanged) {
            heardChanged = false;
            Map<String, List<Want>> wants = new HashMap<>();
            heard.forEach((coordinatorId, one) -> wants.put(coordinatorId, one.wants));
            matcher.leaveTo(wants);
        }
    }

    private boolean assign() {
        // Small batches one after the other: what comes while one is with Redis makes the next one larger, and all of
        // it cheaper.
        if (openBatches >= (full ? MAX_OPEN_BATCHES : 1)) {
            return false;
        }
        heedWants();
        int most = Math.max(batch, TASKS_PER_AGENT * Math.min(batch, matcher.agentCount()));
        List<Placement> placements = matcher.match(now, most);
        if (!placements.isEmpty()) {
            lastPlaced = now;
            reserve(placements);
        }
        if (!matcher.left().isEmpty()) {
            outside.leave(matcher.left());
        }
        full = placements.size() == most;
        return full && openBatches < MAX_OPEN_BATCHES;
    }

    private void reserve(List<Placement> placements) {
        openBatches++;
        then(outside.reserve(placements, now), (verdicts, failure) -> {
            openBatches--;
            if (failure == null) {
                pause = FIRST_PAUSE;
                failures.end();
                verdicts.forEach(this::judged);
                byAgent(verdicts).forEach(this::publish);
            } else {
                pauseAfter(failure);
                for (Placement placement : placements) {
                    matcher.unanswered(placement);
                    doubt(placement.waiting());
                }
            }
        });
    }

    /** What goes to an agent one after the other, in the order that it has: Kafka then gets fewer batches, and larger ones. */
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

    private void judged(Verdict verdict) {
        matcher.answered(verdict.placement(), verdict.held());
        WaitingTask waiting = verdict.placement().waiting();
        switch (verdict.ruling()) {
            case GRANTED, LIVE -> {
                // Published together with what else goes to its agent.
            }
            case ENDED, DUPLICATE -> finished(waiting.position());
            case FULL -> await(waiting);
            case UNAVAILABLE -> {
                if (verdict.placement().agentId().isEmpty()) {
                    // Nobody has it. Perhaps nothing is known of it any more.
                    fresh.add(waiting.position());
                } else {
                    // The live view will say what the agent is now; until then it gets nothing.
                    matcher.agentGone(verdict.placement().agentId());
                }
                await(waiting);
            }
        }
    }

    private void publish(Verdict verdict) {
        WaitingTask waiting = verdict.placement().waiting();
        openPublications++;
        then(outside.publish(verdict), (done, failure) -> {
            openPublications--;
            if (failure == null) {
                handedOut(waiting.position());
            } else {
                // Reserved but not published: when asked again, the reservation answers LIVE, and it is published then.
                notPublished.about(waiting.id() + " to " + verdict.agentId() + " (" + failure + ")");
                doubt(waiting);
                nextMakeSure = now.plus(BETWEEN_PUBLICATIONS);
            }
        });
    }

    private void handedOut(Position position) {
        OwnedPartition partition = partitions.get(OwnedPartition.Id.of(position));
        if (partition != null) {
            partition.finished(position.offset());
            partition.moved(now);
        }
    }

    /**
     * Where a partition is full and more stands behind, moves the oldest that no agent can take to the tail, so that what stands
     * behind gets its chance.
     */
    private void putOff() {
        if (now.isBefore(nextPutOff)) {
            return;
        }
        nextPutOff = now.plus(PUT_OFF_EVERY);
        Set<OwnedPartition.Id> full = new HashSet<>();
        partitions.forEach((id, partition) -> {
            if ((isFull(id) || partition.isLedgerCut()) && !pausedQueues.contains(id.priority())) {
                full.add(id);
            } else {
                partition.moved(now);
            }
        });
        if (full.isEmpty() || !matcher.backlog().hasBlocked(now)) {
            return;
        }
        List<WaitingTask> chosen = new ArrayList<>();
        int most = Math.max(1, MOST_PUT_OFF / full.size());
        outside.ends(full).forEach((id, end) -> choosePutOffs(id, end, most, chosen));
        matcher.backlog().take(chosen);
        chosen.forEach(this::putOff);
    }

    private void choosePutOffs(OwnedPartition.Id id, long end, int most, List<WaitingTask> chosen) {
        OwnedPartition partition = partitions.get(id);
        if (partition == null) {
            return;
        }
        boolean more = partition.hasUnread(end);
        boolean stuck = partition.isLedgerCut() || more && isStuck(id, partition);
        if (!stuck && !(more && partition.hasStoodStillFor(LONGEST_STANDSTILL, now))) {
            return;
        }
        double slowly = windowPerPartition / SLOWER;
        double perSecond = stuck && partition.unseen(end) > 0 ? windowPerPartition : slowly;
        double atOnce = (stuck ? windowPerPartition : slowly) / 10;
        partition.fillAllowance(perSecond, Math.max(1, atOnce), now);
        int left = most;
        // A task costs one, a large one as many as fit into the window in its place.
        double bytesEach = (double) windowBytesPerPartition / windowPerPartition;
        for (long offset : partition.unfinishedOffsets()) {
            if (left == 0 || !partition.mayPutOff()) {
                return;
            }
            WaitingTask task = matcher.backlog().at(new Position(id.priority(), id.number(), offset));
            if (task != null
                    && partition.clearOf(task) == null
                    && matcher.backlog().isBlocked(task, now)) {
                chosen.add(task);
                partition.putOffChosen(Math.max(1, task.bytes() / bytesEach));
                left--;
            }
        }
    }

    /** Whether nearly all that is held of a partition can go nowhere. */
    private boolean isStuck(OwnedPartition.Id id, OwnedPartition partition) {
        return matcher.backlog().blockedIn(id.priority(), id.number(), now)
                >= (1 - SHARE_THAT_MOVES) * partition.unfinished();
    }

    private void putOff(WaitingTask task) {
        OwnedPartition partition = partition(task);
        openPutOffs++;
        partition.putOffStarted();
        then(outside.putOff(task), (done, failure) -> {
            openPutOffs--;
            partition.putOffEnded(failure == null);
            if (partition != partition(task)) {
                // Lost meanwhile, and perhaps gained again: then it is read again, and a clear has to find it there.
                return;
            }
            if (failure == null) {
                finished(task.position());
            } else {
                await(task);
            }
        });
    }

    private void doubtInherited() {
        if (!inherited.isEmpty()) {
            unsure.addAll(matcher.backlog().takeIf(inherited::contains));
            inherited.clear();
        }
    }

    /** To be seen is worth less than to be assigned: while there is that to do, most are assigned before it is their turn here. */
    private void makeVisible() {
        if (noting || now.isBefore(nextNote)) {
            return;
        }
        if (fresh.size() > batch + 2 * matcher.backlog().size()) {
            fresh.removeIf(position -> matcher.backlog().at(position) == null);
        }
        boolean besideOthers = now.isBefore(lastPlaced.plus(NOTE_EVERY));
        int most = besideOthers ? Math.min(batch, NOTED_BESIDE_OTHERS) : batch;
        List<WaitingTask> noted = new ArrayList<>();
        while (noted.size() < most && !fresh.isEmpty()) {
            WaitingTask task = matcher.backlog().at(fresh.remove());
            if (task != null) {
                noted.add(task);
            }
        }
        if (!noted.isEmpty()) {
            nextNote = besideOthers ? now.plus(NOTE_EVERY) : now;
            note(noted);
        }
    }

    private void note(List<WaitingTask> tasks) {
        noting = true;
        then(outside.noteQueued(tasks), (ended, failure) -> {
            noting = false;
            if (failure != null) {
                pauseAfter(failure);
                tasks.stream().filter(this::isOwned).forEach(task -> fresh.add(task.position()));
                return;
            }
            // Just these records: one of a later attempt, brought back meanwhile, may wait too.
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
     * Asks about tasks that an agent may have already, because the answer to a reservation was lost or its publication failed, here or
     * at whoever owned the partition before. They must not wait for an agent with room: it may be they that fill it.
     */
    private void makeSure() {
        if (unsure.isEmpty() || now.isBefore(nextMakeSure) || openBatches >= MAX_OPEN_BATCHES) {
            return;
        }
        List<WaitingTask> asked = unsure.subList(0, Math.min(batch, unsure.size()));
        List<Placement> placements =
                asked.stream().map(task -> new Placement(task, "")).toList();
        asked.clear();
        reserve(placements);
    }

    /** Lets a task wait, unless its partition was lost meanwhile. */
    private void await(WaitingTask task) {
        OwnedPartition partition = partitions.get(OwnedPartition.Id.of(task.position()));
        if (partition != null) {
            partition.waits(task);
            matcher.backlog().add(task, now);
        }
    }

    private void doubtUnpublished() {
        if (!unpublished.isEmpty()) {
            unsure.addAll(matcher.backlog().takeIf(task -> unpublished.contains(task.id())));
            unpublished.clear();
        }
    }

    /** Lets it be asked whether an agent has a task. */
    private void doubt(WaitingTask task) {
        if (isOwned(task)) {
            unsure.add(task);
        }
    }

    private boolean isOwned(WaitingTask task) {
        return partition(task) != null;
    }

    private OwnedPartition partition(WaitingTask task) {
        return partitions.get(OwnedPartition.Id.of(task.position()));
    }

    /** Handles an answer when it comes. A future would keep what goes wrong there to itself; so the next round throws it. */
    private <T> void then(CompletableFuture<T> answer, BiConsumer<T, @Nullable Throwable> next) {
        int asked = timesLostAll;
        answer.whenComplete((value, failure) -> {
            if (asked == timesLostAll) {
                try {
                    next.accept(value, failure);
                } catch (RuntimeException | Error e) {
                    broken = e;
                }
            }
        });
    }

    private void throwIfBroken() {
        if (broken != null) {
            throw new IllegalStateException("an answer could not be handled", broken);
        }
    }

    private void pauseAfter(Throwable failure) {
        if (!now.isBefore(pausedUntil)) {
            failures.next()
                    .addKeyValue("pause_ms", pause.toMillis())
                    .log("Dispatch pauses, Redis: {}", failure.toString());
            pausedUntil = now.plus(pause);
            pause = pause.multipliedBy(2).compareTo(LONGEST_PAUSE) > 0 ? LONGEST_PAUSE : pause.multipliedBy(2);
        }
    }
}
