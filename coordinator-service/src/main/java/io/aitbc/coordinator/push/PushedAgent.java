package io.aitbc.coordinator.push;

import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Claim;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.TaskResult;
import io.aitbc.coordinator.agent.Agent;
import io.aitbc.coordinator.delivery.AssignmentClaims;
import java.time.Duration;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Pushes to one agent. Assignments are claimed for it only while it can be reached and accepts them, so that others get the tasks
 * meanwhile. Owned by the push thread.
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

    private static final Duration PROBE_BACKOFF = Duration.ofSeconds(3);

    private static final int CLAIM_SECONDS = 10;
    private static final int MAX_CLAIM = 1_000;
    private static final Duration CONFIRM_INTERVAL = Duration.ofMillis(200);
    private static final Duration CLAIM_BACKOFF = Duration.ofSeconds(1);
    private static final Duration HEARTBEAT_INTERVAL = Duration.ofSeconds(5);
    private static final int MAX_NOTIFIED = 1_000;

    /** Names this coordinator in claims: after a change of ownership, the next one waits until this one's requests are over. */
    private static final String INSTANCE = "push-" + UUID.randomUUID();

    private final PushEffects effects;
    private final Duration probeInterval;
    private final Map<String, Push> pushes = new HashMap<>();
    /** Accepted by the agent, and not confirmed to Redis yet. */
    private final Set<String> accepted = new LinkedHashSet<>();
    /** Cancelled assignments about which the agent was notified. */
    private final Set<String> notified = new LinkedHashSet<>();

    private Agent agent;
    private boolean owned = true;

    /** Whether a probe has succeeded, and no request has failed to reach the agent since. */
    private boolean reachable;

    private @Nullable String unreached;
    private int failures;
    private long pausedUntil = System.nanoTime();

    private boolean probing;
    private long nextProbe = System.nanoTime();

    private boolean answered;
    private long answeredAt = System.nanoTime();
    private long recordedAt = System.nanoTime() - HEARTBEAT_INTERVAL.toNanos();

    private int openClaims;
    private long nextClaim = System.nanoTime();
    private long nextConfirmation = System.nanoTime();

    /** @param probeInterval how long the agent may be idle before it is probed */
    PushedAgent(Agent agent, Duration probeInterval, PushEffects effects) {
        this.agent = agent;
        this.probeInterval = probeInterval;
        this.effects = effects;
    }

    void update(Agent newer) {
        if (!newer.registration().httpEndpoint().equals(agent.registration().httpEndpoint())) {
            reachable = false;
            unreached = null;
            failures = 0;
            nextProbe = System.nanoTime();
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
        if (!answered || !isUrgent && now - recordedAt < HEARTBEAT_INTERVAL.toNanos()) {
            return false;
        }
        answered = false;
        recordedAt = now;
        return true;
    }

    /** Sends what is due. */
    void check(long now) {
        for (Push push : List.copyOf(pushes.values())) {
            if (push.state == Push.State.WAITING && !owned) {
                // The next owner repeats it.
                remove(push);
            } else if (push.state == Push.State.WAITING && now - push.dueNanos >= 0) {
                repeat(push);
            }
        }
        if (mustProbe(now)) {
            probing = true;
            effects.probe(agent, this::onProbe);
        }
        if (!mayClaim(now)) {
            if (openClaims > 0) {
                effects.endClaims(agent.id());
            }
        } else if (now - nextClaim >= 0 && (openClaims == 0 || !accepted.isEmpty() && now - nextConfirmation >= 0)) {
            claim(now);
        }
    }

    private boolean mustProbe(long now) {
        return owned
                && !probing
                && agent.status() != AgentStatus.INACTIVE
                && now - nextProbe >= 0
                && (!reachable || now - answeredAt >= probeInterval.toNanos());
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
        return owned
                && reachable
                && agent.status() != AgentStatus.INACTIVE
                && now - pausedUntil >= 0
                && effects.hasRoom();
    }

    private void claim(long now) {
        nextConfirmation = now + CONFIRM_INTERVAL.toNanos();
        List<String> received = List.copyOf(accepted);
        accepted.clear();
        openClaims++;
        // After failures, one assignment shows whether the agent accepts any.
        int max = failures > 0 ? 1 : Math.min(agent.capacity(), MAX_CLAIM);
        effects.claim(
                agent.id(),
                new Claim(max, CLAIM_SECONDS, INSTANCE, received),
                pushes.keySet(),
                answer -> onClaimAnswered(answer, received));
    }

    private void onClaimAnswered(AssignmentClaims.@Nullable Answer answer, List<String> received) {
        openClaims--;
        long now = System.nanoTime();
        if (answer == null || answer.refusal() != null) {
            if (answer == null) {
                accepted.addAll(received);
            }
            nextClaim = now + CLAIM_BACKOFF.toNanos();
            return;
        }
        for (JsonNode assignment : answer.assignments()) {
            begin((ObjectNode) assignment);
        }
        answer.cancelled().forEach(this::cancel);
        if (openClaims == 0 && mayClaim(now)) {
            claim(now);
        }
    }

    private void begin(ObjectNode json) {
        Assignment assignment = Json.read(json, Assignment.class);
        // It may have been served twice, by a claim and the one that replaced it.
        if (!pushes.containsKey(assignment.assignmentId()) && !accepted.contains(assignment.assignmentId())) {
            Push push = new Push(assignment, json, json.toString().length());
            pushes.put(push.id(), push);
            effects.added(push);
            send(push);
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
        push.state = Push.State.BUSY;
        effects.execute(agent, push, outcome -> onOutcome(push, outcome));
    }

    private void repeat(Push push) {
        push.state = Push.State.BUSY;
        effects.checkUnconfirmed(push.assignment, isUnconfirmed -> {
            if (!pushes.containsKey(push.id())) {
                return;
            }
            if (isUnconfirmed == null) {
                push.repeatAt(System.nanoTime() + MIN_BACKOFF.toNanos());
            } else if (!isUnconfirmed || effects.now().isAfter(push.assignment.deadline())) {
                // Reported, cancelled or expired.
                remove(push);
            } else {
                send(push);
            }
        });
    }

    private void remove(Push push) {
        if (pushes.remove(push.id()) != null) {
            effects.removed(push);
        }
    }

    private void onOutcome(Push push, PushOutcome outcome) {
        if (!pushes.containsKey(push.id())) {
            return;
        }
        long now = System.nanoTime();
        switch (outcome.kind()) {
            case ENDED -> {
                succeeded(now);
                report(push, Objects.requireNonNull(outcome.result()));
            }
            case ACCEPTED -> {
                succeeded(now);
                accepted.add(push.id());
                remove(push);
            }
            case NOT_DELIVERED -> {
                push.undelivered++;
                failed(now, backoff(push.undelivered), outcome);
                boolean mayGiveBack = push.uncertain == 0;
                if (mayGiveBack && (push.undelivered >= MAX_UNDELIVERED || isLong(outcome.retryAfter()))) {
                    giveBack(push, outcome.why());
                } else {
                    push.repeatAt(pausedUntil);
                }
            }
            case UNCERTAIN -> {
                push.uncertain++;
                failed(now, backoff(push.uncertain), outcome);
                push.repeatAt(pausedUntil);
            }
        }
    }

    private static boolean isLong(@Nullable Duration retryAfter) {
        return retryAfter != null && retryAfter.compareTo(MAX_WAIT) > 0;
    }

    private void succeeded(long now) {
        answered(now);
        failures = 0;
        pausedUntil = now;
    }

    /** Nothing is claimed until the pause is over; if the agent was not reached, until it is. */
    private void failed(long now, Duration backoff, PushOutcome outcome) {
        failures++;
        Duration retryAfter = outcome.retryAfter();
        Duration pause = retryAfter == null || retryAfter.compareTo(backoff) < 0 ? backoff : retryAfter;
        pause = pause.compareTo(MAX_RETRY_AFTER) > 0 ? MAX_RETRY_AFTER : pause;
        pausedUntil = now + pause.toNanos();
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
        log.atDebug().addKeyValue("agent_id", agent.id()).log("Assignment not delivered: {}", outcome.why());
    }

    private void giveBack(Push push, String why) {
        report(
                push,
                TaskResult.of(
                        push.assignment,
                        TaskResult.Status.REJECTED,
                        null,
                        Json.tree("agent " + agent.id() + " could not be given the task: " + why),
                        null,
                        null));
    }

    private void report(Push push, TaskResult result) {
        push.state = Push.State.BUSY;
        effects.report(push, result, done -> {
            if (done || effects.now().isAfter(push.assignment.deadline())) {
                remove(push);
            } else {
                report(push, result);
            }
        });
    }

    /** Doubles with each failure. */
    private static Duration backoff(int failures) {
        Duration doubled = MIN_BACKOFF.multipliedBy(1L << Math.min(failures - 1, 5));
        return doubled.compareTo(MAX_BACKOFF) > 0 ? MAX_BACKOFF : doubled;
    }
}
