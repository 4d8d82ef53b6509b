package io.aitbc.coordinator.match;

import io.aitbc.coordinator.limit.LimitBook;
import io.aitbc.coordinator.limit.LimitState;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.PriorityQueue;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Keeps groups back whose next task would exceed a limit, until something is freed or due. Such a group costs nothing meanwhile. Of the tasks that
 * use a limit, the first in turn gets the next units: a smaller one does not overtake it.
 */
public final class Limits {
    /** When groups that wait for an attempt to end are tried all the same: notices may get lost. */
    static final Duration MAX_WAIT = Duration.ofSeconds(30);
    /** Shorter than this, clocks differ. */
    private static final Duration MIN_WAIT = Duration.ofMillis(1);
    /** Until more of a budget is noted, at most. */
    private static final Duration REFUSED_WAIT = Duration.ofSeconds(1);
    /** Between two searches for groups whose next task has left. */
    private static final Duration REVIEW_INTERVAL = Duration.ofSeconds(1);

    /** So many groups are released at once, besides one for each unit: other limits may keep some of them back. */
    private static final int RELEASED_AT_ONCE = 32;

    private static final int MAX_RELEASED = 5_000;
    /** As heads are placed: by priority, then by turn of the keys, then by waiting time. */
    private static final Comparator<TaskGroup.Head> BY_TURN = Comparator.comparingInt(TaskGroup.Head::level)
            .thenComparingDouble(head -> head.queue().share.start())
            .thenComparing(TaskGroup.Head.BY_WAITING);

    private final Map<String, Gate> gates = new HashMap<>();
    private final PriorityQueue<Due> due = new PriorityQueue<>(Comparator.comparing(Due::at));
    /** The groups that no limit keeps back. */
    private final Set<TaskGroup> runnable = new LinkedHashSet<>();

    /** Limits of which only the groups that are first in turn were released. */
    private final Set<Gate> partly = new LinkedHashSet<>();
    /** Groups that have been released for a comparison. */
    private List<TaskGroup> compared = List.of();

    private final List<BacklogEntry> impossible = new ArrayList<>();
    private LimitBook book = LimitBook.EMPTY;
    private long round = 1;
    private boolean isInRound;
    /** The time of the round. */
    private Instant now = Instant.EPOCH;

    private Instant nextReview = Instant.EPOCH;
    /** The level of the most urgent task that each limit keeps back in other lanes. */
    private Map<String, Integer> remote = Map.of();

    private record Due(Instant at, Gate gate) {}

    /** The groups that no limit keeps back. */
    Collection<TaskGroup> runnable() {
        return runnable;
    }

    /** The definitions. */
    public LimitBook book() {
        return book;
    }

    /**
     * Replaces the definitions.
     *
     * @return whether other limits may apply to tasks that wait: then these must be added again
     */
    public boolean define(LimitBook newer) {
        boolean isOther = !newer.appliesAs(book);
        book = newer;
        gates.values().forEach(gate -> {
            gate.limit = newer.definition(gate.name);
            gate.update(null);
            release(gate);
        });
        return isOther;
    }

    List<String> names(TaskSummary task) {
        return book.names(task.uses(), task.requirements(), task.taskType(), task.key());
    }

    /** Connects a new group with its limits. */
    void open(TaskGroup group, List<String> names) {
        List<Gate> all = new ArrayList<>(names.size());
        for (String name : names) {
            Gate gate = gates.computeIfAbsent(name, this::newGate);
            gate.groups.add(group);
            all.add(gate);
        }
        group.gates = all;
        runnable.add(group);
    }

    private Gate newGate(String name) {
        Gate gate = new Gate(name);
        gate.limit = book.definition(name);
        gate.mostUrgentElsewhere = remote.getOrDefault(name, Integer.MAX_VALUE);
        return gate;
    }

    void close(TaskGroup group) {
        runnable.remove(group);
        for (Gate gate : group.gates) {
            gate.groups.remove(group);
            gate.waiting.remove(group);
            forgetUnused(gate);
        }
    }

    private void forgetUnused(Gate gate) {
        if (!gate.isUsed()) {
            gates.remove(gate.name, gate);
        }
    }

    /** Begins a round: releases the groups whose limits are due. */
    void begin(Instant now) {
        round++;
        isInRound = true;
        this.now = now;
        if (!now.isBefore(nextReview)) {
            nextReview = now.plus(REVIEW_INTERVAL);
            review();
        }
        while (!due.isEmpty() && !due.peek().at.isAfter(now)) {
            Due next = due.remove();
            Gate gate = next.gate;
            if (!next.at.equals(gate.scheduledAt)) {
                // It was rescheduled.
                continue;
            }
            gate.scheduledAt = Instant.MAX;
            if (!gate.waiting.isEmpty()
                    && gate.room(now) == 0
                    && gate.dueAt(1, now).equals(Instant.MAX)
                    && !now.isBefore(gate.learnedAt.plus(MAX_WAIT))) {
                gate.update(null);
            }
            releaseFirst(gate);
        }
    }

    /** Releases groups whose next task has left: no notice says so. */
    private void review() {
        for (Gate gate : gates.values()) {
            for (TaskGroup group : List.copyOf(gate.waiting)) {
                if (group.keptBack == null || group.keptBack.isRemoved()) {
                    reconsider(group);
                }
            }
        }
    }

    /** When groups have to be looked at again, if nothing happens before; {@link Instant#MAX} if none waits. */
    public Instant nextDue() {
        return due.isEmpty() ? Instant.MAX : due.peek().at;
    }

    /** Resets the times when limits are due, after the clock was set back. */
    public void clockSetBack() {
        due.clear();
        nextReview = Instant.EPOCH;
        gates.values().forEach(gate -> {
            gate.scheduledAt = Instant.MAX;
            gate.update(null);
            release(gate);
        });
    }

    private List<TaskGroup> release(Gate gate) {
        return release(gate, List.copyOf(gate.waiting));
    }

    private List<TaskGroup> release(Gate gate, List<TaskGroup> groups) {
        for (TaskGroup group : groups) {
            gate.waiting.remove(group);
            group.keptBackBy = null;
            runnable.add(group);
        }
        return groups;
    }

    /** Releases the groups that are first in turn: as many as there are units, and some more. They are compared with others in this round, or in the next one. */
    private List<TaskGroup> releaseFirst(Gate gate) {
        gate.comparedIn = isInRound ? round : round + 1;
        int most = RELEASED_AT_ONCE + (int) Math.min(MAX_RELEASED, gate.room(now));
        if (gate.waiting.size() <= most) {
            return release(gate);
        }
        PriorityQueue<TaskGroup.Head> first = new PriorityQueue<>(BY_TURN.reversed());
        List<TaskGroup> withoutHead = new ArrayList<>(0);
        for (TaskGroup group : gate.waiting) {
            TaskGroup.Head head = group.keptBackHead();
            if (head == null) {
                withoutHead.add(group);
                continue;
            }
            first.add(head);
            if (first.size() > most) {
                first.poll();
            }
        }
        partly.add(gate);
        first.forEach(head -> withoutHead.add(head.group()));
        return release(gate, withoutHead);
    }

    /** Ends a round: limits that have units left, which other limits kept from the groups that were first in turn, are soon looked at again. */
    void end() {
        for (Gate gate : partly) {
            if (!gate.waiting.isEmpty() && gate.blockedIn != round && gate.room(now) > 0) {
                schedule(gate, 1);
            }
        }
        partly.clear();
        isInRound = false;
    }

    /** Releases a group whose next task has changed. */
    void reconsider(TaskGroup group) {
        Gate gate = group.keptBackBy;
        if (gate != null) {
            gate.waiting.remove(group);
            group.keptBackBy = null;
            runnable.add(group);
        }
    }

    /** Whether no other task is before it, in this round or in another lane. */
    private boolean hasTurn(TaskGroup.Head head, Gate gate) {
        return gate.blockedIn != round && gate.mostUrgentElsewhere >= head.level();
    }

    /** The level of the most urgent task that each limit keeps back here, for other lanes. */
    public Map<String, Integer> mostUrgent() {
        Map<String, Integer> levels = new HashMap<>();
        for (Gate gate : gates.values()) {
            gate.waiting.stream()
                    .mapToInt(group -> group.keptBackLevel)
                    .min()
                    .ifPresent(level -> levels.put(gate.name, level));
        }
        return levels;
    }

    /**
     * Applies the level of the most urgent task that each limit keeps back in other lanes: less urgent ones here leave it the next units.
     *
     * @param levels by name of the limit
     */
    public void setRemote(Map<String, Integer> levels) {
        if (levels.isEmpty() && remote.isEmpty()) {
            return;
        }
        remote = Map.copyOf(levels);
        gates.values().forEach(gate -> {
            int before = gate.mostUrgentElsewhere;
            gate.mostUrgentElsewhere = levels.getOrDefault(gate.name, Integer.MAX_VALUE);
            if (gate.mostUrgentElsewhere > before && gate.room(now) > 0) {
                release(gate);
            }
        });
    }

    /** Whether a head could start now. Changes nothing: it may not be its turn. */
    boolean couldStart(TaskGroup.Head head) {
        for (Gate gate : head.group().gates) {
            if (!hasTurn(head, gate) || gate.room(now) < units(head.task(), gate)) {
                return false;
            }
        }
        return true;
    }

    /** What becomes of a task whose turn it is. */
    enum Admission {
        ADMITTED,
        /** Its group is kept back. */
        KEPT_BACK,
        /** It could never start: it is to be taken out. */
        IMPOSSIBLE,
        /** Others that waited for its limits may be before it: they have been released. */
        COMPARE
    }

    /** Judges the head of a group, which has its payload. */
    Admission admit(TaskGroup.Head head) {
        TaskGroup group = head.group();
        for (Gate gate : group.gates) {
            long units = units(head.task(), gate);
            boolean hasRoom = hasTurn(head, gate) && gate.room(now) >= units;
            if (hasRoom && !gate.waiting.isEmpty() && gate.comparedIn != round) {
                compared = releaseFirst(gate);
                return Admission.COMPARE;
            }
            if (!hasRoom && book.impossible(head.task().task()) != null) {
                return Admission.IMPOSSIBLE;
            }
            if (!hasRoom) {
                keepBack(head, gate, units);
                return Admission.KEPT_BACK;
            }
        }
        return Admission.ADMITTED;
    }

    void addImpossible(BacklogEntry entry) {
        impossible.add(entry);
    }

    /** The tasks that could never start, since the last call. They have left the backlog, with their payloads. */
    public List<BacklogEntry> takeImpossible() {
        List<BacklogEntry> taken = List.copyOf(impossible);
        impossible.clear();
        return taken;
    }

    /** The groups that {@link Admission#COMPARE} is about. */
    List<TaskGroup> takeReleased() {
        List<TaskGroup> released = compared;
        compared = List.of();
        return released;
    }

    private void keepBack(TaskGroup.Head head, Gate gate, long units) {
        TaskGroup group = head.group();
        group.keptBackBy = gate;
        group.keptBackLevel = head.level();
        group.keptBack = head.entry();
        group.hasUnplaced = false;
        gate.waiting.add(group);
        runnable.remove(group);
        if (gate.blockedIn == round || gate.mostUrgentElsewhere < head.level()) {
            // It is looked at again with the first one, or once no other lane is before it.
            return;
        }
        gate.blockedIn = round;
        schedule(gate, units);
    }

    private void schedule(Gate gate, long units) {
        Instant at = gate.dueAt(units, now);
        Instant latest = now.plus(MAX_WAIT);
        Instant earliest = now.plus(MIN_WAIT);
        at = at.isAfter(latest) ? latest : at.isBefore(earliest) ? earliest : at;
        if (at.isBefore(gate.scheduledAt)) {
            gate.scheduledAt = at;
            due.add(new Due(at, gate));
        }
    }

    private static long units(WaitingTask task, Gate gate) {
        return task.task().uses().getOrDefault(gate.name, 1L);
    }

    /** The units that a task uses; empty if it uses none. */
    Map<String, Long> uses(WaitingTask task) {
        return book.uses(task.task());
    }

    /** How many tasks of a group could start now, as far as limits are concerned. */
    static long room(TaskGroup group, Instant now) {
        long room = Long.MAX_VALUE;
        for (Gate gate : group.gates) {
            room = Math.min(room, gate.room(now));
        }
        return room;
    }

    void placed(Map<String, Long> uses) {
        uses.forEach((name, units) -> {
            Gate gate = gates.get(name);
            if (gate != null) {
                gate.placed(units);
            }
        });
    }

    void answered(Map<String, Long> uses) {
        uses.forEach((name, units) -> {
            Gate gate = gates.get(name);
            if (gate != null) {
                gate.answered(units);
                if (gate.isUnknown() && !gate.waiting.isEmpty()) {
                    // Another limit refused the task that was to find out.
                    schedule(gate, 1);
                }
                forgetUnused(gate);
            }
        });
    }

    void forgetPlacements() {
        gates.values().forEach(Gate::forgetPlacements);
    }

    /** Notes that the registry refused a placement because of a limit, as {@link #update updated} before. */
    public void refused(String name, long units, Instant now) {
        Gate gate = gates.get(name);
        if (gate != null && gate.room(now) >= units) {
            gate.refused(now.plus(REFUSED_WAIT));
        }
    }

    /** Applies what Redis says about limits. */
    public void update(Map<String, LimitState> states) {
        states.forEach((name, state) -> {
            Gate gate = gates.get(name);
            if (gate != null) {
                gate.update(state);
                gate.learnedAt = now;
                if (gate.room(now) > 0) {
                    releaseFirst(gate);
                } else if (!gate.waiting.isEmpty()) {
                    schedule(gate, 1);
                }
            }
        });
    }

    /** Forgets what is known: notices were missed. */
    public void forgetStates() {
        gates.values().forEach(gate -> {
            gate.update(null);
            release(gate);
        });
    }

    /** The limits with the most waiting tasks. */
    List<WaitingLimit> waiting(int limit, Instant now) {
        return gates.values().stream()
                .filter(gate -> gate.limit != null)
                .map(gate -> waiting(gate, now))
                .filter(Objects::nonNull)
                .sorted(Comparator.comparingInt(WaitingLimit::tasks).reversed().thenComparing(WaitingLimit::name))
                .limit(limit)
                .toList();
    }

    private static @Nullable WaitingLimit waiting(Gate gate, Instant now) {
        int tasks = 0;
        Instant oldest = Instant.MAX;
        for (TaskGroup group : gate.groups) {
            BlockedGroup waits = group.keptBackBy == gate || gate.room(now) == 0 ? group.blocked(Set.of()) : null;
            if (waits != null) {
                tasks += waits.tasks();
                oldest = waits.oldest().isBefore(oldest) ? waits.oldest() : oldest;
            }
        }
        return tasks == 0 ? null : new WaitingLimit(gate.name, tasks, oldest);
    }
}
