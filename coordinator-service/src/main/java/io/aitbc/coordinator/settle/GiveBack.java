package io.aitbc.coordinator.settle;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Task;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.intake.DeadLetters;
import io.aitbc.coordinator.intake.TaskQueue;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.random.RandomGenerator;
import java.util.stream.Collectors;

/** Gives the tasks of attempts that ended without success another attempt, or sets them aside when they have had their last. */
final class GiveBack {
    /**
     * For how long an assignment is looked for, once Kafka answers that it is not there: a reservation may be ahead of its
     * publication, and whoever has the record is told to publish it.
     */
    private static final Duration PATIENCE = Duration.ofMinutes(15);

    private static final int MOST_MISSING = 10_000;

    private final Attempts attempts;
    private final TaskQueue queue;
    private final DeadLetters deadLetters;
    private final Topics topics;
    private final SettleSettings settings;
    private final SettleMeters meters;
    private final Clock clock;
    private final RandomGenerator random;
    /** Assignments that were not found: since when. The oldest are forgotten, and so looked for anew. */
    private final Map<String, Instant> missingSince = new LinkedHashMap<>() {
        @Override
        protected boolean removeEldestEntry(Map.Entry<String, Instant> eldest) {
            return size() > MOST_MISSING;
        }
    };

    GiveBack(
            Attempts attempts,
            TaskQueue queue,
            DeadLetters deadLetters,
            Topics topics,
            SettleSettings settings,
            SettleMeters meters,
            Clock clock,
            RandomGenerator random) {
        this.attempts = attempts;
        this.queue = queue;
        this.deadLetters = deadLetters;
        this.topics = topics;
        this.settings = settings;
        this.meters = meters;
        this.clock = clock;
        this.random = random;
    }

    /**
     * An attempt that has ended without success.
     *
     * @param error why, as JSON
     */
    record Ended(Attempts.Held held, NextStep.Ending ending, String error) {}

    /**
     * Returns once all that can be are appended and released. Safe to repeat.
     *
     * @return false if some are still on their way to their agent, and have to be given back later
     */
    boolean giveBack(List<Ended> endings, AssignmentArchive archive) {
        Map<String, List<Ended>> byAgent = endings.stream()
                .collect(Collectors.groupingBy(ended -> ended.held().agentId()));
        boolean all = true;
        for (Map.Entry<String, List<Ended>> ofAgent : byAgent.entrySet()) {
            all &= giveBack(ofAgent.getKey(), ofAgent.getValue(), archive);
        }
        return all;
    }

    private boolean giveBack(String agentId, List<Ended> endings, AssignmentArchive archive) {
        Instant since = endings.stream()
                .map(ended -> ended.held().assignedAt())
                .min(Instant::compareTo)
                .orElseThrow();
        Map<String, AssignmentArchive.Archived> archived = archive.find(
                agentId, endings.stream().map(GiveBack::assignmentId).collect(Collectors.toSet()), since);
        Instant now = clock.instant();
        Map<Ended, Integer> nextAttempts = new HashMap<>();
        List<String> unpublished = new ArrayList<>();
        List<CompletableFuture<Void>> appended = new ArrayList<>();
        for (Ended ended : endings) {
            AssignmentArchive.Archived found = archived.get(assignmentId(ended));
            if (found == null) {
                Instant missed = missingSince.computeIfAbsent(assignmentId(ended), id -> now);
                if (missed.plus(PATIENCE).isBefore(now)) {
                    missingSince.remove(assignmentId(ended));
                    appended.add(deadLetters.payloadLost(ended.held().taskId(), topics.assignments(agentId)));
                    nextAttempts.put(ended, 0);
                } else {
                    unpublished.add(ended.held().taskId());
                }
                continue;
            }
            Assignment payload = found.assignment();
            Task again = NextStep.after(payload, ended.ending(), now, settings, random)
                    .again();
            nextAttempts.put(ended, again == null ? 0 : again.attempt());
            appended.add(
                    again == null
                            ? deadLetters.exhausted(
                                    payload.task(), payload.priority(), sentence(ended, payload), found.trace())
                            : queue.append(again, payload.priority(), found.trace()));
        }
        try {
            CompletableFuture.allOf(appended.toArray(CompletableFuture[]::new)).join();
        } catch (CompletionException e) {
            throw e.getCause() instanceof RuntimeException cause ? cause : e;
        }
        if (!unpublished.isEmpty()) {
            attempts.tellUnpublished(unpublished);
        }
        nextAttempts.forEach((ended, next) -> {
            if (attempts.release(ended.held(), next, ended.error(), now)) {
                meters.givenBack(ended.ending(), next > 0);
            }
        });
        return nextAttempts.size() == endings.size();
    }

    private static String assignmentId(Ended ended) {
        return Assignment.id(ended.held().taskId(), ended.held().attempt());
    }

    private static String sentence(Ended ended, Assignment payload) {
        return "attempt " + payload.attempt() + " of " + payload.maxAttempts() + " ended as "
                + ended.ending().name().toLowerCase(Locale.ROOT) + ": "
                + Json.MAPPER.readTree(ended.error()).asString(ended.error());
    }
}
