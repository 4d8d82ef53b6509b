package io.aitbc.coordinator.dispatch;

import io.aitbc.coordinator.assign.Judgement;
import io.aitbc.coordinator.assign.Verdict;
import io.aitbc.coordinator.background.Problem;
import io.aitbc.coordinator.background.ThrottledWarning;
import io.aitbc.coordinator.match.Matcher;
import io.aitbc.coordinator.match.Placement;
import io.aitbc.coordinator.match.WaitingTask;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
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

    private static final Duration MIN_OUTDATED_PAUSE = Duration.ofMillis(10);
    private static final Duration MAX_OUTDATED_PAUSE = Duration.ofSeconds(1);
    /** The definitions arrive within milliseconds, or, after Redis was emptied, within seconds. */
    private static final Duration MAX_OUTDATED = Duration.ofSeconds(15);

    private final Matcher matcher;
    private final OwnedPartitions partitions;
    private final Waiting waiting;
    private final Unverified unverified;
    private final Unrecorded unrecorded;
    private final SideEffects effects;
    private final PendingRequests pendingRequests;
    private final Backoff backoff;
    private final LaneClock clock;
    private final int batch;
    private final ThrottledWarning notPublished =
            new ThrottledWarning(log, "{} assignments could not be published: {}");
    /** Until when nothing is assigned, because definitions of limits have not arrived. */
    private Instant outdatedUntil = Instant.EPOCH;

    private Duration outdatedPause = MIN_OUTDATED_PAUSE;
    /** Since when; {@link Instant#MAX} if it is not so. */
    private Instant outdatedSince = Instant.MAX;

    private int pendingBatches;
    /** Whether the last batch had the maximum size, so that there may be more to place. */
    private boolean full;

    Assigner(
            Matcher matcher,
            OwnedPartitions partitions,
            Waiting waiting,
            Unverified unverified,
            Unrecorded unrecorded,
            SideEffects effects,
            PendingRequests pendingRequests,
            Backoff backoff,
            LaneClock clock,
            int batch) {
        this.matcher = matcher;
        this.partitions = partitions;
        this.waiting = waiting;
        this.unverified = unverified;
        this.unrecorded = unrecorded;
        this.effects = effects;
        this.pendingRequests = pendingRequests;
        this.backoff = backoff;
        this.clock = clock;
        this.batch = batch;
    }

    /** Forgets requests whose answers will be ignored. */
    void forgetPending() {
        pendingBatches = 0;
        matcher.forgetPlacements();
    }

    void clockSetBack() {
        outdatedUntil = Instant.EPOCH;
    }

    void flushWarnings() {
        notPublished.flush(clock.now());
    }

    /** Why nothing is assigned, apart from short pauses. */
    List<Problem> problems() {
        return outdatedSince.equals(Instant.MAX) || clock.now().isBefore(outdatedSince.plus(MAX_OUTDATED))
                ? List.of()
                : List.of(new Problem(
                        "since " + outdatedSince
                                + " nothing has been assigned: Redis goes by other definitions of limits than those read from Kafka. If one of them was"
                                + " restored from an old copy, delete the key limits:version in Redis.",
                        false));
    }

    /** Whether a batch may be placed now. */
    boolean canAssign() {
        // Small batches run one at a time: tasks that arrive meanwhile make the next one larger, and cheaper per task.
        return !clock.now().isBefore(outdatedUntil) && pendingBatches < (full ? MAX_PENDING_BATCHES : 1);
    }

    /**
     * Places and reserves a batch.
     *
     * @return whether more can be assigned at once
     */
    boolean assign() {
        if (!canAssign()) {
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
        pendingRequests.handle(
                effects.reserve(placements, matcher.limits().book(), clock.now()), (judgement, failure) -> {
                    pendingBatches--;
                    if (failure == null) {
                        backoff.onSuccess();
                        judgement.verdicts().forEach(this::apply);
                        applyLimits(judgement);
                        pauseIfOutdated(judgement);
                        byAgent(judgement.verdicts()).forEach(this::publish);
                    } else {
                        backoff.onFailure(failure, clock.now());
                        for (Placement placement : placements) {
                            matcher.answerLost(placement);
                            unverified.add(placement.waiting());
                        }
                    }
                });
    }

    /** The definitions arrive within milliseconds, unless Redis or Kafka was restored from an old copy. */
    private void pauseIfOutdated(Judgement judgement) {
        boolean isOutdated =
                judgement.verdicts().stream().anyMatch(verdict -> verdict.ruling() == Verdict.Ruling.OUTDATED);
        if (!isOutdated) {
            outdatedPause = MIN_OUTDATED_PAUSE;
            outdatedSince = Instant.MAX;
            return;
        }
        outdatedSince = outdatedSince.isAfter(clock.now()) ? clock.now() : outdatedSince;
        outdatedUntil = clock.now().plus(outdatedPause);
        Duration doubled = outdatedPause.multipliedBy(2);
        outdatedPause = doubled.compareTo(MAX_OUTDATED_PAUSE) > 0 ? MAX_OUTDATED_PAUSE : doubled;
    }

    private void applyLimits(Judgement judgement) {
        matcher.updateLimits(judgement.limits());
        for (Verdict verdict : judgement.verdicts()) {
            if (verdict.ruling() == Verdict.Ruling.LIMITED) {
                matcher.refused(verdict.placement(), verdict.why(), clock.now());
            }
        }
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
        if (!verdict.isHeld()) {
            matcher.refund(verdict.placement());
        }
        if (verdict.ruling() == Verdict.Ruling.FULL) {
            matcher.refused(verdict.placement(), verdict.held());
        } else {
            matcher.answered(verdict.placement(), verdict.held(), verdict.ruling() == Verdict.Ruling.GRANTED);
        }
        WaitingTask task = verdict.placement().waiting();
        switch (verdict.ruling()) {
            case GRANTED, LIVE -> {
                // Published below, grouped by agent.
            }
            case ENDED, WAS_HELD, CANCELLED, EXPIRED, DUPLICATE -> partitions.finished(task.position());
            case FAILED -> waiting.failed(task, verdict.why());
            case FULL, LIMITED, OUTDATED -> waiting.putBack(task);
            case UNAVAILABLE -> {
                if (verdict.placement().agentId().isEmpty()) {
                    // No agent has it. Redis may have no record of it either.
                    waiting.add(task);
                } else {
                    // It gets no tasks until the live view reports it again.
                    matcher.agents().remove(verdict.placement().agentId());
                    waiting.putBack(task);
                }
            }
        }
    }

    private void publish(Verdict verdict) {
        WaitingTask task = verdict.placement().waiting();
        pendingRequests.handle(effects.publish(verdict), (done, failure) -> {
            if (failure == null) {
                partitions.finished(task.position());
            } else {
                // Reserved but not published: a repeated reservation answers LIVE, and it is published then.
                notPublished.add(task.id() + " to " + verdict.agentId() + " (" + failure + ")");
                unverified.add(task);
                unverified.delay(clock.now());
            }
        });
    }

    /** Checks whether tasks have an agent already. */
    void verifyReservations() {
        if (pendingBatches < MAX_PENDING_BATCHES) {
            List<WaitingTask> asked = unverified.take(batch, clock.now());
            if (!asked.isEmpty()) {
                reserve(asked.stream()
                        .map(task -> new Placement(task, "", Map.of()))
                        .toList());
            }
        }
    }
}
