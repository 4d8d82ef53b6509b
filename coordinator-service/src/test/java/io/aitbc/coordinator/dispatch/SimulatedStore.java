package io.aitbc.coordinator.dispatch;

import io.aitbc.contracts.Limit;
import io.aitbc.contracts.Resources;
import io.aitbc.coordinator.assign.Verdict;
import io.aitbc.coordinator.assign.Verdict.Ruling;
import io.aitbc.coordinator.limit.AgentResource;
import io.aitbc.coordinator.limit.LimitBook;
import io.aitbc.coordinator.limit.LimitState;
import io.aitbc.coordinator.match.Placement;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.taskstate.TaskStates;
import java.time.Duration;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The Lua scripts and their Redis, in Java: the simulation runs far more worlds than Redis could serve. {@link SimulatedStoreTest} compares
 * it with the scripts.
 */
final class SimulatedStore {
    private final Map<String, State> tasks = new LinkedHashMap<>();
    private final Map<String, Agent> agents = new LinkedHashMap<>();

    /** A task's hash. */
    static final class State {
        /** The status as in Redis; empty while there is no hash. */
        String status = "";

        int attempt;
        String agentId = "";
        /** The record for which the attempt was granted. */
        @Nullable
        Position origin;

        /** Units of limits that the attempt holds. */
        Map<String, Long> uses = Map.of();

        /** Whether it failed because it uses more than a limit can give. */
        boolean isOverLimit;

        /** Whether the attempt was given to an agent. */
        boolean wasHeld;

        int ends;

        boolean isKnown() {
            return !status.isEmpty();
        }

        boolean hasEnded() {
            return ends > 0;
        }

        boolean isAssigned() {
            return status.equals("assigned");
        }

        /** Fenced; its dead letter is being written. */
        boolean isFailing() {
            return status.equals("failing");
        }

        boolean isMine(int attempt, String agentId) {
            return this.attempt == attempt && this.agentId.equals(agentId);
        }

        boolean isLive(int attempt, String agentId) {
            return isAssigned() && isMine(attempt, agentId);
        }

        private void end(String status, int attempt) {
            this.status = status;
            this.attempt = attempt;
            ends++;
        }

        private void waited() {
            wasHeld = false;
            agentId = "";
        }
    }

    /** What the scripts have done, as ids of events. */
    final Set<String> history = new TreeSet<>();

    /** The definitions of limits that reservations must be based on. */
    LimitBook limits = LimitBook.EMPTY;
    /** By limit and task. */
    final Map<String, Map<String, Long>> heldUnits = new TreeMap<>();

    private final Map<String, Instant> fullAt = new TreeMap<>();
    /** When rates were unknown: their buckets were empty then. */
    Instant completeSince = Instant.EPOCH;

    /** limits.lua: what is used of limits. */
    Map<String, LimitState> limitStates() {
        Map<String, LimitState> states = new TreeMap<>();
        heldUnits.keySet().forEach(name -> states.put(name, limitState(name)));
        return states;
    }

    Map<String, Long> resourcesInUse(String agentId) {
        Map<String, Long> inUse = new TreeMap<>();
        agents.get(agentId)
                .resources
                .thousandths()
                .keySet()
                .forEach(name -> inUse.put(name, used(new AgentResource(agentId, name).limit())));
        return inUse;
    }

    LimitState limitState(String name) {
        return new LimitState(used(name), fullAt.getOrDefault(name, Instant.EPOCH), "", 0, 0, Instant.EPOCH);
    }

    private long used(String name) {
        return heldUnits.getOrDefault(name, Map.of()).values().stream()
                .mapToLong(Long::longValue)
                .sum();
    }

    private static Duration interval(Limit.Rate rate, long units) {
        return Duration.ofNanos((long) (units * rate.intervalMicros() * 1_000));
    }

    /** The limit that refuses an attempt; empty if none does. */
    private String refusedBy(String taskId, Map<String, Long> uses, Instant now) {
        for (Map.Entry<String, Long> use : uses.entrySet()) {
            Limit limit = definition(use.getKey());
            long own = heldUnits.getOrDefault(use.getKey(), Map.of()).getOrDefault(taskId, 0L);
            if (limit != null && refuses(limit, use.getKey(), use.getValue(), own, now)) {
                return use.getKey();
            }
        }
        return "";
    }

    /** What an agent has of a resource is like a limit. */
    @Nullable
    Limit definition(String name) {
        if (!AgentResource.isName(name)) {
            return limits.definition(name);
        }
        AgentResource one = AgentResource.named(name);
        long has = agents.get(one.agentId()).resources.thousandths().getOrDefault(one.resource(), 0L);
        return new Limit(has, null, null, null);
    }

    private boolean refuses(Limit limit, String name, long units, long own, Instant now) {
        if (limit.concurrency() != null && used(name) - own + units > limit.concurrency()) {
            return true;
        }
        Limit.Rate rate = limit.rate();
        return rate != null
                && latest(fullAt(name, rate), now)
                        .plus(interval(rate, units - rate.burst()))
                        .isAfter(now);
    }

    private Instant fullAt(String name, Limit.Rate rate) {
        return fullAt.computeIfAbsent(name, unknown -> completeSince.plus(interval(rate, rate.burst())));
    }

    private static Instant latest(Instant one, Instant other) {
        return one.isAfter(other) ? one : other;
    }

    private void hold(State task, String taskId, Map<String, Long> uses, Instant now) {
        task.uses = uses;
        uses.forEach((name, units) -> {
            heldUnits.computeIfAbsent(name, unknown -> new TreeMap<>()).put(taskId, units);
            Limit limit = definition(name);
            if (limit != null && limit.rate() != null) {
                fullAt.put(name, latest(fullAt(name, limit.rate()), now).plus(interval(limit.rate(), units)));
            }
        });
    }

    private void drop(State task, String taskId) {
        task.uses
                .keySet()
                .forEach(name -> heldUnits.getOrDefault(name, new TreeMap<>()).remove(taskId));
        task.uses = Map.of();
    }

    private void note(String taskId, int attempt, String kind) {
        history.add(taskId + ":" + attempt + ":" + kind);
    }

    /** An agent's hash and in-flight tasks. */
    static final class Agent {
        final int capacity;
        final Set<String> inflight = new TreeSet<>();
        boolean active = true;
        Resources resources = Resources.NONE;
        /** How many more assignments its open claims request; null if it reads a topic. */
        @Nullable
        Integer openSlots;

        Agent(int capacity) {
            this.capacity = capacity;
        }
    }

    State task(String id) {
        return tasks.computeIfAbsent(id, unknown -> new State());
    }

    Map<String, State> tasks() {
        return tasks;
    }

    Agent addAgent(String id, int capacity) {
        Agent agent = new Agent(capacity);
        agents.put(id, agent);
        return agent;
    }

    Agent agent(String id) {
        return agents.get(id);
    }

    /** reserve.lua */
    Verdict judge(Placement placement, Instant now) {
        return judge(placement, limits.version(), now);
    }

    /** @param version of the definitions of limits that the placement is based on */
    Verdict judge(Placement placement, String version, Instant now) {
        String taskId = placement.waiting().id();
        int attempt = placement.waiting().task().attempt();
        State task = task(taskId);
        Agent agent = agents.get(placement.agentId());
        int held = agent == null ? 0 : agent.inflight.size();
        if (task.hasEnded() || task.isFailing() || task.isKnown() && attempt < task.attempt) {
            Ruling ruling = attempt != task.attempt
                    ? Ruling.ENDED
                    : task.wasHeld
                            ? Ruling.WAS_HELD
                            : switch (task.status) {
                                case "cancelled" -> Ruling.CANCELLED;
                                case "expired" -> Ruling.EXPIRED;
                                case "failed" -> task.isOverLimit ? Ruling.FAILED : Ruling.ENDED;
                                default -> Ruling.ENDED;
                            };
            return new Verdict(
                    placement,
                    ruling,
                    ruling == Ruling.WAS_HELD ? task.agentId : "",
                    false,
                    held,
                    now,
                    placement.uses(),
                    ruling == Ruling.FAILED ? "\"why\"" : "");
        }
        if (task.isAssigned() && attempt == task.attempt) {
            if (task.origin != null && !task.origin.equals(placement.waiting().position())) {
                return new Verdict(placement, Ruling.DUPLICATE, "", false, held, now);
            }
            return new Verdict(placement, Ruling.LIVE, task.agentId, false, held, now);
        }
        if (agent == null || !agent.active) {
            return new Verdict(placement, Ruling.UNAVAILABLE, "", false, held, now);
        }
        if (held >= agent.capacity || agent.openSlots != null && agent.openSlots <= 0) {
            return new Verdict(placement, Ruling.FULL, "", false, held, now);
        }
        if (!version.equals(limits.version())) {
            return new Verdict(placement, Ruling.OUTDATED, "", false, held, now);
        }
        String refusedBy = refusedBy(taskId, placement.held(), now);
        if (!refusedBy.isEmpty()) {
            return new Verdict(placement, Ruling.LIMITED, "", false, held, now, placement.uses(), refusedBy);
        }
        if (task.isAssigned()) {
            agents.get(task.agentId).inflight.remove(taskId);
            note(taskId, task.attempt, "attempt_failed");
        }
        drop(task, taskId);
        hold(task, taskId, placement.held(), now);
        task.status = "assigned";
        task.attempt = attempt;
        task.agentId = placement.agentId();
        task.origin = placement.waiting().position();
        task.wasHeld = true;
        note(taskId, attempt, "assigned");
        agent.inflight.add(taskId);
        if (agent.openSlots != null) {
            agent.openSlots--;
        }
        return new Verdict(placement, Ruling.GRANTED, placement.agentId(), false, agent.inflight.size(), now);
    }

    /** end-waiting.lua: returns ended (now), stands, before, or live. */
    String endWaiting(String taskId, int attempt, String status) {
        State task = task(taskId);
        if (task.hasEnded() || task.isFailing() || task.isKnown() && attempt < task.attempt) {
            return task.status.equals(status) && task.attempt == attempt && !task.wasHeld ? "stands" : "before";
        }
        if (task.isAssigned() && attempt == task.attempt) {
            return "live";
        }
        if (task.isAssigned()) {
            agents.get(task.agentId).inflight.remove(taskId);
            note(taskId, task.attempt, "attempt_failed");
            drop(task, taskId);
        }
        task.end(status, attempt);
        task.isOverLimit = status.equals("failed");
        task.waited();
        note(taskId, attempt, status);
        return "ended";
    }

    /** record-queued.lua, without the record. */
    TaskStates.Recorded record(String taskId, int attempt) {
        State task = task(taskId);
        if (task.hasEnded()) {
            return TaskStates.Recorded.ENDED;
        }
        return task.isAssigned() || task.isFailing() || attempt < task.attempt
                ? TaskStates.Recorded.OTHERWISE
                : TaskStates.Recorded.WAITS;
    }

    /** end-lost.lua, if Redis knows the record; returns whether it ended the task. */
    boolean failLost(String taskId, int attempt) {
        State task = task(taskId);
        if (task.hasEnded() || task.isAssigned() || task.isFailing() || attempt < task.attempt) {
            return false;
        }
        task.end("failed", attempt);
        task.waited();
        note(taskId, attempt, "failed");
        return true;
    }

    /** The offsets of a partition's records for which unsettled attempts were granted. */
    Set<Long> reserved(OwnedPartition.Id partition) {
        return tasks.values().stream()
                .filter(task -> task.isAssigned()
                        && task.origin != null
                        && OwnedPartition.Id.of(task.origin).equals(partition))
                .map(task -> task.origin.offset())
                .collect(Collectors.toSet());
    }

    /** settle.lua: returns completed, settled before, give back, late, or unknown. */
    String settle(String taskId, int attempt, String agentId, String outcome) {
        State task = task(taskId);
        if (!task.isKnown()) {
            return "unknown";
        }
        if (task.status.equals("completed") && task.isMine(attempt, agentId) && outcome.equals("completed")) {
            return "settled before";
        }
        boolean repeated = task.isFailing() && task.isMine(attempt, agentId) && !outcome.equals("completed");
        if (!task.isLive(attempt, agentId) && !repeated) {
            return "late";
        }
        if (!outcome.equals("completed")) {
            return "give back";
        }
        task.end("completed", attempt);
        note(taskId, attempt, "completed");
        task.agentId = agentId;
        agents.get(agentId).inflight.remove(taskId);
        drop(task, taskId);
        return "completed";
    }

    /** fence.lua: returns fenced or before. */
    String fence(String taskId, int attempt, String agentId) {
        State task = task(taskId);
        if (!(task.isAssigned() || task.isFailing()) || !task.isMine(attempt, agentId)) {
            return "before";
        }
        task.status = "failing";
        return "fenced";
    }

    /** release.lua: returns released or before. */
    String release(String taskId, int attempt, String agentId, int nextAttempt) {
        State task = task(taskId);
        boolean fenced = task.isFailing() && nextAttempt == 0 && task.isMine(attempt, agentId);
        if (!task.isLive(attempt, agentId) && !fenced && task.isKnown()) {
            return "before";
        }
        if (nextAttempt > 0) {
            task.status = "queued";
            task.attempt = nextAttempt;
            task.waited();
            note(taskId, attempt, "attempt_failed");
        } else {
            if (!task.isKnown()) {
                task.agentId = agentId;
            }
            task.end("failed", attempt);
            note(taskId, attempt, "failed");
        }
        agents.get(agentId).inflight.remove(taskId);
        drop(task, taskId);
        return "released";
    }

    /** cancel.lua: returns the previous status. */
    String cancel(String taskId) {
        State task = task(taskId);
        String before = task.isFailing() ? "failed" : task.isKnown() ? task.status : "unknown";
        if (task.isKnown() && !task.hasEnded() && !task.isFailing()) {
            if (task.isAssigned()) {
                agents.get(task.agentId).inflight.remove(taskId);
                drop(task, taskId);
            }
            task.end("cancelled", task.attempt);
            note(taskId, task.attempt, "cancelled");
        }
        return before;
    }
}
