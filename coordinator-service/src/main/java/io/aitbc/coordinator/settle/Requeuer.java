package io.aitbc.coordinator.settle;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Ids;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Task;
import io.aitbc.contracts.TaskEvent;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.deadletter.DeadLetters;
import io.aitbc.coordinator.event.TaskEvents;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.match.WaitingTask;
import io.aitbc.coordinator.queue.TaskArchive;
import io.aitbc.coordinator.queue.TaskQueue;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.random.RandomGenerator;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Requeues the tasks of unsuccessful attempts, or dead-letters them after their last attempt.
 *
 * <p>A task to be retried is appended to its queue first and its attempt released afterwards. A permanently failed task is fenced first,
 * then its dead letter is written, then it is released. Either way a crash in between repeats the step. The order differs because the
 * reservation drops a duplicate record of a task, whereas nothing drops a duplicate dead letter.
 */
final class Requeuer {
    /**
     * How long to search for an assignment that is missing in Kafka and whose task record is unknown. Its reservation may be ahead of its
     * publication, and the owner of the record is asked to publish it.
     */
    private static final Duration MISSING_TIMEOUT = Duration.ofMinutes(15);

    private static final int MAX_MISSING = 10_000;

    private final Attempts attempts;
    private final TaskQueue queue;
    private final TaskArchive tasks;
    private final DeadLetters deadLetters;
    private final TaskEvents events;
    private final Topics topics;
    private final SettleSettings settings;
    private final SettleMeters meters;
    private final Clock clock;
    private final RandomGenerator random;
    /** Assignments that were not found, and since when. Bounded: the oldest entries are dropped, and their search starts again. */
    private final Map<String, Instant> missingSince = new LinkedHashMap<>() {
        @Override
        protected boolean removeEldestEntry(Map.Entry<String, Instant> eldest) {
            return size() > MAX_MISSING;
        }
    };

    Requeuer(
            Attempts attempts,
            TaskQueue queue,
            TaskArchive tasks,
            DeadLetters deadLetters,
            TaskEvents events,
            Topics topics,
            SettleSettings settings,
            SettleMeters meters,
            Clock clock,
            RandomGenerator random) {
        this.attempts = attempts;
        this.queue = queue;
        this.tasks = tasks;
        this.deadLetters = deadLetters;
        this.events = events;
        this.topics = topics;
        this.settings = settings;
        this.meters = meters;
        this.clock = clock;
        this.random = random;
    }

    /**
     * An unsuccessful attempt.
     *
     * @param error the reason, as JSON
     * @param limits what its agent reported about limits; null if nothing
     */
    record FailedAttempt(
            Attempts.HeldAttempt held,
            RetryDecision.Failure failure,
            String error,
            Attempts.@Nullable LimitReport limits) {
        /** An attempt that its agent did not report about. */
        FailedAttempt(Attempts.HeldAttempt held, RetryDecision.Failure failure, String error) {
            this(held, failure, error, null);
        }
    }

    /**
     * Requeues or dead-letters tasks and releases their attempts; returns when done. Idempotent.
     *
     * @return false if some are still on their way to their agent, and must be requeued later
     */
    boolean requeue(List<FailedAttempt> failedAttempts, AssignmentArchive archive) throws InterruptedException {
        if (failedAttempts.isEmpty()) {
            return true;
        }
        Set<String> withoutTopic = attempts.withoutTopic(
                failedAttempts.stream().map(ended -> ended.held().agentId()).collect(Collectors.toSet()));
        // One group for each topic to read.
        Map<String, List<FailedAttempt>> byTopic = failedAttempts.stream().collect(Collectors.groupingBy(ended -> {
            String agentId = ended.held().agentId();
            return withoutTopic.contains(agentId) ? Ids.SHARED_ASSIGNMENTS : agentId;
        }));
        boolean all = true;
        for (Map.Entry<String, List<FailedAttempt>> group : byTopic.entrySet()) {
            all &= requeueGroup(group.getKey(), group.getValue(), archive);
        }
        return all;
    }

    /** @param topic the agent, or {@link Ids#SHARED_ASSIGNMENTS} for agents without a topic of their own */
    private boolean requeueGroup(String topic, List<FailedAttempt> failedAttempts, AssignmentArchive archive)
            throws InterruptedException {
        Instant now = clock.instant();
        Payloads payloads = payloads(topic, failedAttempts, archive, now);
        List<String> unpublished = new ArrayList<>();
        Map<FailedAttempt, Task> retries = new LinkedHashMap<>();
        List<FailedAttempt> withoutSuccessor = new ArrayList<>();
        for (FailedAttempt ended : failedAttempts) {
            AssignmentArchive.Archived found = payloads.found().get(ended);
            if (found == null && !payloads.lost().contains(ended)) {
                unpublished.add(ended.held().taskId());
                continue;
            }
            Task retry = found == null
                    ? null
                    : RetryDecision.after(found.assignment(), ended.failure(), now, settings, random)
                            .retry();
            if (retry != null) {
                retries.put(ended, retry);
            } else {
                withoutSuccessor.add(ended);
            }
        }
        List<Boolean> fenced = attempts.fence(
                withoutSuccessor.stream().map(FailedAttempt::held).toList());
        List<FailedAttempt> failed = IntStream.range(0, fenced.size())
                .filter(fenced::get)
                .mapToObj(withoutSuccessor::get)
                .toList();
        publish(payloads, retries, failed, now);
        Map<FailedAttempt, CompletableFuture<Attempts.@Nullable Requeued>> appended = new LinkedHashMap<>();
        // Append before release, so that a crash in between repeats the step. If a result comes first after all, the
        // reservation finds that the task has ended.
        retries.forEach((ended, retry) -> {
            AssignmentArchive.Archived found =
                    Objects.requireNonNull(payloads.found().get(ended));
            appended.put(
                    ended,
                    queue.append(retry, found.assignment().priority(), found.trace())
                            .thenApply(position -> new Attempts.Requeued(retry, position)));
        });
        for (FailedAttempt ended : failed) {
            appended.put(ended, deadLetter(ended, payloads.found().get(ended)).thenApply(done -> null));
        }
        List<Attempts.Released> released = new ArrayList<>();
        try {
            appended.forEach((ended, next) -> released.add(new Attempts.Released(
                    ended.held(), ended.error(), next.join(), ended.failure().isReported(), ended.limits())));
        } catch (CompletionException e) {
            throw e.getCause() instanceof RuntimeException cause ? cause : e;
        }
        if (!unpublished.isEmpty()) {
            attempts.publishUnpublished(unpublished);
        }
        List<Boolean> wereLive = attempts.release(released, now);
        int i = 0;
        for (FailedAttempt ended : appended.keySet()) {
            if (wereLive.get(i)) {
                meters.attemptEnded(ended.failure().reason(), released.get(i).next() != null);
            }
            i++;
        }
        return unpublished.isEmpty();
    }

    /**
     * Publishes the failures of attempts, before the next attempts and the dead letters are appended: once another attempt is granted, a crash no
     * longer repeats this step, and the event would be lost.
     */
    private void publish(Payloads payloads, Map<FailedAttempt, Task> retries, List<FailedAttempt> failed, Instant now)
            throws InterruptedException {
        List<TaskEvent> happened = new ArrayList<>();
        Map<String, Integer> reports = attempts.progressReports(Stream.concat(
                        retries.keySet().stream(), failed.stream())
                .collect(Collectors.toMap(
                        ended -> ended.held().taskId(), ended -> ended.held().attempt(), Math::max)));
        Stream.concat(retries.keySet().stream(), failed.stream()).forEach(ended -> {
            AssignmentArchive.Archived found = payloads.found().get(ended);
            Attempts.HeldAttempt held = ended.held();
            String reason = "payload_lost";
            if (found != null) {
                Assignment assignment = found.assignment();
                // Again: the coordinator that granted it may have died before it published the event.
                happened.add(TaskEvent.assigned(
                        assignment.task(), assignment.priority(), assignment.agentId(), assignment.assignedAt()));
                reason = ended.failure().reason().name().toLowerCase(Locale.ROOT);
            }
            happened.add(TaskEvent.failed(
                            held.taskId(),
                            held.attempt(),
                            held.agentId(),
                            held.assignedAt().equals(Instant.EPOCH) ? null : held.assignedAt(),
                            reason,
                            Json.MAPPER.readTree(ended.error()),
                            retries.get(ended),
                            now)
                    .withProgressReports(reports.getOrDefault(held.taskId(), 0)));
        });
        TaskEvents.await(events.publish(happened));
    }

    private CompletableFuture<Void> deadLetter(FailedAttempt ended, AssignmentArchive.@Nullable Archived found) {
        if (found == null) {
            return deadLetters.payloadLost(
                    ended.held().taskId(), topics.assignments(ended.held().agentId()));
        }
        Assignment payload = found.assignment();
        String detail = sentence(ended, payload);
        return ended.failure().retryable()
                ? deadLetters.exhausted(payload.task(), payload.priority(), detail, found.trace())
                : deadLetters.notRetryable(payload.task(), payload.priority(), detail, found.trace());
    }

    /**
     * The payloads of assignments.
     *
     * @param lost those that will never be found: acknowledged by Kafka, but found neither in the agent's topic nor in the task's queue
     */
    private record Payloads(Map<FailedAttempt, AssignmentArchive.Archived> found, Set<FailedAttempt> lost) {}

    /** Finds payloads in the agent's topic or, if gone there, in the task queues. */
    private Payloads payloads(String topic, List<FailedAttempt> failedAttempts, AssignmentArchive archive, Instant now)
            throws InterruptedException {
        Map<FailedAttempt, AssignmentArchive.Archived> found = published(topic, failedAttempts, archive);
        Set<FailedAttempt> lost = new HashSet<>();
        Map<Position, FailedAttempt> missing = new HashMap<>();
        for (FailedAttempt ended : failedAttempts) {
            if (found.containsKey(ended)) {
                continue;
            }
            if (ended.held().origin() != null) {
                missing.put(ended.held().origin(), ended);
            }
            Instant missed = missingSince.computeIfAbsent(ended.held().assignmentId(), id -> now);
            if (missed.plus(MISSING_TIMEOUT).isBefore(now)) {
                missingSince.remove(ended.held().assignmentId());
                lost.add(ended);
            }
        }
        if (missing.isEmpty()) {
            return new Payloads(found, lost);
        }
        // A record that is not done is on its way to the agent: its owner publishes it. Queried only once, so that a
        // record finished meanwhile is not taken for lost.
        missing.keySet().retainAll(tasks.done(missing.keySet()));
        if (!missing.isEmpty()) {
            // Published since the agent's topic was read.
            found.putAll(published(topic, List.copyOf(missing.values()), archive));
            missing.values().removeAll(found.keySet());
            lost.addAll(missing.values());
            tasks.read(missing.keySet()).forEach((position, task) -> {
                FailedAttempt ended = Objects.requireNonNull(missing.get(position));
                // A re-created topic has other records at the same offsets.
                if (task.id().equals(ended.held().taskId())
                        && task.task().attempt() == ended.held().attempt()) {
                    found.put(ended, archived(ended, task));
                }
            });
        }
        lost.removeAll(found.keySet());
        return new Payloads(found, lost);
    }

    private static Map<FailedAttempt, AssignmentArchive.Archived> published(
            String topic, List<FailedAttempt> failedAttempts, AssignmentArchive archive) {
        Map<FailedAttempt, AssignmentArchive.Archived> found = new HashMap<>();
        if (!failedAttempts.isEmpty()) {
            Instant since = failedAttempts.stream()
                    .map(ended -> ended.held().assignedAt())
                    .min(Instant::compareTo)
                    .orElseThrow();
            Set<String> ids = failedAttempts.stream()
                    .map(ended -> ended.held().assignmentId())
                    .collect(Collectors.toSet());
            Map<String, AssignmentArchive.Archived> archived;
            if (topic.equals(Ids.SHARED_ASSIGNMENTS)) {
                Set<String> agentIds = failedAttempts.stream()
                        .map(ended -> ended.held().agentId())
                        .collect(Collectors.toSet());
                archived = archive.findShared(agentIds, ids, since);
            } else {
                archived = archive.find(topic, ids, since);
            }
            for (FailedAttempt ended : failedAttempts) {
                AssignmentArchive.Archived one = archived.get(ended.held().assignmentId());
                if (one != null) {
                    found.put(ended, one);
                }
            }
        }
        return found;
    }

    private static AssignmentArchive.Archived archived(FailedAttempt ended, WaitingTask task) {
        Attempts.HeldAttempt held = ended.held();
        return new AssignmentArchive.Archived(
                Assignment.of(task.task(), task.position().priority(), held.agentId(), held.assignedAt()),
                task.trace());
    }

    private static String sentence(FailedAttempt ended, Assignment payload) {
        return "attempt " + payload.attempt() + " of " + payload.maxAttempts() + " ended as "
                + ended.failure().reason().name().toLowerCase(Locale.ROOT) + ": "
                + Json.MAPPER.readTree(ended.error()).asString(ended.error());
    }
}
