package io.aitbc.coordinator.push;

import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Claim;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.TaskResult;
import io.aitbc.coordinator.agent.Agent;
import io.aitbc.coordinator.delivery.AssignmentClaims;
import java.time.Duration;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Pushes to one agent. Assignments are claimed for it only while it can be reached and accepts them, so that others get the tasks
 * meanwhile. After a failure, one assignment at a time is tried. Owned by the push thread.
 */
final class PushedAgent {
    private static final Logger log = LoggerFactory.getLogger(PushedAgent.class);

    private static final Duration MIN_BACKOFF = Duration.ofSeconds(1);
    private static final Duration MAX_BACKOFF = Duration.ofSeconds(30);
    /** An agent that requests a longer delay is assigned nothing for that long, and what it was assigned is given back at once. */
    private static final Duration MAX_WAIT = Duration.ofSeconds(30);

    private static final Duration MAX_RETRY_AFTER = Duration.ofMinutes(10);
    /** After this many requests that were not processed, the assignment is given back: about 7 s without {@code Retry-After}. */
    private static final int MAX_UNDELIVERED = 4;

    /** So many tasks in a row whose requests fail are the agent's fault; fewer may be the fault of the tasks. */
    private static final int MAX_SUSPECTS = 3;

    private static final Duration PROBE_BACKOFF = Duration.ofSeconds(3);
    private static final int CLAIM_SECONDS = 10;
    /** Of a claim, and of the assignments that are being pushed to one agent. */
    private static final int MAX_PUSHES = 1_000;

    private static final int MAX_CONFIRMED = 1_000;
    private static final long MAX_PUSHED_BYTES = 32 * 1024 * 1024;
    private static final Duration CONFIRM_INTERVAL = Duration.ofMillis(200);
    private static final Duration CLAIM_BACKOFF = Duration.ofSeconds(1);
    private static final Duration MAX_HEARTBEAT_INTERVAL = Duration.ofSeconds(5);
    /** Claims name a cancellation for a minute. */
    private static final int MAX_NOTIFIED = 20_000;

    private final PushEffects effects;
    private final Duration probeInterval;
    private final Duration heartbeatInterval;
    private final Map<String, Push> pushes = new HashMap<>();
    private long pushedBytes;
    /** Accepted by the agent, and not confirmed to Redis yet. */
    private final Set<String> accepted = new LinkedHashSet<>();
    /** Cancelled assignments about which the agent was notified. */
    private final Set<String> notified = new LinkedHashSet<>();

    private Agent agent;
    /** Outcomes of requests to an earlier endpoint say nothing about this one. */
    private int endpoint;

    private boolean owned = true;

    /** Whether a probe has succeeded, and no request has failed to reach the agent since. */
    private boolean reachable;

    private @Nullable String unreached;
    /** Consecutive failures, of which those within one pause count once. */
    private int failures;

    private long successes;

    private long pausedUntil = System.nanoTime();
    /** As requested by the agent. */
    private long retryAfter = System.nanoTime();

    private boolean probing;
    private long nextProbe = System.nanoTime();

    private boolean answered;
    private long answeredAt = System.nanoTime();
    private long recordedAt = System.nanoTime() - MAX_HEARTBEAT_INTERVAL.toNanos();

    private int openClaims;
    private long nextClaim = System.nanoTime();
    private long nextConfirmation = System.nanoTime();

    /** @param probeInterval how long the agent may be idle before it is probed */
    PushedAgent(Agent agent, Duration probeInterval, PushEffects effects) {
        this.agent = agent;
        this.probeInterval = probeInterval;
        this.heartbeatInterval =
                probeInterval.compareTo(MAX_HEARTBEAT_INTERVAL) < 0 ? probeInterval : MAX_HEARTBEAT_INTERVAL;
        this.effects = effects;
    }

    void update(Agent newer) {
        if (!newer.registration().httpEndpoint().equals(agent.registration().httpEndpoint())) {
            long now = System.nanoTime();
            endpoint++;
            reachable = false;
            unreached = null;
            failures = 0;
            pausedUntil = now;
            retryAfter = now;
            probing = false;
            nextProbe = now;
        }
        agent = newer;
    }

    /** @param now false once another coordinator monitors the agent, or it is gone */
    void setOwned(boolean now) {
        owned = now;
    }

    boolean isGone() {
        return !owned && pushes.isEmpty() && openClaims == 0;
    }

    /** Why the agent cannot be reached; null if it can, or if that is unknown. */
    @Nullable
    String unreached() {
        return unreached;
    }

    /** Whether the agent has answered since the last call; at most once in a few seconds. */
    boolean takeAnswered() {
        long now = System.nanoTime();
        boolean isUrgent = agent.unreached() != null || agent.status() == AgentStatus.STALE;
        if (!answered || !isUrgent && now - recordedAt < heartbeatInterval.toNanos()) {
            return false;
        }
        answered = false;
        recordedAt = now;
        return true;
    }

    /** Sends what is due. */
    void check(long now) {
        for (Push push : List.copyOf(pushes.values())) {
            if (push.state == Push.State.WAITING && !isServed()) {
                // The next owner repeats it, and may have posted it already: it must not be given back here. Or the
                // tasks of the
                // agent were requeued.
                remove(push);
            } else if (push.state != Push.State.BUSY && now - push.dueNanos >= 0) {
                if (push.state == Push.State.WAITING) {
                    repeat(push);
                } else {
                    report(push);
                }
            }
        }
        if (mustProbe(now)) {
            probe();
        }
        if (!mayClaim(now)) {
            if (mustGiveBack(now) && openClaims == 0 && now - nextClaim >= 0) {
                collect(now);
            } else if (openClaims > 0) {
                effects.endClaims(agent.id());
            }
        } else if (now - nextClaim >= 0 && (openClaims == 0 || !accepted.isEmpty() && now - nextConfirmation >= 0)) {
            claim(now);
        }
    }

    private boolean isServed() {
        return owned && agent.status() != AgentStatus.INACTIVE;
    }

    private boolean mustProbe(long now) {
        return isServed()
                && !probing
                && now - nextProbe >= 0
                && (!reachable || now - answeredAt >= probeInterval.toNanos());
    }

    private void probe() {
        int probed = endpoint;
        probing = true;
        effects.probe(agent, failure -> {
            if (probed == endpoint) {
                onProbe(failure);
            }
        });
    }

    private void onProbe(@Nullable String failure) {
        probing = false;
        long now = System.nanoTime();
        if (failure == null) {
            answered(now);
            nextProbe = now;
            if (!reachable && unreached != null) {
                log.atInfo().addKeyValue("agent_id", agent.id()).log("Agent is reached again");
            }
            reachable = true;
            unreached = null;
        } else {
            nextProbe = now + PROBE_BACKOFF.toNanos();
            unreachable(failure);
        }
    }

    private void answered(long now) {
        answered = true;
        answeredAt = now;
    }

    private void unreachable(String why) {
        if (unreached == null) {
            log.atWarn().addKeyValue("agent_id", agent.id()).log("Agent is unreachable: {}", why);
        }
        reachable = false;
        unreached = why;
    }

    private boolean mayClaim(long now) {
        return isServed()
                && reachable
                && now - pausedUntil >= 0
                && now - retryAfter >= 0
                && (failures == 0 || mayTryAnother())
                && pushes.size() < MAX_PUSHES
                && pushedBytes < MAX_PUSHED_BYTES
                && effects.hasRoom();
    }

    /**
     * After a failure, one assignment at a time shows whether the agent accepts any. One that the agent may be running is live until its
     * deadline, and must not keep it from all others.
     */
    private boolean mayTryAnother() {
        return pushes.values().stream().allMatch(push -> push.state == Push.State.WAITING && push.uncertain > 0)
                && pushes.values().stream()
                                .filter(push -> push.failedAfter == successes)
                                .count()
                        < MAX_SUSPECTS;
    }

    /** The newest failure of a request that is to be repeated, and its assignment; null if there is none. */
    @Nullable
    String failure() {
        return pushes.values().stream()
                .filter(push -> push.failure != null)
                .max(Comparator.comparing(push -> push.failedNanos))
                .map(push -> push.id() + ": " + push.failure)
                .orElse(null);
    }

    /** Whether what was reserved for the agent meanwhile is not to wait for it. */
    private boolean mustGiveBack(long now) {
        return isServed() && (unreached != null || retryAfter - now > MAX_WAIT.toNanos());
    }

    /** Claims what was reserved before the claims ended, to give it back. */
    private void collect(long now) {
        nextClaim = now + PROBE_BACKOFF.toNanos();
        openClaims++;
        Claim claim = new Claim(Math.min(agent.capacity(), MAX_PUSHES), 0, effects.instance(), List.of());
        effects.claim(agent.id(), claim, pushes.keySet(), answer -> onClaimAnswered(answer, List.of()));
    }

    private void claim(long now) {
        int max = failures > 0 ? 1 : Math.min(agent.capacity(), MAX_PUSHES - pushes.size());
        List<String> received = accepted.stream().limit(MAX_CONFIRMED).toList();
        Claim claim = new Claim(max, CLAIM_SECONDS, effects.instance(), received);
        nextConfirmation = now + CONFIRM_INTERVAL.toNanos();
        received.forEach(accepted::remove);
        openClaims++;
        effects.claim(agent.id(), claim, pushes.keySet(), answer -> onClaimAnswered(answer, received));
    }

    private void onClaimAnswered(AssignmentClaims.@Nullable Answer answer, List<String> received) {
        openClaims--;
        long now = System.nanoTime();
        if (answer == null || answer.refusal() != null) {
            accepted.addAll(received);
            nextClaim = now + CLAIM_BACKOFF.toNanos();
            return;
        }
        for (JsonNode json : answer.assignments()) {
            begin((ObjectNode) json, answer.redelivered());
        }
        answer.cancelled().forEach(this::cancel);
        if (openClaims == 0 && mayClaim(now)) {
            claim(now);
        }
    }

    private void begin(ObjectNode json, Set<String> redelivered) {
        Push push = new Push(json, effects.now());
        // It may have been served twice, by a claim and the one that replaced it.
        if (!pushes.containsKey(push.id()) && !accepted.contains(push.id())) {
            if (redelivered.contains(push.id())) {
                // Another coordinator may have posted it.
                push.uncertain = 1;
            }
            pushes.put(push.id(), push);
            pushedBytes += push.body.length;
            effects.added(push);
            if (push.uncertain == 0 && mustGiveBack(System.nanoTime())) {
                giveBack(push, unreached == null ? "it has requested a longer delay" : unreached);
            } else {
                send(push);
            }
        }
    }

    private void cancel(String assignmentId) {
        Push push = pushes.get(assignmentId);
        if (push != null) {
            remove(push);
            if (push.request != null) {
                push.request.cancel(true);
            }
        }
        accepted.remove(assignmentId);
        if (notified.add(assignmentId)) {
            effects.cancel(agent, assignmentId);
            if (notified.size() > MAX_NOTIFIED) {
                notified.remove(notified.iterator().next());
            }
        }
    }

    private void send(Push push) {
        int asked = endpoint;
        push.state = Push.State.BUSY;
        effects.execute(agent, push, outcome -> {
            if (pushes.get(push.id()) == push) {
                onOutcome(push, outcome, asked == endpoint);
            }
        });
    }

    private void repeat(Push push) {
        push.state = Push.State.BUSY;
        effects.checkUnconfirmed(push, isUnconfirmed -> {
            if (pushes.get(push.id()) != push) {
                return;
            }
            if (isUnconfirmed == null) {
                push.waitUntil(Push.State.WAITING, System.nanoTime() + MIN_BACKOFF.toNanos());
            } else if (!isUnconfirmed || effects.now().isAfter(push.assignment.deadline())) {
                // Reported, cancelled or requeued.
                remove(push);
            } else {
                send(push);
            }
        });
    }

    private void remove(Push push) {
        if (pushes.remove(push.id()) != null) {
            pushedBytes -= push.body.length;
            effects.removed(push);
        }
    }

    /** @param isCurrent whether it was sent to the agent's present endpoint */
    private void onOutcome(Push push, PushOutcome outcome, boolean isCurrent) {
        long now = System.nanoTime();
        switch (outcome.kind()) {
            case ENDED -> {
                succeeded(now);
                push.result = Objects.requireNonNull(outcome.result());
                report(push);
            }
            case ACCEPTED -> {
                succeeded(now);
                remove(push);
                if (owned) {
                    accepted.add(push.id());
                } else {
                    effects.confirm(push);
                }
            }
            case NOT_SENT -> push.waitUntil(Push.State.WAITING, now + MIN_BACKOFF.toNanos());
            case NOT_DELIVERED -> {
                push.undelivered++;
                failed(push, now, outcome, isCurrent);
                boolean mayGiveBack = owned && push.uncertain == 0;
                if (mayGiveBack && (push.undelivered >= MAX_UNDELIVERED || isLong(outcome.retryAfter()))) {
                    giveBack(push, outcome.why());
                } else {
                    repeatLater(push, push.undelivered, now);
                }
            }
            case UNCERTAIN -> {
                push.uncertain++;
                failed(push, now, outcome, isCurrent);
                repeatLater(push, push.uncertain, now);
            }
        }
    }

    private static boolean isLong(@Nullable Duration retryAfter) {
        return retryAfter != null && retryAfter.compareTo(MAX_WAIT) > 0;
    }

    private void repeatLater(Push push, int tries, long now) {
        long own = now + backoff(tries).toNanos();
        push.waitUntil(Push.State.WAITING, own - retryAfter >= 0 ? own : retryAfter);
    }

    private void succeeded(long now) {
        answered(now);
        successes++;
        failures = 0;
        pausedUntil = now;
    }

    /** Nothing is claimed until the pause is over; if the agent was not reached, until it is. */
    private void failed(Push push, long now, PushOutcome outcome, boolean isCurrent) {
        (failure() == null ? log.atWarn() : log.atDebug())
                .addKeyValue("agent_id", agent.id())
                .addKeyValue("assignment_id", push.id())
                .log("Assignment not delivered, will retry: {}", outcome.why());
        // The agent has not succeeded since: this says nothing new about it.
        boolean isRepeated = outcome.kind() == PushOutcome.Kind.UNCERTAIN && push.failedAfter == successes;
        push.failed(now, outcome.why(), successes);
        if (!isCurrent) {
            return;
        }
        if (!isRepeated && (failures == 0 || now - pausedUntil >= 0)) {
            failures++;
            pausedUntil = now + backoff(failures).toNanos();
        }
        if (outcome.retryAfter() != null) {
            Duration requested =
                    outcome.retryAfter().compareTo(MAX_RETRY_AFTER) > 0 ? MAX_RETRY_AFTER : outcome.retryAfter();
            retryAfter = Math.max(retryAfter, now + requested.toNanos());
        }
        effects.endClaims(agent.id());
        if (outcome.isReached()) {
            answered(now);
        } else {
            reachable = false;
            nextProbe = now;
            if (outcome.kind() == PushOutcome.Kind.NOT_DELIVERED) {
                unreachable(agent.registration().httpEndpoint() + " cannot be reached: " + outcome.why());
            }
        }
    }

    private void giveBack(Push push, String why) {
        push.result = TaskResult.of(
                push.assignment,
                TaskResult.Status.REJECTED,
                null,
                Json.tree("the agent could not be given the task: " + why),
                null,
                null);
        report(push);
    }

    private void report(Push push) {
        push.state = Push.State.BUSY;
        effects.report(push, Objects.requireNonNull(push.result), reported -> {
            if (pushes.get(push.id()) != push) {
                return;
            }
            if (reported == PushEffects.Reported.TOO_LARGE) {
                push.result = TaskResult.of(
                        push.assignment,
                        TaskResult.Status.FAILED,
                        null,
                        Json.tree("the agent's result is larger than Kafka accepts"),
                        null,
                        effects.now());
                report(push);
            } else if (reported == PushEffects.Reported.DONE || effects.now().isAfter(push.assignment.deadline())) {
                remove(push);
            } else {
                push.waitUntil(Push.State.UNREPORTED, System.nanoTime() + MIN_BACKOFF.toNanos());
            }
        });
    }

    /** Doubles with each failure. */
    private static Duration backoff(int failures) {
        Duration doubled = MIN_BACKOFF.multipliedBy(1L << Math.min(failures - 1, 5));
        return doubled.compareTo(MAX_BACKOFF) > 0 ? MAX_BACKOFF : doubled;
    }
}
