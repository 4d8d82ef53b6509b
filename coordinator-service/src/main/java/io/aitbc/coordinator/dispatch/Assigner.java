package io.aitbc.coordinator.dispatch;

import io.aitbc.contracts.TaskStatus;
import io.aitbc.coordinator.assign.Verdict;
import io.aitbc.coordinator.background.ThrottledWarning;
import io.aitbc.coordinator.match.Matcher;
import io.aitbc.coordinator.match.Placement;
import io.aitbc.coordinator.match.WaitingTask;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Assigns the waiting tasks of a lane in batches: placed by the matcher, reserved in Redis, and published to their agents. A reservation
 * whose answer was lost, or whose publication failed, is verified by repeating it.
 */
final class Assigner {
    private static final Logger log = LoggerFactory.getLogger(Assigner.class);

    /** Maximum number of concurrent batches in Redis: enough to keep it busy, few enough that views stay fresh. */
    private static final int MAX_PENDING_BATCHES = 4;

    /**
     * Target number of tasks per agent in a large batch: costs per agent, in Redis, Kafka and other coordinators, dominate if each agent
     * gets a single task.
     */
    private static final int TASKS_PER_AGENT = 4;

    private static final Duration REPUBLISH_INTERVAL = Duration.ofSeconds(1);

    private final Matcher matcher;
    private final OwnedPartitions partitions;
    private final Unrecorded unrecorded;
    private final SideEffects effects;
    private final PendingRequests pendingRequests;
    private final Backoff backoff;
    private final LaneClock clock;
    private final int batch;
    /** Newly read tasks that an agent may have already. */
    private final Set<WaitingTask> inherited = Collections.newSetFromMap(new IdentityHashMap<>());
    /** Ids of tasks that may wait here although an agent is recorded as holding them. */
    private final Set<String> unpublished = new HashSet<>();
    /** Tasks that may have an agent, pending a check; they are in no backlog. */
    private final List<WaitingTask> unverified = new ArrayList<>();

    private final ThrottledWarning notPublished =
            new ThrottledWarning(log, "{} assignments could not be published: {}");
    private Instant nextVerification = Instant.EPOCH;
    private int pendingBatches;
    /** Whether the last batch had the maximum size, so that there may be more to place. */
    private boolean full;

    Assigner(
            Matcher matcher,
            OwnedPartitions partitions,
            Unrecorded unrecorded,
            SideEffects effects,
            PendingRequests pendingRequests,
            Backoff backoff,
            LaneClock clock,
            int batch) {
        this.matcher = matcher;
        this.partitions = partitions;
        this.unrecorded = unrecorded;
        this.effects = effects;
        this.pendingRequests = pendingRequests;
        this.backoff = backoff;
        this.clock = clock;
        this.batch = batch;
    }

    /** Registers a newly read task that an agent may have already: its reservation is verified before it waits. */
    void inherited(WaitingTask task) {
        inherited.add(task);
    }

    /** Schedules publication of tasks that wait here although an agent is recorded as holding them: it never received them. */
    void unpublished(Collection<String> taskIds) {
        unpublished.addAll(taskIds);
    }

    void lost(Set<OwnedPartition.Id> ids) {
        inherited.removeIf(task -> ids.contains(OwnedPartition.Id.of(task.position())));
        unverified.removeIf(task -> ids.contains(OwnedPartition.Id.of(task.position())));
    }

    /** Forgets requests whose answers will be ignored. */
    void forgetPending() {
        pendingBatches = 0;
        matcher.forgetPlacements();
    }

    void clockSetBack() {
        nextVerification = Instant.EPOCH;
    }

    void flushWarnings() {
        notPublished.flush(clock.now());
    }

    /**
     * Places and reserves a batch.
     *
     * @return whether more can be assigned at once
     */
    boolean assign() {
        // Small batches run one at a time: tasks that arrive meanwhile make the next one larger, and cheaper per task.
        if (pendingBatches >= (full ? MAX_PENDING_BATCHES : 1)) {
            return false;
        }
        int most = Math.max(
                batch, TASKS_PER_AGENT * Math.min(batch, matcher.agents().count()));
        List<Placement> placements = matcher.match(clock.now(), most);
        if (!placements.isEmpty()) {
            unrecorded.placed(clock.now());
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
        pendingRequests.handle(effects.reserve(placements, clock.now()), (verdicts, failure) -> {
            pendingBatches--;
            if (failure == null) {
                backoff.onSuccess();
                verdicts.forEach(this::apply);
                byAgent(verdicts).forEach(this::publish);
            } else {
                backoff.onFailure(failure, clock.now());
                for (Placement placement : placements) {
                    matcher.answerLost(placement);
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

    private void apply(Verdict verdict) {
        if (verdict.ruling() == Verdict.Ruling.FULL) {
            matcher.refused(verdict.placement(), verdict.held());
        } else {
            matcher.answered(verdict.placement(), verdict.held(), verdict.ruling() == Verdict.Ruling.GRANTED);
        }
        WaitingTask waiting = verdict.placement().waiting();
        switch (verdict.ruling()) {
            case GRANTED, LIVE -> {
                // Published below, grouped by agent.
            }
            case ENDED, DUPLICATE -> partitions.finished(waiting.position());
            case FULL -> partitions.addWaiting(waiting, clock.now());
            case UNAVAILABLE -> {
                if (verdict.placement().agentId().isEmpty()) {
                    // No agent has it. Redis may have no record of it either.
                    unrecorded.add(waiting.position());
                } else {
                    // It gets no tasks until the live view reports it again.
                    matcher.agents().remove(verdict.placement().agentId());
                }
                partitions.addWaiting(waiting, clock.now());
            }
        }
    }

    private void publish(Verdict verdict) {
        WaitingTask waiting = verdict.placement().waiting();
        pendingRequests.handle(effects.publish(verdict), (done, failure) -> {
            if (failure == null) {
                partitions.published(waiting.position(), clock.now());
            } else {
                // Reserved but not published: a repeated reservation answers LIVE, and it is published then.
                notPublished.add(waiting.id() + " to " + verdict.agentId() + " (" + failure + ")");
                markUnverified(waiting);
                nextVerification = clock.now().plus(REPUBLISH_INTERVAL);
            }
        });
    }

    /** Ends tasks instead of assigning them. They must not be in the backlog. */
    void end(List<WaitingTask> tasks, TaskStatus status, String clearId) {
        pendingBatches++;
        pendingRequests.handle(effects.endWaiting(tasks, status, clearId, clock.now()), (ended, failure) -> {
            pendingBatches--;
            if (failure != null) {
                backoff.onFailure(failure, clock.now());
                tasks.forEach(task -> partitions.addWaiting(task, clock.now()));
                return;
            }
            for (int i = 0; i < tasks.size(); i++) {
                if (ended.get(i)) {
                    partitions.finished(tasks.get(i).position());
                } else {
                    // Left from before a crash: the reservation will name the agent, and the assignment is published
                    // again.
                    markUnverified(tasks.get(i));
                }
            }
        });
    }

    /** Takes newly read tasks that an agent may have already out of the backlog. */
    void takeInherited() {
        if (!inherited.isEmpty()) {
            unverified.addAll(matcher.backlog().takeIf(inherited::contains));
            inherited.clear();
        }
    }

    /** Takes tasks that an agent is recorded as holding out of the backlog. */
    void takeUnpublished() {
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

    /**
     * Checks tasks that an agent may have already, because the answer to a reservation was lost or its publication failed, here or on the
     * previous owner. They must not wait for a free agent: they may be the ones that fill it.
     */
    void verifyReservations() {
        if (unverified.isEmpty() || clock.now().isBefore(nextVerification) || pendingBatches >= MAX_PENDING_BATCHES) {
            return;
        }
        List<WaitingTask> asked = unverified.subList(0, Math.min(batch, unverified.size()));
        List<Placement> placements =
                asked.stream().map(task -> new Placement(task, "")).toList();
        asked.clear();
        reserve(placements);
    }
}
