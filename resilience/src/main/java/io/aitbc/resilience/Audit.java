package io.aitbc.resilience;

import io.aitbc.contracts.TaskResult;
import io.aitbc.resilience.Evidence.Assigned;
import io.aitbc.resilience.Evidence.HeartbeatRecord;
import io.aitbc.resilience.Evidence.Reported;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;

/** Holds the evidence of a run against the promises. Pure. */
final class Audit {
    /** Stale is found out within a second or so, and heartbeats come each second. */
    private static final long SLACK_MS = 2_000;

    private final Evidence evidence;
    private final long heartbeatTimeoutMs;
    private final long from;
    private final Map<String, Map<Integer, List<Assigned>>> assignedByTask = new HashMap<>();
    private final Map<String, Map<Integer, List<Reported>>> endsByTask = new HashMap<>();
    private final Map<String, TreeMap<Integer, Long>> queuedByTask = new HashMap<>();
    private final Map<String, List<HeartbeatRecord>> heartbeatsByAgent;
    private final Map<String, Long> deadLettered = new HashMap<>();

    /**
     * The findings.
     *
     * @param tasks how many were accepted
     * @param lost accepted, never done, and not set aside either
     * @param twice done more than once though no agent had died, fallen silent, or missed a deadline
     * @param again done more than once for one of these reasons, which nobody can prevent
     * @param twoLive attempts that were live at two agents at once
     * @param overCapacity agents that were given more than they can hold
     * @param longestPauseMs without any assignment though tasks waited, once all was warm
     * @param longestWaitMs of one task, from acceptance to its first assignment, likewise
     */
    record Findings(
            int tasks,
            List<String> lost,
            List<String> twice,
            List<String> again,
            List<String> twoLive,
            List<String> overCapacity,
            long longestPauseMs,
            long longestWaitMs) {
        boolean areClean() {
            return lost.isEmpty() && twice.isEmpty() && twoLive.isEmpty() && overCapacity.isEmpty();
        }
    }

    private Audit(Evidence evidence, long heartbeatTimeoutMs, long from) {
        this.evidence = evidence;
        this.heartbeatTimeoutMs = heartbeatTimeoutMs;
        this.from = from;
        evidence.assigned()
                .forEach(one -> assignedByTask
                        .computeIfAbsent(one.taskId(), id -> new TreeMap<>())
                        .computeIfAbsent(one.attempt(), attempt -> new ArrayList<>())
                        .add(one));
        evidence.reported().stream()
                .filter(one -> one.status() != TaskResult.Status.PROGRESS)
                .forEach(one -> endsByTask
                        .computeIfAbsent(one.taskId(), id -> new HashMap<>())
                        .computeIfAbsent(one.attempt(), attempt -> new ArrayList<>())
                        .add(one));
        evidence.queued()
                .forEach(one -> queuedByTask
                        .computeIfAbsent(one.taskId(), id -> new TreeMap<>())
                        .merge(one.attempt(), one.at(), Math::min));
        evidence.deadLettered().forEach(one -> deadLettered.merge(one.taskId(), one.at(), Math::min));
        heartbeatsByAgent = evidence.heartbeats().stream()
                .sorted(Comparator.comparingLong(HeartbeatRecord::at))
                .collect(Collectors.groupingBy(HeartbeatRecord::agentId));
    }

    /** @param from what was accepted before does not count for pauses and waits, in ms since 1970 */
    static Findings of(Evidence evidence, long heartbeatTimeoutMs, long from) {
        return new Audit(evidence, heartbeatTimeoutMs, from).findings();
    }

    private Findings findings() {
        Set<String> accepted = tasks(Ledger.EventType.ACKED);
        Set<String> done = tasks(Ledger.EventType.FINISHED);
        List<String> lost = accepted.stream()
                .filter(id -> !done.contains(id) && !deadLettered.containsKey(id))
                .sorted()
                .toList();
        List<String> twoLive = twoLive();
        List<String> twice = new ArrayList<>();
        List<String> again = new ArrayList<>();
        repeated(new HashSet<>(twoLive), twice, again);
        return new Findings(
                accepted.size(), lost, twice, again, twoLive, overCapacity(), longestPauseMs(), longestWaitMs());
    }

    private Set<String> tasks(Ledger.EventType what) {
        return evidence.ledger().stream()
                .filter(line -> line.what() == what)
                .map(Ledger.Line::taskId)
                .collect(Collectors.toSet());
    }

    /** Tasks of which a next attempt was made though the one before had not ended, or one attempt was given to two agents. */
    private List<String> twoLive() {
        List<String> found = new ArrayList<>();
        assignedByTask.forEach((taskId, attempts) -> {
            boolean shared = attempts.values().stream()
                    .anyMatch(given ->
                            given.stream().map(Assigned::agentId).distinct().count() > 1);
            boolean early = attempts.keySet().stream().anyMatch(attempt -> !mayStart(taskId, attempt));
            if (shared || early) {
                found.add(taskId);
            }
        });
        return found;
    }

    /** Whether each attempt before had ended without success, its agent had gone, or its time was over. */
    private boolean mayStart(String taskId, int attempt) {
        if (attempt == 1) {
            return true;
        }
        List<Assigned> before = assignedByTask.get(taskId).getOrDefault(attempt - 1, List.of());
        long queuedAt = queuedByTask.getOrDefault(taskId, new TreeMap<>()).getOrDefault(attempt, 0L);
        return before.stream().allMatch(given -> hasEnded(given, queuedAt) && !wasCompleted(given, queuedAt));
    }

    /** Whether an attempt was reported as completed in time, and well before another was made. */
    private boolean wasCompleted(Assigned given, long at) {
        return endsOf(given).stream()
                .anyMatch(end -> end.status() == TaskResult.Status.COMPLETED
                        && end.at() <= given.at() + given.timeoutSeconds() * 1_000L
                        && end.at() + SLACK_MS <= at
                        && !wasGone(given.agentId(), given.at(), end.at()));
    }

    private boolean hasEnded(Assigned given, long at) {
        return endsOf(given).stream().anyMatch(end -> end.at() <= at)
                || at >= given.at() + given.timeoutSeconds() * 1_000L
                || wasGone(given.agentId(), given.at(), at);
    }

    private List<Reported> endsOf(Assigned given) {
        return endsByTask.getOrDefault(given.taskId(), Map.of()).getOrDefault(given.attempt(), List.of()).stream()
                .filter(end -> end.agentId().equals(given.agentId()))
                .toList();
    }

    /** Whether an agent left, or was silent for too long, at some time between two. */
    private boolean wasGone(String agentId, long from, long to) {
        long heard = Long.MIN_VALUE;
        for (HeartbeatRecord beat : heartbeatsByAgent.getOrDefault(agentId, List.of())) {
            if (beat.at() > to) {
                break;
            }
            if (beat.at() >= from && (beat.leaves() || wasSilent(heard, beat.at()))) {
                return true;
            }
            heard = beat.at();
        }
        return wasSilent(heard, to);
    }

    private boolean wasSilent(long heard, long until) {
        return heard != Long.MIN_VALUE && until - heard >= heartbeatTimeoutMs - SLACK_MS;
    }

    private void repeated(Set<String> illegalAttempts, List<String> twice, List<String> again) {
        Map<String, List<Ledger.Line>> finished = evidence.ledger().stream()
                .filter(line -> line.what() == Ledger.EventType.FINISHED)
                .collect(Collectors.groupingBy(Ledger.Line::taskId, LinkedHashMap::new, Collectors.toList()));
        finished.forEach((taskId, lines) -> {
            if (lines.size() > 1) {
                boolean sameProcess = lines.stream()
                                .map(line -> line.attempt() + " " + line.by() + " " + line.process())
                                .distinct()
                                .count()
                        < lines.size();
                (sameProcess || illegalAttempts.contains(taskId) ? twice : again).add(taskId);
            }
        });
    }

    /** Agents that held more than their capacity: given, and neither reported nor given to others. */
    private List<String> overCapacity() {
        record Change(long at, int by) {}
        Map<String, List<Change>> changes = new HashMap<>();
        assignedByTask.forEach((taskId, attempts) -> attempts.forEach((attempt, given) -> {
            Assigned first = given.get(0);
            List<Change> ofAgent = changes.computeIfAbsent(first.agentId(), id -> new ArrayList<>());
            // Not since it was assigned: a result may have come after that round began, and made the room in it.
            ofAgent.add(new Change(first.publishedAt(), 1));
            long end = endsOf(first).stream().mapToLong(Reported::at).min().orElse(Long.MAX_VALUE);
            end = Math.min(
                    end, queuedByTask.getOrDefault(taskId, new TreeMap<>()).getOrDefault(attempt + 1, Long.MAX_VALUE));
            end = Math.min(end, deadLettered.getOrDefault(taskId, Long.MAX_VALUE));
            if (end != Long.MAX_VALUE) {
                ofAgent.add(new Change(end, -1));
            }
        }));
        List<String> found = new ArrayList<>();
        changes.forEach((agentId, ofAgent) -> {
            int capacity = heartbeatsByAgent.getOrDefault(agentId, List.of()).stream()
                    .mapToInt(HeartbeatRecord::capacity)
                    .max()
                    .orElse(0);
            ofAgent.sort(Comparator.comparingLong(Change::at).thenComparingInt(Change::by));
            int held = 0;
            int most = 0;
            for (Change change : ofAgent) {
                held += change.by();
                most = Math.max(most, held);
            }
            if (most > capacity) {
                found.add(agentId + " held " + most + " of " + capacity);
            }
        });
        return found;
    }

    /** The longest time in which something waited that had never been given to anyone, and nothing was given to anyone. */
    private long longestPauseMs() {
        record Moment(long at, int waiting, boolean given) {}
        List<Moment> moments = new ArrayList<>();
        queuedByTask.forEach((taskId, attempts) -> {
            Long queuedAt = attempts.get(1);
            Long givenAt = firstAssignedAt(taskId);
            if (queuedAt != null && queuedAt >= from && givenAt != null) {
                moments.add(new Moment(queuedAt, 1, false));
                moments.add(new Moment(Math.max(queuedAt, givenAt), -1, true));
            }
        });
        evidence.assigned().forEach(given -> moments.add(new Moment(given.at(), 0, true)));
        moments.sort(Comparator.comparingLong(Moment::at).thenComparing(Moment::given));
        long longest = 0;
        long since = 0;
        int waiting = 0;
        for (Moment moment : moments) {
            if (waiting > 0) {
                longest = Math.max(longest, moment.at() - since);
            }
            if (moment.given() || waiting == 0) {
                since = moment.at();
            }
            waiting += moment.waiting();
        }
        return longest;
    }

    private long longestWaitMs() {
        return queuedByTask.entrySet().stream()
                .filter(entry ->
                        entry.getValue().getOrDefault(1, -1L) >= from && firstAssignedAt(entry.getKey()) != null)
                .mapToLong(entry ->
                        firstAssignedAt(entry.getKey()) - entry.getValue().get(1))
                .max()
                .orElse(0);
    }

    private Long firstAssignedAt(String taskId) {
        return assignedByTask.getOrDefault(taskId, Map.of()).values().stream()
                .flatMap(List::stream)
                .map(Assigned::at)
                .min(Long::compare)
                .orElse(null);
    }
}
