package io.aitbc.coordinator.api;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Capability;
import io.aitbc.contracts.Limit;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Registration;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Resources;
import io.aitbc.contracts.TaskStatus;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.agent.Agent;
import io.aitbc.coordinator.agent.Obstacle;
import io.aitbc.coordinator.dispatch.ClusterControl;
import io.aitbc.coordinator.dispatch.DispatchSettings;
import io.aitbc.coordinator.dispatch.LaneStats;
import io.aitbc.coordinator.dispatch.LaneStatsReporter;
import io.aitbc.coordinator.limit.LimitBook;
import io.aitbc.coordinator.limit.LimitState;
import io.aitbc.coordinator.queue.OpenTransactions;
import io.aitbc.coordinator.queue.QueuePeek;
import io.aitbc.coordinator.queue.QueueSizes;
import io.aitbc.coordinator.queue.TaskArchive;
import io.aitbc.coordinator.registry.Registry;
import io.aitbc.coordinator.stats.TaskJson;
import io.aitbc.coordinator.taskstate.TaskState;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.springframework.stereotype.Component;

/** Explains why a task has no agent: the obstacles per agent, the closest agents, and other reasons for waiting. */
@Component
class WaitExplainer {
    private static final int MAX_CLOSEST = 5;

    private final Registry registry;
    private final QueueSizes sizes;
    private final QueuePeek peek;
    private final OpenTransactions transactions;
    private final Topics topics;
    private final ClusterControl control;
    private final LaneStatsReporter lanes;
    private final TaskArchive archive;
    private final DispatchSettings settings;
    private final Clock clock;

    WaitExplainer(
            Registry registry,
            QueueSizes sizes,
            QueuePeek peek,
            OpenTransactions transactions,
            Topics topics,
            ClusterControl control,
            LaneStatsReporter lanes,
            TaskArchive archive,
            DispatchSettings settings,
            Clock clock) {
        this.registry = registry;
        this.sizes = sizes;
        this.peek = peek;
        this.transactions = transactions;
        this.topics = topics;
        this.control = control;
        this.lanes = lanes;
        this.archive = archive;
        this.settings = settings;
        this.clock = clock;
    }

    record Reason(
            @JsonProperty("reason") String reason,
            @JsonProperty("detail") String detail) {}

    record Closest(
            @JsonProperty("agent_id") String agentId,
            @JsonProperty("obstacles") List<Reason> obstacles) {}

    /**
     * @param total number of agents, excluding inactive ones
     * @param eligible how many could take the task now
     * @param busy how many could take it if they had capacity, and enough of their resources left
     * @param able how many have the properties that it requires, whatever their state
     * @param ruledOut number of agents ruled out, by reason; an agent may be counted under several
     */
    record Agents(
            @JsonProperty("total") int total,
            @JsonProperty("eligible") long eligible,
            @JsonProperty("busy") long busy,
            @JsonProperty("able") long able,
            @JsonProperty("ruled_out") Map<String, Long> ruledOut,
            @JsonProperty("closest") List<Closest> closest) {}

    /**
     * @param effectivePriority the same as {@code priority}, since waiting does not raise it; kept for compatibility
     * @param aged whether it has waited so long that aged tasks' share of contended choices applies to it
     * @param placeInQueue 1 if no earlier task waits in the same queue
     * @param inMoreUrgentQueues how many tasks wait in queues of higher priority
     * @param backlogFull whether a coordinator has no memory for more waiting tasks, and reads no further
     * @param fairness null if no waiting task has a fairness key
     * @param limits those that keep it back, as far as it uses more than they can give now
     * @param openTransaction the transaction that holds back the task; null if none does
     */
    record Waiting(
            @JsonProperty("priority") Priority priority,
            @JsonProperty("effective_priority") Priority effectivePriority,
            @JsonProperty("aged") boolean aged,
            @JsonProperty("waiting_seconds") double waitingSeconds,
            @JsonProperty("place_in_queue") long placeInQueue,
            @JsonProperty("queue_size") long queueSize,
            @JsonProperty("in_more_urgent_queues") long inMoreUrgentQueues,
            @JsonProperty("queue_paused") boolean queuePaused,
            @JsonProperty("backlog_full") boolean backlogFull,

            @JsonProperty("not_before") @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable
            Instant notBefore,

            @JsonProperty("requirements") @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable
            Requirements requirements,

            @JsonProperty("fairness") @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable
            FairnessTurn fairness,

            @JsonProperty("limits") @JsonInclude(JsonInclude.Include.NON_EMPTY)
            List<LimitWait> limits,

            @JsonProperty("open_transaction") @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable
            BlockingTransaction openTransaction,

            @JsonProperty("agents") Agents agents) {

        Waiting withoutNames() {
            return new Waiting(
                    priority,
                    effectivePriority,
                    aged,
                    waitingSeconds,
                    placeInQueue,
                    queueSize,
                    inMoreUrgentQueues,
                    queuePaused,
                    backlogFull,
                    notBefore,
                    requirements,
                    fairness == null || fairness.fairnessKey() == null ? null : fairness.withoutOthers(),
                    limits,
                    null,
                    new Agents(agents.total, agents.eligible, agents.busy, agents.able, agents.ruledOut, List.of()));
        }
    }

    /**
     * With whom the task takes turns, in all queues, as of the last second.
     *
     * @param fairnessKey its own; absent if it has none
     * @param waiting how many tasks of its key wait; absent if it is not among those with the most in a coordinator
     * @param otherKeys how many other keys have waiting tasks, of those with the most in each coordinator; absent for callers who see one key only
     */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    record FairnessTurn(
            @JsonProperty("fairness_key") @Nullable String fairnessKey,
            @JsonProperty("waiting") @Nullable Integer waiting,
            @JsonProperty("other_keys") @Nullable Integer otherKeys) {
        private FairnessTurn withoutOthers() {
            return new FairnessTurn(fairnessKey, waiting, null);
        }

        private String clause() {
            if (otherKeys == null || otherKeys == 0) {
                return "";
            }
            String own = waiting == null
                    ? ""
                    : (fairnessKey == null
                                    ? count(waiting, "task without a key waits", "tasks without a key wait")
                                    : count(waiting, "task of ", "tasks of ")
                                            + fairnessKey
                                            + (waiting == 1 ? " waits" : " wait"))
                            + " in all queues, and ";
            return "; fairness keys take turns: " + own + (otherKeys >= LaneStats.MAX_KEYS - 1 ? "at least " : "")
                    + count(otherKeys, "other key has tasks waiting", "other keys have tasks waiting");
        }
    }

    private @Nullable FairnessTurn fairness(@Nullable String key) {
        Map<String, Integer> waiting = new HashMap<>();
        for (LaneStats lane : lanes.all().values()) {
            lane.waitingKeys().forEach(one -> waiting.merge(one.key(), one.tasks(), Integer::sum));
        }
        Integer own = waiting.remove(Objects.requireNonNullElse(key, ""));
        return waiting.isEmpty() && key == null ? null : new FairnessTurn(key, own, waiting.size());
    }

    /**
     * A limit that keeps a task back.
     *
     * @param needed units that it uses
     * @param detail a clause
     * @param dueAt when units are available, unless others use them; absent if an attempt has to end first
     */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    record LimitWait(
            @JsonProperty("name") String name,
            @JsonProperty("needed") long needed,
            @JsonProperty("detail") String detail,
            @JsonProperty("due_at") @Nullable Instant dueAt) {}

    private @Nullable String taskType(TaskState state) {
        return state.position()
                .map(position -> archive.read(List.of(position)).get(position))
                .map(waiting -> waiting.task().taskType())
                .orElse(null);
    }

    private List<LimitWait> limits(TaskState state, Instant now) {
        LimitBook book = control.limits();
        if (book.definitions().isEmpty()) {
            return List.of();
        }
        Map<String, Long> uses = new LinkedHashMap<>(state.uses());
        book.names(
                        List.of(),
                        state.requirements(),
                        book.readsTaskType() ? taskType(state) : null,
                        Objects.requireNonNullElse(state.fairnessKey(), ""))
                .forEach(name -> uses.putIfAbsent(name, 1L));
        Map<String, LimitState> states = control.limitStates(uses.keySet(), now);
        Map<String, Integer> keptBack = new HashMap<>();
        lanes.all()
                .values()
                .forEach(lane ->
                        lane.waitingLimits().forEach(one -> keptBack.merge(one.name(), one.tasks(), Integer::sum)));
        List<LimitWait> waits = new ArrayList<>();
        uses.forEach((name, units) -> {
            Limit limit = book.definition(name);
            LimitState used = Objects.requireNonNull(states.get(name));
            if (limit != null && used.room(limit, 0, now) < units) {
                Instant due = used.dueAt(limit, units, 0, now);
                waits.add(new LimitWait(
                        name,
                        units,
                        LimitText.clause(name, limit, used, units, now),
                        due.equals(Instant.MAX) ? null : due));
            } else if (limit != null && keptBack.containsKey(name)) {
                waits.add(new LimitWait(name, units, "other tasks are before it for units of " + name, null));
            }
        });
        return waits;
    }

    /** An open transaction that holds back the task. */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    record BlockingTransaction(
            @JsonProperty("topic") String topic,
            @JsonProperty("partition") int partition,
            @JsonProperty("offset") long offset,
            @JsonProperty("since") @Nullable Instant since,
            @JsonProperty("producer_id") @Nullable Long producerId,
            @JsonProperty("transactional_id") @Nullable String transactionalId) {
        static BlockingTransaction of(OpenTransactions.OpenTransaction open) {
            return new BlockingTransaction(
                    open.partition().topic(),
                    open.partition().partition(),
                    open.offset(),
                    open.since(),
                    open.producerId(),
                    open.transactionalId());
        }
    }

    @JsonInclude(JsonInclude.Include.NON_NULL)
    record Explanation(
            @JsonProperty("status") String status,
            @JsonProperty("task_id") String taskId,
            @JsonProperty("task_status") TaskStatus taskStatus,
            @JsonProperty("explanation") String explanation,
            @JsonProperty("waiting") @Nullable Waiting waiting,
            @JsonProperty("timestamp") Instant timestamp) {}

    /** @param withNames whether agents and producers are named, and not only counted */
    Explanation explain(String taskId, TaskState state, boolean withNames) throws InterruptedException {
        Instant now = clock.instant();
        Waiting waiting = state.status() == TaskStatus.QUEUED && state.submittedAt() != null && state.priority() != null
                ? waiting(taskId, state, state.priority(), state.submittedAt(), now)
                : null;
        String sentence = switch (state.status()) {
            case QUEUED ->
                waiting == null
                        ? "it is queued; its priority or acceptance time is unknown"
                        : sentence(waiting, state, now, withNames);
            case ASSIGNED ->
                "assigned to " + (withNames ? "agent " + state.agentId() : "an agent") + " since " + state.assignedAt()
                        + ", deadline " + TaskJson.deadline(state).orElse("unknown");
            case COMPLETED, FAILED, CANCELLED, EXPIRED ->
                "it has ended: " + state.status().wireName()
                        + (state.status() == TaskStatus.FAILED && state.error() != null
                                ? ", " + error(state.attempt(), state.error())
                                : "");
        };
        return new Explanation(
                "success",
                taskId,
                state.status(),
                sentence,
                waiting == null || withNames ? waiting : waiting.withoutNames(),
                now);
    }

    private Waiting waiting(String taskId, TaskState state, Priority priority, Instant since, Instant now)
            throws InterruptedException {
        Requirements requirements = state.requirements();
        Map<Priority, @Nullable Long> queues = sizes.read();
        return new Waiting(
                priority,
                priority,
                settings.aging().isAged(priority, since, now),
                Duration.between(since, now).toMillis() / 1_000.0,
                sizes.unfinishedBefore(priority, since) + 1,
                size(queues, priority),
                Stream.of(Priority.values())
                        .filter(other -> other.compareTo(priority) < 0)
                        .mapToLong(other -> size(queues, other))
                        .sum(),
                control.pausedQueues().contains(priority),
                lanes.all().values().stream().anyMatch(LaneStats::backlogFull),
                state.notBefore(),
                requirements.equals(Requirements.NONE) ? null : requirements,
                fairness(state.fairnessKey()),
                limits(state, now),
                blockingTransaction(taskId, priority),
                agents(requirements, now));
    }

    /** The size of a queue; 0 while its topic is missing. */
    private static long size(Map<Priority, @Nullable Long> queues, Priority priority) {
        Long size = queues.get(priority);
        return size == null ? 0 : size;
    }

    private @Nullable BlockingTransaction blockingTransaction(String taskId, Priority priority)
            throws InterruptedException {
        if (transactions.of(topics.tasks(priority)).isEmpty()) {
            return null;
        }
        return peek.heldBack(priority, taskId)
                .map(partition -> transactions.newest().get(partition))
                .map(BlockingTransaction::of)
                .orElse(null);
    }

    /**
     * Why tasks of a group wait.
     *
     * @param agents how many could take them, now or once they have capacity
     * @param explanation a clause
     */
    record GroupReason(long agents, String explanation) {}

    GroupReason explain(Requirements requirements) {
        Agents agents = agents(requirements, clock.instant());
        return new GroupReason(agents.eligible() + agents.busy(), clause(agents, requirements));
    }

    private String clause(Agents agents, Requirements requirements) {
        if (agents.eligible() > 0) {
            return agents.eligible()
                    + (agents.eligible() == 1 ? " agent can take one now" : " agents can take one now");
        }
        if (agents.busy() > 0) {
            return agents.busy() == 1
                    ? "the only agent that can take them is at capacity"
                    : "all " + agents.busy() + " agents that can take them are at capacity";
        }
        if (requirements.agentId() != null) {
            return pinned(requirements.agentId(), agents.closest());
        }
        String missing = missing(requirements);
        return agents.total() == 0
                ? "no agent is registered"
                : missing.isEmpty() ? "no agent can take them; " + closest(agents) : "no agent has " + missing;
    }

    /** What no agent has, of what is required. */
    private String missing(Requirements requirements) {
        List<Registration> all = registry.all().stream()
                .filter(agent -> agent.status() != AgentStatus.INACTIVE)
                .map(Agent::registration)
                .toList();
        Stream<String> types = Stream.ofNullable(requirements.agentType())
                .filter(type -> all.stream().noneMatch(agent -> type.equals(agent.agentType())))
                .map(type -> "type " + type);
        Stream<String> capabilities = requirements.capabilities().stream()
                .filter(one -> all.stream().noneMatch(agent -> Capability.meets(agent.capabilities(), one)))
                .map(one -> "capability " + one);
        Stream<String> services = requirements.services().stream()
                .filter(one -> all.stream().noneMatch(agent -> agent.services().contains(one)))
                .map(one -> "service " + one);
        Stream<String> resources = requirements.resources().amounts().entrySet().stream()
                .filter(one -> all.stream()
                        .noneMatch(
                                agent -> agent.resources().cover(Resources.of(Map.of(one.getKey(), one.getValue())))))
                .map(one -> one.getValue() + " " + one.getKey());
        Stream<String> tags = requirements.tags().stream()
                .filter(one -> all.stream().noneMatch(agent -> agent.tags().contains(one)))
                .map(one -> "tag " + one);
        return Stream.of(types, capabilities, services, tags, resources)
                .flatMap(one -> one)
                .collect(Collectors.joining(" or "));
    }

    private Agents agents(Requirements requirements, Instant now) {
        boolean regionRequired = !control.strategy().prefersRegion();
        List<Agent> all = registry.all();
        Map<String, Requirements> kept = new HashMap<>();
        lanes.all()
                .values()
                .forEach(lane -> lane.keptAgents().forEach(one -> kept.put(one.agentId(), one.requirements())));
        Map<String, List<Obstacle>> obstacles = all.stream()
                .filter(agent -> agent.status() != AgentStatus.INACTIVE)
                .collect(Collectors.toMap(
                        Agent::id, agent -> obstacles(agent, requirements, kept.get(agent.id()), now, regionRequired)));
        Map<String, Long> ruledOut = obstacles.values().stream()
                .flatMap(ofAgent -> ofAgent.stream()
                        .map(obstacle -> obstacle.kind().wireName())
                        .distinct())
                .collect(Collectors.groupingBy(kind -> kind, TreeMap::new, Collectors.counting()));
        List<Closest> closest = requirements.agentId() == null
                ? closest(obstacles)
                : all.stream()
                        .filter(agent -> agent.id().equals(requirements.agentId()))
                        .map(agent -> closest(
                                agent.id(), obstacles(agent, requirements, kept.get(agent.id()), now, regionRequired)))
                        .toList();
        return new Agents(
                obstacles.size(),
                obstacles.values().stream().filter(List::isEmpty).count(),
                obstacles.values().stream().filter(WaitExplainer::isOnlyFull).count(),
                obstacles.values().stream()
                        .filter(ofAgent ->
                                ofAgent.stream().noneMatch(one -> one.kind().isStatic()))
                        .count(),
                ruledOut,
                closest);
    }

    /** @param keptFor the requirements of the tasks for which the agent is kept free; null if it is not */
    private List<Obstacle> obstacles(
            Agent agent, Requirements task, @Nullable Requirements keptFor, Instant now, boolean regionRequired) {
        List<Obstacle> obstacles = Obstacle.between(agent, task, now, registry.healthPolicy(), regionRequired);
        if (keptFor == null
                || keptFor.equals(task.conditions())
                || obstacles.stream().anyMatch(one -> one.kind().isStatic())
                || !keptFor.resources().overlap(task.resources()) && agent.inflight() < agent.capacity() - 1) {
            return obstacles;
        }
        List<Obstacle> withKept = new ArrayList<>(obstacles);
        withKept.add(Obstacle.keptFree(keptFor.resources()));
        return withKept;
    }

    private static List<Closest> closest(Map<String, List<Obstacle>> obstacles) {
        return obstacles.entrySet().stream()
                .filter(entry -> !entry.getValue().isEmpty())
                .sorted(Comparator.<Map.Entry<String, List<Obstacle>>>comparingLong(entry -> distance(entry.getValue()))
                        .thenComparing(entry -> entry.getValue().get(0).kind(), Comparator.reverseOrder())
                        .thenComparing(Map.Entry::getKey))
                .limit(MAX_CLOSEST)
                .map(entry -> closest(entry.getKey(), entry.getValue()))
                .toList();
    }

    /** The number of obstacles; resources that other tasks use are one. */
    private static long distance(List<Obstacle> obstacles) {
        long inUse = obstacles.stream()
                .filter(one -> one.kind() == Obstacle.Kind.RESOURCE_IN_USE)
                .count();
        return obstacles.size() - Math.max(0, inUse - 1);
    }

    private static Closest closest(String agentId, List<Obstacle> obstacles) {
        return new Closest(
                agentId,
                obstacles.stream()
                        .map(obstacle -> new Reason(obstacle.kind().wireName(), obstacle.detail()))
                        .toList());
    }

    private static boolean isOnlyFull(List<Obstacle> obstacles) {
        return !obstacles.isEmpty()
                && obstacles.stream().allMatch(one -> one.kind().compareTo(Obstacle.Kind.RESOURCE_IN_USE) >= 0);
    }

    private static String error(int attempt, String error) {
        return "attempt " + attempt + " with the error " + error;
    }

    private static String sentence(Waiting waiting, TaskState state, Instant now, boolean withNames) {
        String reason = reason(waiting, state, now, withNames);
        return waiting.backlogFull()
                ? reason + "; the backlog of a coordinator is full, so this task may not have been read yet"
                : reason;
    }

    private static String reason(Waiting waiting, TaskState state, Instant now, boolean withNames) {
        Agents agents = waiting.agents();
        if (waiting.queuePaused()) {
            return "the " + waiting.priority().wireName() + " queue is paused";
        }
        if (waiting.notBefore() != null && waiting.notBefore().isAfter(now)) {
            return "it is scheduled for " + waiting.notBefore()
                    + (state.error() == null ? "" : ", after " + error(state.attempt() - 1, state.error()));
        }
        if (waiting.openTransaction() != null) {
            return withNames
                    ? sentence(waiting.openTransaction())
                    : "it is held back by an open transaction of a producer";
        }
        if (!waiting.limits().isEmpty()) {
            return "limits keep it back: "
                    + waiting.limits().stream().map(LimitWait::detail).collect(Collectors.joining("; and "))
                    + "; " + line(waiting, withNames);
        }
        if (agents.eligible() + agents.busy() > 0) {
            return inLine(waiting, withNames);
        }
        if (waiting.requirements() != null && waiting.requirements().agentId() != null) {
            return withNames
                    ? pinned(waiting.requirements().agentId(), agents.closest())
                    : "it requires agent " + waiting.requirements().agentId() + ", which cannot take it";
        }
        if (agents.total() == 0) {
            return "no agent is registered";
        }
        if (!withNames) {
            return "no agent can take it";
        }
        return "no agent can take it; " + closest(agents);
    }

    private static String closest(Agents agents) {
        Closest closest = agents.closest().get(0);
        return "the closest is " + closest.agentId() + ": " + details(closest);
    }

    private static String sentence(BlockingTransaction open) {
        return "it is held back by an open transaction in partition " + open.partition() + " of "
                + open.topic() + (open.since() == null ? "" : " since " + open.since()) + ", by producer "
                + (open.producerId() == null ? "of unknown id" : open.producerId())
                + (open.transactionalId() == null ? "" : " (transactional id " + open.transactionalId() + ")")
                + "; it becomes readable when the transaction is committed or aborted";
    }

    private static String inLine(Waiting waiting, boolean withNames) {
        Agents agents = waiting.agents();
        return line(waiting, withNames)
                + "; "
                + (agents.eligible() > 0
                        ? count(agents.eligible(), "agent has", "agents have") + " room for it"
                        : lacksResources(agents)
                                ? (withNames ? closest(agents) + "; " : "") + count(agents.able(), "agent", "agents")
                                        + " could ever take it"
                                : count(agents.busy(), "agent", "agents") + " can take it once capacity is free");
    }

    /** Who is before it. */
    private static String line(Waiting waiting, boolean withOtherKeys) {
        long before = waiting.placeInQueue() - 1;
        String line = before == 0
                ? "it is first in the " + waiting.priority().wireName() + " queue"
                : "it is number " + waiting.placeInQueue() + " in the "
                        + waiting.priority().wireName() + " queue, with " + before + " before it";
        String moreUrgent = waiting.inMoreUrgentQueues() == 0
                ? ""
                : (before == 0 ? ", with " : " and ") + waiting.inMoreUrgentQueues() + " in more urgent queues";
        return line
                + moreUrgent
                + (waiting.aged() ? ", and aged: a share of contended choices goes to aged tasks" : "")
                + (waiting.fairness() == null || !withOtherKeys
                        ? ""
                        : waiting.fairness().clause());
    }

    private static boolean lacksResources(Agents agents) {
        return agents.ruledOut().containsKey(Obstacle.Kind.RESOURCE_IN_USE.wireName())
                || agents.ruledOut().containsKey(Obstacle.Kind.KEPT_FREE.wireName());
    }

    private static String count(long number, String one, String several) {
        return number + " " + (number == 1 ? one : several);
    }

    /** @param known the agent, if it is registered */
    private static String pinned(String agentId, List<Closest> known) {
        if (known.isEmpty()) {
            return "it requires agent " + agentId + ", which has never registered";
        }
        // The other obstacles of an agent that is not active, such as its health, follow from that.
        return "it requires agent " + agentId + ": "
                + known.get(0).obstacles().stream()
                        .filter(reason -> reason.reason().equals(Obstacle.Kind.NOT_ACTIVE.wireName()))
                        .findFirst()
                        .map(Reason::detail)
                        .orElseGet(() -> details(known.get(0)));
    }

    private static String details(Closest agent) {
        return agent.obstacles().stream().map(Reason::detail).collect(Collectors.joining(", "));
    }
}
