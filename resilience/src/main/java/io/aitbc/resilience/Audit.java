package io.aitbc.resilience;

import io.aitbc.contracts.TaskEvent;
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

/** Checks the evidence of a run against the guarantees. A pure function. */
final class Audit {
    /** Heartbeats are sent every second, and staleness is detected within about a second. */
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
     * @param tasks number of accepted tasks
     * @param lost accepted tasks that were neither completed nor dead-lettered
     * @param twice tasks completed more than once although no agent had died, gone silent, or missed a deadline
     * @param again tasks completed more than once for one of these reasons, which is unavoidable
     * @param twoLive tasks with two live attempts, or with one attempt at two agents
     * @param overCapacity agents that were assigned more than their capacity or their resources, and limits that were exceeded
     * @param missingEvents ends of tasks, assignments and failures without an event
     * @param longestPauseMs longest time without any assignment while tasks were waiting, after warm-up
     * @param longestWaitMs longest time from acceptance to first assignment of a task, after warm-up
     */
    record Findings(
            int tasks,
            List<String> lost,
            List<String> twice,
            List<String> again,
            List<String> twoLive,
            List<String> overCapacity,
            List<String> missingEvents,
            long longestPauseMs,
            long longestWaitMs) {
        boolean areClean() {
            return lost.isEmpty()
                    && twice.isEmpty()
                    && twoLive.isEmpty()
                    && overCapacity.isEmpty()
                    && missingEvents.isEmpty();
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

    /** @param from end of warm-up, in epoch ms; tasks accepted earlier do not count towards pauses and waits */
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
                accepted.size(),
                lost,
                twice,
                again,
                twoLive,
                overCapacity(),
                missingEvents(accepted),
                longestPauseMs(),
                longestWaitMs());
    }

    /** Steps of accepted tasks without an event: each task must have an end, each attempt its assignment, each dead letter a failure. */
    private List<String> missingEvents(Set<String> accepted) {
        Set<Evidence.Event> published = new HashSet<>(evidence.events());
        Set<String> ended = published.stream()
                .filter(event -> event.kind().isEnd())
                .map(Evidence.Event::taskId)
                .collect(Collectors.toSet());
        List<String> missingEvents = new ArrayList<>();
        accepted.stream().filter(id -> !ended.contains(id)).forEach(id -> missingEvents.add(id + ": its end"));
        evidence.assigned().stream()
                .filter(one -> accepted.contains(one.taskId()))
                .filter(one ->
                        !published.contains(new Evidence.Event(one.taskId(), one.attempt(), TaskEvent.Kind.ASSIGNED)))
                .forEach(one -> missingEvents.add(one.taskId() + ": assignment of attempt " + one.attempt()));
        Set<String> failed = published.stream()
                .filter(event -> event.kind() == TaskEvent.Kind.FAILED)
                .map(Evidence.Event::taskId)
                .collect(Collectors.toSet());
        deadLettered.keySet().stream()
                .filter(id -> accepted.contains(id) && !failed.contains(id))
                .forEach(id -> missingEvents.add(id + ": its failure"));
        missingEvents.sort(null);
        return missingEvents;
    }

    private Set<String> tasks(Ledger.EventType what) {
        return evidence.ledger().stream()
                .filter(line -> line.what() == what)
                .map(Ledger.Line::taskId)
                .collect(Collectors.toSet());
    }

    /** Returns tasks whose next attempt was assigned before the previous one had ended, or with one attempt assigned to two agents. */
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

    /** Returns whether the previous attempt had failed, lost its agent, or timed out before this one was queued. */
    private boolean mayStart(String taskId, int attempt) {
        if (attempt == 1) {
            return true;
        }
        List<Assigned> before = assignedByTask.get(taskId).getOrDefault(attempt - 1, List.of());
        long queuedAt = queuedByTask.getOrDefault(taskId, new TreeMap<>()).getOrDefault(attempt, 0L);
        return before.stream().allMatch(given -> hasEnded(given, queuedAt) && !wasCompleted(given, queuedAt));
    }

    /** Returns whether a live agent reported an attempt as completed within its timeout and well before the next one was queued. */
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

    /** Returns whether an agent deregistered, or was silent beyond the heartbeat timeout, between two times. */
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

    /** Returns agents with more assignments in flight (neither reported nor requeued) than their capacity. */
    private List<String> overCapacity() {
        Map<String, List<Change>> byAgent = new TreeMap<>();
        Map<String, List<Change>> byLimit = new TreeMap<>();
        Map<String, List<Change>> byResource = new TreeMap<>();
        assignedByTask.forEach((taskId, attempts) -> attempts.forEach((attempt, given) -> {
            Assigned first = given.get(0);
            addLive(first, 1, byAgent.computeIfAbsent(first.agentId(), id -> new ArrayList<>()));
            first.uses()
                    .forEach((limit, units) ->
                            addLive(first, units, byLimit.computeIfAbsent(limit, name -> new ArrayList<>())));
            addLive(first, first.taken(), byResource.computeIfAbsent(first.agentId(), id -> new ArrayList<>()));
        }));
        List<String> found = new ArrayList<>();
        byAgent.forEach((agentId, changes) -> {
            int capacity = heartbeatsByAgent.getOrDefault(agentId, List.of()).stream()
                    .mapToInt(HeartbeatRecord::capacity)
                    .max()
                    .orElse(0);
            if (most(changes) > capacity) {
                found.add(agentId + " held " + most(changes) + " of " + capacity);
            }
        });
        byLimit.forEach((limit, changes) -> {
            if (most(changes) > ProducerProcess.CONCURRENCY) {
                found.add(most(changes) + " units of " + limit + " were held, of " + ProducerProcess.CONCURRENCY);
            }
        });
        byResource.forEach((agentId, changes) -> {
            if (most(changes) > 1_000 * ProducerProcess.PER_AGENT) {
                found.add(most(changes) + " thousandths of a " + ProducerProcess.RESOURCE + " were taken from "
                        + agentId + ", which has " + ProducerProcess.PER_AGENT);
            }
        });
        return found;
    }

    private record Change(long at, long by) {}

    /** Adds when an attempt begins to be live, and when it ends. */
    private void addLive(Assigned given, long units, List<Change> changes) {
        // Not assignedAt, the start of the round: a result that arrived during the round may have freed the slot.
        changes.add(new Change(given.publishedAt(), units));
        long end = endsOf(given).stream().mapToLong(Reported::at).min().orElse(Long.MAX_VALUE);
        end = Math.min(
                end,
                queuedByTask
                        .getOrDefault(given.taskId(), new TreeMap<>())
                        .getOrDefault(given.attempt() + 1, Long.MAX_VALUE));
        end = Math.min(end, deadLettered.getOrDefault(given.taskId(), Long.MAX_VALUE));
        if (end != Long.MAX_VALUE) {
            changes.add(new Change(end, -units));
        }
    }

    private static long most(List<Change> changes) {
        long held = 0;
        long most = 0;
        for (Change change : changes.stream()
                .sorted(Comparator.comparingLong(Change::at).thenComparingLong(Change::by))
                .toList()) {
            held += change.by();
            most = Math.max(most, held);
        }
        return most;
    }

    /** Returns the longest time without any assignment while a task was waiting for its first one. */
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
