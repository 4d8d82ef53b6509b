package io.aitbc.coordinator.dispatch;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.ControlMessage.ClearQueue;
import io.aitbc.contracts.ControlMessage.QueueCleared;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Limit;
import io.aitbc.contracts.Payload;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Task;
import io.aitbc.contracts.TaskEvent;
import io.aitbc.contracts.TaskResult;
import io.aitbc.contracts.TaskStatus;
import io.aitbc.coordinator.agent.Agent;
import io.aitbc.coordinator.agent.AnAgent;
import io.aitbc.coordinator.agent.HealthPolicy;
import io.aitbc.coordinator.assign.Judgement;
import io.aitbc.coordinator.assign.Reservations;
import io.aitbc.coordinator.assign.Verdict;
import io.aitbc.coordinator.assign.Verdict.Ruling;
import io.aitbc.coordinator.balance.LoadBalancingStrategy;
import io.aitbc.coordinator.dispatch.OwnedPartition.Commit;
import io.aitbc.coordinator.dispatch.OwnedPartition.Id;
import io.aitbc.coordinator.limit.LimitBook;
import io.aitbc.coordinator.limit.LimitState;
import io.aitbc.coordinator.match.ATask;
import io.aitbc.coordinator.match.Aging;
import io.aitbc.coordinator.match.BacklogEntry;
import io.aitbc.coordinator.match.KeptAgent;
import io.aitbc.coordinator.match.LaneTime;
import io.aitbc.coordinator.match.Matcher;
import io.aitbc.coordinator.match.Placement;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.match.SlotOffer;
import io.aitbc.coordinator.match.TaskSummary;
import io.aitbc.coordinator.match.WaitingTask;
import io.aitbc.coordinator.match.Want;
import io.aitbc.coordinator.queue.OffsetLedger;
import io.aitbc.coordinator.taskstate.TaskStates;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;
import java.util.stream.Collectors;

/**
 * Runs lanes in a world generated from a seed: logs, a reservation store, agents, results and a clock. First, all faults are injected:
 * crashes between any two effects, partitions revoked with and without notice, lost answers, stale views, late results. Then the faults
 * stop until everything is done. A violated guarantee throws an {@link AssertionError}.
 */
final class SimulatedCluster {
    private static final Instant START = Instant.parse("2026-11-01T12:00:00Z");
    private static final HealthPolicy HEALTH =
            new HealthPolicy(Duration.ofSeconds(30), Duration.ofHours(300), 0.0, 2, 2);
    private static final List<Priority> QUEUES = List.of(Priority.URGENT, Priority.NORMAL, Priority.LOW);
    private static final int PARTITIONS = 2;
    /** Estimated heap usage of a simulated task, for the memory limits. */
    private static final long TASK_HEAP = ATask.named("t").build().heap();

    private static final int TASKS = 40;
    private static final Aging AGING = new Aging(Duration.ofSeconds(2), 0.1);
    private static final Duration TIMEOUT = Duration.ofSeconds(20);

    private final Random random;
    /** How many payloads a lane keeps, and how many tasks may wait in it. */
    private final int payloadsKept;

    private final int maxWaiting;
    /** Whether a coordinator may continue with partitions that it no longer owns. */
    private final boolean zombies;

    private Instant now = START;
    private boolean calm;
    private int submitted;
    private int coordinatorsStarted;

    private final Map<Id, List<Task>> logs = new LinkedHashMap<>();
    /** The first offsets that have not been deleted. */
    private final Map<Id, Integer> beginnings = new HashMap<>();

    private final Map<Id, Commit> commits = new HashMap<>();
    /** The records of {@code coordinator.ledger}, by partition and writer. */
    private final Map<Id, Map<String, OffsetLedger.Snapshot>> ledgers = new HashMap<>();

    private final Map<Id, Coordinator> owners = new HashMap<>();
    private final List<Coordinator> coordinators = new ArrayList<>();
    private final List<Effect> effects = new ArrayList<>();
    private final Map<String, SimulatedAgent> agents = new LinkedHashMap<>();
    private final SimulatedStore store = new SimulatedStore();
    private final Map<String, Task> tasks = new LinkedHashMap<>();
    private final Map<String, Instant> deadlines = new HashMap<>();
    private final List<Result> results = new ArrayList<>();
    private int resultsSettled;
    private final List<ClearQueue> clears = new ArrayList<>();
    private final Map<String, Integer> clearCounts = new HashMap<>();
    private final Map<String, Set<Id>> clearsMissing = new HashMap<>();
    /** Ids of the events in Kafka, and of the tasks that one of them carries. */
    private final Set<String> published = new HashSet<>();

    private final Set<String> publishedWithTask = new HashSet<>();
    /** Attempts that ended without their task being known to anybody. */
    private final Set<String> payloadsLost = new HashSet<>();

    /** Whether limits are defined. */
    private final boolean limited;

    /** Whether agents have resources, and tasks take some. */
    private final boolean resourced;

    private int definitions;

    SimulatedCluster(long seed) {
        // Adjacent small seeds would produce similar sequences.
        random = new Random(seed * 0x9E3779B97F4A7C15L);
        zombies = seed % 2 == 0;
        payloadsKept = random.nextInt(3) == 0 ? 1_000 : 1 + random.nextInt(8);
        maxWaiting = random.nextInt(3) == 0 ? 1 + random.nextInt(10) : 1_000;
        for (Priority priority : QUEUES) {
            for (int number = 0; number < PARTITIONS; number++) {
                logs.put(new Id(priority, number), new ArrayList<>());
            }
        }
        limited = random.nextBoolean();
        resourced = random.nextInt(3) == 0;
        defineLimits();
        addAgent("a1", "a", 1 + random.nextInt(3));
        addAgent("a2", "a", 1 + random.nextInt(3));
        addAgent("ab", "b", 1);
        startCoordinator();
        startCoordinator();
    }

    /** Returns a summary line. */
    String run() {
        int steps = 200 + random.nextInt(600);
        for (int i = 0; i < steps; i++) {
            step();
            check();
        }
        while (submitted < TASKS) {
            submit();
        }
        calm = true;
        defineLimits();
        if (agents.size() < 4) {
            addAgent("late", "late", 5);
        }
        while (coordinators.isEmpty()) {
            startCoordinator();
        }
        agents.values().stream().filter(agent -> !agent.alive).forEach(SimulatedAgent::revive);
        settleOwnership();
        for (int i = 0; !isDone(); i++) {
            if (i > 4_000) {
                throw new AssertionError("not all tasks have ended: " + leftOver());
            }
            calmStep();
            check();
        }
        checkEnd();
        return submitted + " tasks, " + results.size() + " results";
    }

    // Events

    private void step() {
        int dice = random.nextInt(100);
        if (dice < 12) {
            if (submitted < TASKS) {
                submit();
            }
        } else if (dice < 45) {
            any(coordinators).ifPresent(Coordinator::poll);
        } else if (dice < 65) {
            runEffect();
        } else if (dice < 80) {
            any(List.copyOf(agents.values())).ifPresent(SimulatedAgent::act);
        } else if (dice < 86) {
            settleResults();
        } else if (dice < 88) {
            recover();
        } else if (dice < 92) {
            now = now.plusMillis(random.nextInt(3_000));
        } else if (dice < 94) {
            any(coordinators).ifPresent(Coordinator::crash);
        } else if (dice < 96) {
            if (coordinators.size() < 3) {
                startCoordinator();
            }
            rebalance();
        } else if (dice < 97) {
            any(List.copyOf(agents.values())).ifPresent(agent -> {
                if (agent.alive) {
                    agent.die();
                } else {
                    agent.revive();
                }
            });
        } else if (dice < 98) {
            clear();
        } else if (dice < 99) {
            cancel();
        } else if (random.nextInt(8) == 0) {
            if (random.nextBoolean()) {
                // The group is deleted, which Kafka permits only while it has no members.
                List.copyOf(coordinators).forEach(Coordinator::crash);
                commits.clear();
            } else {
                deleteRecords();
            }
        } else if (random.nextInt(4) == 0) {
            defineLimits();
        } else {
            any(coordinators).ifPresent(Coordinator::refreshView);
        }
        if (random.nextInt(20) == 0) {
            any(coordinators).ifPresent(Coordinator::publishWants);
        }
    }

    private void calmStep() {
        now = now.plusMillis(300);
        List.copyOf(coordinators).forEach(Coordinator::poll);
        while (!effects.isEmpty()) {
            runEffect();
        }
        List.copyOf(coordinators).forEach(Coordinator::refreshView);
        List.copyOf(coordinators).forEach(Coordinator::publishWants);
        agents.values().forEach(SimulatedAgent::act);
        settleResults();
        recover();
        settleOwnership();
    }

    private void submit() {
        String id = "t" + submitted++;
        int kind = random.nextInt(10);
        String capability = kind < 5 ? "a" : kind < 7 ? "b" : "late";
        Task task = new Task(
                id,
                Payload.of(Json.object()),
                null,
                requirements(capability),
                1 + random.nextInt(3),
                (int) TIMEOUT.toSeconds(),
                random.nextInt(8) == 0 ? now.plusSeconds(random.nextInt(10)) : null,
                random.nextInt(8) == 0 ? now.plusSeconds(random.nextInt(30)) : null,
                now,
                1,
                null,
                null,
                random.nextBoolean() ? "tenant-" + random.nextInt(4) : null,
                random.nextInt(3) == 0 ? 0.5 + random.nextInt(5) : null,
                Map.of(),
                uses(),
                Map.of());
        tasks.put(id, task);
        Id partition = new Id(QUEUES.get(random.nextInt(QUEUES.size())), random.nextInt(PARTITIONS));
        append(partition, task);
        if (random.nextInt(15) == 0) {
            // A producer retry: the same task is appended twice.
            append(partition, task);
        }
    }

    /** Defines limits; coordinators learn of them sooner or later. */
    private void defineLimits() {
        if (!limited) {
            return;
        }
        Map<String, Limit> limits = new HashMap<>();
        limits.put("places", new Limit((long) random.nextInt(calm ? 1 : 0, 4), null, null, null));
        limits.put("calls", new Limit(null, new Limit.Rate(2L, 0.5 + random.nextInt(3), 2L), null, null));
        if (random.nextBoolean()) {
            limits.put(
                    "tenant/*",
                    new Limit(1L + random.nextInt(2), null, null, new Limit.AppliesTo(null, null, null, "*")));
        }
        definitions++;
        store.limits = new LimitBook("topic " + definitions, limits);
    }

    private Requirements requirements(String capability) {
        ATask task = ATask.named("any").requires(capability);
        int dice = resourced ? random.nextInt(4) : 3;
        return switch (dice) {
            case 0 -> task.takes("gpu 0.5").build().task().requirements();
            case 1 ->
                task.takes("gpu " + (1 + random.nextInt(2)), "memory 1")
                        .build()
                        .task()
                        .requirements();
            default -> task.build().task().requirements();
        };
    }

    private Map<String, Long> uses() {
        Map<String, Long> uses = new HashMap<>();
        if (limited && random.nextInt(3) == 0) {
            uses.put("places", random.nextInt(20) == 0 ? 100 : 1L + random.nextInt(2));
        }
        if (limited && random.nextInt(4) == 0) {
            uses.put("calls", 1L + random.nextInt(2));
        }
        return uses;
    }

    private void append(Id partition, Task task) {
        logs.get(partition).add(task);
    }

    private static Position at(Id id, long offset) {
        return new Position(id.priority(), id.number(), offset);
    }

    private boolean isDeleted(Position position) {
        return position.offset() < beginnings.getOrDefault(Id.of(position), 0);
    }

    private Task taskAt(Position position) {
        return logs.get(Id.of(position)).get((int) position.offset());
    }

    /** Deletes the first records of a partition, as an operator might. */
    private void deleteRecords() {
        any(List.copyOf(logs.keySet())).ifPresent(id -> {
            int beginning = beginnings.getOrDefault(id, 0);
            beginnings.put(id, beginning + random.nextInt(logs.get(id).size() - beginning + 1));
        });
    }

    /** Fails the task of a record that is gone, unless more is known of it. */
    private void failLost(Position position) {
        Task task = taskAt(position);
        if (store.failLost(task.taskId(), task.attempt())) {
            // The script itself writes it to the outbox: it is published even if the caller dies.
            published.add(task.taskId() + ":" + task.attempt() + ":failed");
        }
    }

    /** Publishes events, as far as Kafka has them before it fails. */
    private void publishEvents(List<TaskEvent> events) {
        for (TaskEvent event : events) {
            if (!calm && random.nextInt(12) == 0) {
                throw new IllegalStateException("Kafka is away");
            }
            published.add(event.id());
            if (event.change().task() != null) {
                publishedWithTask.add(event.taskId());
            }
        }
    }

    private void clear() {
        Priority priority = QUEUES.get(random.nextInt(QUEUES.size()));
        if (clears.stream().filter(one -> one.priority() == priority).count() == Clears.MAX_KEPT) {
            return;
        }
        Map<Integer, Long> ends = new TreeMap<>();
        logs.forEach((id, log) -> {
            if (id.priority() == priority) {
                ends.put(id.number(), (long) log.size());
            }
        });
        ClearQueue command = new ClearQueue("clear-" + clears.size(), priority, ends, now);
        clears.add(command);
        clearsMissing.put(
                command.commandId(),
                ends.entrySet().stream()
                        .filter(entry -> entry.getValue() > 0)
                        .map(entry -> new Id(priority, entry.getKey()))
                        .collect(Collectors.toCollection(LinkedHashSet::new)));
        coordinators.forEach(coordinator -> coordinator.lane.clear(command));
    }

    private static boolean covers(ClearQueue clear, WaitingTask task) {
        Position position = task.position();
        return clear.priority() == position.priority()
                && position.offset() < clear.endOffsets().get(position.partition());
    }

    private void cancel() {
        any(List.copyOf(tasks.keySet())).ifPresent(taskId -> {
            boolean ended = store.task(taskId).hasEnded();
            store.cancel(taskId);
            if (!ended && store.task(taskId).hasEnded()) {
                published.add(taskId + ":" + store.task(taskId).attempt + ":cancelled");
                coordinators.forEach(coordinator -> {
                    if (random.nextInt(4) > 0) {
                        coordinator.lane.cancelled(Set.of(taskId));
                    }
                });
            }
        });
    }

    // Coordinators and their partitions

    private void startCoordinator() {
        Coordinator coordinator = new Coordinator();
        coordinators.add(coordinator);
        clears.forEach(coordinator.lane::clear);
        settleOwnership();
    }

    /** Gives every partition a live owner, and lets every coordinator notice its losses. */
    private void settleOwnership() {
        for (Id id : logs.keySet()) {
            Coordinator owner = owners.get(id);
            if (owner == null || !coordinators.contains(owner)) {
                any(coordinators).ifPresent(next -> give(id, next));
            }
        }
        coordinators.forEach(Coordinator::noticeLosses);
    }

    private void rebalance() {
        if (coordinators.isEmpty()) {
            return;
        }
        for (Id id : logs.keySet()) {
            if (random.nextBoolean()) {
                Coordinator from = owners.get(id);
                Coordinator to = any(coordinators).orElseThrow();
                if (from != to && from != null && coordinators.contains(from) && (!zombies || random.nextInt(3) > 0)) {
                    from.handOver(id);
                }
                give(id, to);
            }
        }
        // Without a handover, the old owners continue and notice the loss later.
    }

    private void give(Id id, Coordinator to) {
        Coordinator from = owners.put(id, to);
        if (from != to) {
            to.gain(id);
        }
    }

    private final class Coordinator implements SideEffects {
        final Matcher matcher = new Matcher(
                HEALTH,
                AGING,
                LoadBalancingStrategy.LEAST_CONNECTIONS,
                new Random(random.nextLong()),
                payloadsKept * TASK_HEAP);
        final Lane lane = new Lane(matcher, this, maxWaiting, 5);
        final Map<Id, Long> positions = new LinkedHashMap<>();
        final PriorityOrder order = new PriorityOrder();
        /** Since when waiting tasks have been without a payload. */
        Map<Position, Instant> awaitedSince = new HashMap<>();

        final String id = "coordinator-" + coordinatorsStarted++;
        boolean dead;

        Coordinator() {
            matcher.limits().define(store.limits);
            refreshView();
        }

        /** Applies definitions of limits. If other limits apply to tasks that wait, starts over. */
        private void defineLimits() {
            if (matcher.limits().book() != store.limits
                    && (calm || random.nextInt(3) == 0)
                    && lane.define(store.limits)) {
                Set<Id> owned = Set.copyOf(positions.keySet());
                lane.lostAll();
                positions.clear();
                owned.forEach(this::gain);
            }
        }

        void gain(Id id) {
            if (positions.containsKey(id)) {
                lose(id);
            }
            Commit commit = commits.getOrDefault(id, new Commit(0, "", null));
            OffsetLedger done = OffsetLedger.restore(commit.offset(), commit.metadata());
            ledgers.getOrDefault(id, Map.of()).values().forEach(ledger -> {
                for (long offset = done.lowestUnfinished(); offset < ledger.lowestUnfinished(); offset++) {
                    done.finished(offset);
                }
                ledger.done().stream().forEach(bit -> done.finished(ledger.lowestUnfinished() + bit));
            });
            for (long offset = done.lowestUnfinished(); offset < beginnings.getOrDefault(id, 0); offset++) {
                if (!done.isDone(offset)) {
                    SimulatedCluster.this.failLost(at(id, offset));
                }
            }
            positions.put(id, Math.max(done.lowestUnfinished(), beginnings.getOrDefault(id, 0)));
            lane.gained(id, done, store.reserved(id));
        }

        /** Revokes the partition as the group does, with a final commit. */
        void handOver(Id id) {
            List<Effect> mine = !zombies || random.nextBoolean() ? openEffects() : List.of();
            while (!mine.isEmpty()) {
                effects.removeAll(mine);
                mine.forEach(Effect::runAndAnswer);
                mine = openEffects();
            }
            commit();
            lose(id);
        }

        private List<Effect> openEffects() {
            return effects.stream().filter(effect -> effect.owner == this).toList();
        }

        void noticeLosses() {
            for (Id id : List.copyOf(positions.keySet())) {
                if (owners.get(id) != this) {
                    lose(id);
                }
            }
        }

        private void lose(Id id) {
            positions.remove(id);
            lane.lost(Set.of(id));
        }

        void poll() {
            if (!calm && random.nextInt(6) == 0) {
                noticeLosses();
            }
            for (Id id : List.copyOf(positions.keySet())) {
                for (int read = random.nextInt(4); read > 0 && !lane.isFull(id); read--) {
                    int beginning = beginnings.getOrDefault(id, 0);
                    long offset = Math.max(positions.get(id), beginning);
                    if (offset > positions.get(id) || random.nextInt(8) == 0) {
                        lane.deletedBelow(id, beginning);
                    }
                    positions.put(id, offset);
                    if (offset >= logs.get(id).size()) {
                        break;
                    }
                    positions.put(id, offset + 1);
                    Position position = at(id, offset);
                    if (lane.received(position)) {
                        read(position);
                    }
                }
            }
            defineLimits();
            // Notes which payloads are missing.
            backlog();
            lane.round(now);
            backlog();
            if (!calm && random.nextInt(40) == 0) {
                positions
                        .keySet()
                        .forEach(id ->
                                lane.relocate(id, random.nextInt(logs.get(id).size() + 1)));
            }
            if (calm || random.nextInt(3) == 0) {
                commit();
            }
        }

        private void read(Position position) {
            WaitingTask task = waiting(position);
            if (lane.needsPayload(position) || lane.needsPayload(TaskSummary.of(task))) {
                lane.addWaiting(task, now);
            } else {
                lane.addWaiting(TaskSummary.of(task), now);
            }
        }

        private WaitingTask waiting(Position position) {
            Task task = taskAt(position);
            return new WaitingTask(task, position, task.submittedAt(), 100);
        }

        /**
         * Those without a payload for a second do not count, nor those of partitions that did not answer for a second: agents are not left
         * free for them any longer.
         */
        private List<WaitingTask> backlog() {
            Map<Position, Instant> awaited = new HashMap<>();
            List<WaitingTask> waiting = new ArrayList<>();
            for (BacklogEntry entry : matcher.backlog().find(any -> true)) {
                Instant since = entry.task() == null ? awaitedSince.getOrDefault(entry.position(), now) : now;
                if (entry.task() == null) {
                    awaited.put(entry.position(), since);
                }
                boolean isUnreachable =
                        entry.task() == null && matcher.backlog().isUnreachable(entry);
                if (!isUnreachable && now.isBefore(since.plusSeconds(1))) {
                    waiting.add(waiting(entry.position()));
                }
            }
            awaitedSince = awaited;
            return waiting;
        }

        private void commit() {
            Map<Id, Commit> changed = lane.commits(id -> true);
            if (!calm && random.nextInt(5) == 0) {
                lane.commitFailed();
                return;
            }
            changed.forEach((id, committed) -> {
                Commit commit = committed;
                if (random.nextInt(3) == 0) {
                    // As if nothing of it fitted into the commit. A zombie writes its ledger too.
                    OffsetLedger done = OffsetLedger.restore(commit.offset(), commit.metadata());
                    ledgers.computeIfAbsent(id, any -> new HashMap<>()).put(this.id, done.snapshot());
                    if (!calm && random.nextInt(5) == 0) {
                        lane.commitFailed();
                        return;
                    }
                    commit = new Commit(commit.offset(), "", null);
                }
                // The broker fences commits of a coordinator that has lost the partition without noticing.
                if (owners.get(id) == this) {
                    Commit before = commits.put(id, commit);
                    must(
                            before == null || before.offset() <= commit.offset(),
                            () -> "the committed offset of " + id + " went back from " + before + " to " + committed);
                }
            });
        }

        void crash() {
            dead = true;
            coordinators.remove(this);
            for (Effect effect : List.copyOf(effects)) {
                if (effect.owner == this) {
                    effects.remove(effect);
                    if (random.nextBoolean()) {
                        effect.run();
                    }
                }
            }
        }

        /** Publishes its wants; each message to another coordinator may get lost. */
        void publishWants() {
            List<Want> wants = matcher.wants(now, 20);
            if (!wants.isEmpty() || !matcher.keptAgents().isEmpty()) {
                List<LaneTime> times = matcher.laneTimes(wants, now);
                coordinators.stream().filter(other -> other != this).forEach(other -> {
                    if (random.nextInt(4) > 0) {
                        other.lane.updateRemoteWants(
                                id, wants, times, lane.matcher().limits().mostUrgent(), matcher.keptAgents(), now);
                    }
                });
            }
        }

        @Override
        public void offerSlots(List<SlotOffer> places) {
            for (SlotOffer place : places) {
                order.yielded(place);
                CompletableFuture<Object> delivery = effect(() -> {
                    coordinators.stream()
                            .filter(other -> other.id.equals(place.coordinatorId()))
                            .forEach(other -> {
                                other.order.offered();
                                other.lane.acceptOffers(List.of(place.agentId()), now);
                            });
                    return null;
                });
                must(!delivery.isDone(), () -> "an effect comes later");
            }
        }

        void refreshView() {
            agents.values().forEach(agent -> {
                if (agent.held.active) {
                    matcher.agents().addOrUpdate(agent.seen(), now);
                } else {
                    matcher.agents().remove(agent.id);
                }
            });
            matcher.updateLimits(store.limitStates());
        }

        @Override
        public CompletableFuture<Judgement> reserve(List<Placement> placements, LimitBook limits, Instant at) {
            order.check(placements, backlog(), matcher.keptAgents(), at);
            List<ClearQueue> announced = List.copyOf(clears);
            return effect(() -> {
                List<Verdict> verdicts = placements.stream()
                        .map(placement -> {
                            // By the clock of Redis: later requests have later times.
                            Verdict verdict = store.judge(placement, limits.version(), now);
                            if (verdict.ruling() == Ruling.GRANTED) {
                                checkLimits(placement.held());
                            }
                            if (verdict.ruling() == Ruling.GRANTED) {
                                deadlines.put(placement.waiting().id(), at.plus(TIMEOUT));
                            }
                            must(
                                    verdict.ruling() != Ruling.GRANTED
                                            || announced.stream()
                                                    .noneMatch(clear -> covers(clear, placement.waiting())),
                                    () -> placement.waiting().id() + " was granted, though it had been cleared");
                            return verdict;
                        })
                        .toList();
                publishEvents(LaneEvents.ofEnded(verdicts, at));
                Map<String, LimitState> states = new HashMap<>();
                placements.forEach(placement ->
                        placement.held().keySet().forEach(name -> states.put(name, store.limitState(name))));
                return new Judgement(verdicts, states, List.of());
            });
        }

        @Override
        public CompletableFuture<List<Boolean>> endWaiting(
                List<WaitingTask> ending, TaskStatus status, String clearId, LimitBook limits, Instant at) {
            return effect(() -> {
                List<Reservations.Ending> endings = ending.stream()
                        .map(task ->
                                status == TaskStatus.FAILED && !limits.version().equals(store.limits.version())
                                        ? Reservations.Ending.OUTDATED
                                        : end(task, status, clearId))
                        .toList();
                publishEvents(LaneEvents.ofEndings(ending, endings, status, clearId, at));
                return endings.stream()
                        .map(one -> one == Reservations.Ending.ENDED)
                        .toList();
            });
        }

        @Override
        public CompletableFuture<Void> publish(Verdict verdict) {
            return effect(() -> {
                agents.get(verdict.agentId())
                        .topic
                        .add(verdict.placement().waiting().task());
                publishEvents(List.of(LaneEvents.assigned(verdict)));
                return null;
            });
        }

        @Override
        public CompletableFuture<Payloads.Fetched> fetch(List<Position> wanted) {
            CompletableFuture<Payloads.Fetched> fetched = effect(() -> {
                Map<Position, WaitingTask> found = new HashMap<>();
                Set<Position> gone = new HashSet<>();
                for (Position position : wanted) {
                    if (isDeleted(position)) {
                        gone.add(position);
                    } else if (calm || random.nextInt(4) > 0) {
                        found.put(position, waiting(position));
                    }
                }
                return new Payloads.Fetched(found, gone, Set.of());
            });
            return calm || random.nextInt(10) > 0
                    ? fetched
                    : fetched.thenCompose(
                            lost -> CompletableFuture.failedFuture(new IllegalStateException("Kafka is away")));
        }

        @Override
        public CompletableFuture<Void> failLost(Set<Position> gone) {
            return effect(() -> {
                gone.forEach(SimulatedCluster.this::failLost);
                return null;
            });
        }

        @Override
        public CompletableFuture<Void> append(WaitingTask task) {
            return effect(() -> {
                SimulatedCluster.this.append(Id.of(task.position()), task.task());
                return null;
            });
        }

        @Override
        public CompletableFuture<List<Boolean>> recordQueued(List<WaitingTask> waiting) {
            return effect(() -> {
                List<TaskStates.Recorded> recorded = waiting.stream()
                        .map(one -> store.record(one.id(), one.task().attempt()))
                        .toList();
                publishEvents(LaneEvents.ofWaiting(waiting, recorded));
                return recorded.stream()
                        .map(one -> one == TaskStates.Recorded.ENDED)
                        .toList();
            });
        }

        @Override
        public Map<Id, Long> appendedEnds(Set<Id> partitions) {
            return partitions.stream().collect(Collectors.toMap(id -> id, id ->
                    (long) logs.get(id).size()));
        }

        @Override
        public long position(Id partition) {
            return positions.get(partition);
        }

        @Override
        public void report(QueueCleared cleared) {
            Id id = new Id(cleared.priority(), cleared.partition());
            coordinators.forEach(coordinator -> coordinator.lane.cleared(cleared));
            clearsMissing.get(cleared.commandId()).remove(id);
            checkCleared(cleared.commandId(), id);
        }

        private <T> CompletableFuture<T> effect(Supplier<T> action) {
            CompletableFuture<T> answer = new CompletableFuture<>();
            Effect effect = new Effect(this, action, answer);
            effects.add(effect);
            return answer;
        }
    }

    /** A pending request to Kafka or Redis. */
    private final class Effect {
        final Coordinator owner;
        final Supplier<?> action;
        private final CompletableFuture<?> answer;

        <T> Effect(Coordinator owner, Supplier<T> action, CompletableFuture<T> answer) {
            this.owner = owner;
            this.action = action;
            this.answer = answer;
        }

        /** Runs it; an event that Kafka does not take afterwards is lost with it. */
        void run() {
            try {
                action.get();
            } catch (IllegalStateException e) {
                // As if the process had died before.
                must(!calm, e::getMessage);
            }
        }

        @SuppressWarnings("unchecked")
        void runAndAnswer() {
            Object done;
            try {
                done = action.get();
            } catch (IllegalStateException e) {
                answer.completeExceptionally(e);
                return;
            }
            ((CompletableFuture<Object>) answer).complete(done);
        }

        void failAndAnswer() {
            answer.completeExceptionally(new IllegalStateException("simulated"));
        }
    }

    private void runEffect() {
        if (effects.isEmpty()) {
            return;
        }
        Effect effect = effects.remove(random.nextInt(effects.size()));
        int dice = calm ? 9 : random.nextInt(10);
        if (dice == 0) {
            effect.failAndAnswer();
        } else if (dice == 1) {
            effect.run();
            effect.failAndAnswer();
        } else {
            effect.runAndAnswer();
        }
    }

    private Reservations.Ending end(WaitingTask waiting, TaskStatus status, String clearId) {
        String answer = store.endWaiting(waiting.id(), waiting.task().attempt(), status.wireName());
        if (answer.equals("ended") && status == TaskStatus.CANCELLED && !clearId.isEmpty()) {
            clearCounts.merge(clearId, 1, Integer::sum);
        }
        return switch (answer) {
            case "ended", "stands" -> Reservations.Ending.ENDED;
            case "before" -> Reservations.Ending.ENDED_BEFORE;
            default -> Reservations.Ending.LIVE;
        };
    }

    // Agents, results, and requeueing

    private void addAgent(String id, String capability, int capacity) {
        agents.put(id, new SimulatedAgent(id, capability, capacity));
    }

    private final class SimulatedAgent {
        final String id;
        final String capability;
        final int capacity;
        final SimulatedStore.Agent held;
        final List<Task> topic = new ArrayList<>();
        final Set<String> seen = new HashSet<>();
        final List<Task> inHand = new ArrayList<>();
        /** Whether it claims its assignments, and reads no topic. */
        final boolean pulls = random.nextInt(3) == 0;

        final Set<String> confirmed = new HashSet<>();
        /** Maximum number of assignments of its open claim; 0 if it has none. */
        int claimed;

        int read;
        boolean alive = true;

        SimulatedAgent(String id, String capability, int capacity) {
            this.id = id;
            this.capability = capability;
            this.capacity = capacity;
            this.held = store.addAgent(id, capacity);
            held.openSlots = pulls ? 0 : null;
            held.resources = ATask.resources("gpu " + (2 + random.nextInt(2)), "memory 2");
        }

        Agent seen() {
            AnAgent agent = AnAgent.named(id)
                    .capabilities(capability)
                    .capacity(capacity)
                    .holds(held.inflight.size())
                    .resources(held.resources, store.resourcesInUse(id))
                    .lastHeartbeat(now);
            return (held.openSlots == null ? agent : agent.pulls(held.openSlots)).build();
        }

        void act() {
            if (!alive) {
                return;
            }
            if (pulls) {
                claim();
            } else {
                topic.subList(read, topic.size()).forEach(this::receive);
                read = topic.size();
            }
            if (!inHand.isEmpty() && (calm || random.nextInt(3) > 0)) {
                Task task = inHand.remove(random.nextInt(inHand.size()));
                int dice = calm ? 9 : random.nextInt(10);
                if (dice > 0) {
                    results.add(new Result(task, id, dice == 1 ? "rejected" : dice < 4 ? "failed" : "completed"));
                }
            }
        }

        /** Opens a claim, or is answered if it has one and there are assignments. What an answer carried that got lost is served again. */
        private void claim() {
            if (claimed == 0) {
                claimed = 1 + random.nextInt(3);
                held.openSlots = claimed;
                return;
            }
            List<Task> served = topic.stream()
                    .filter(task -> !confirmed.contains(attempt(task))
                            && store.task(task.taskId()).isLive(task.attempt(), id))
                    .limit(claimed)
                    .toList();
            if (served.isEmpty() && random.nextInt(10) == 0) {
                // The claim times out.
                closeClaim();
            }
            if (!served.isEmpty()) {
                closeClaim();
                if (calm || random.nextInt(5) > 0) {
                    served.forEach(task -> confirmed.add(attempt(task)));
                    served.forEach(this::receive);
                }
            }
        }

        private void closeClaim() {
            claimed = 0;
            held.openSlots = pulls ? 0 : null;
        }

        private void receive(Task task) {
            if (seen.add(attempt(task))) {
                inHand.add(task);
            }
        }

        private String attempt(Task task) {
            return task.taskId() + ":" + task.attempt();
        }

        void die() {
            alive = false;
            held.active = false;
            inHand.clear();
            closeClaim();
        }

        void revive() {
            alive = true;
            held.active = true;
        }
    }

    private void settleResults() {
        int upTo = results.size();
        int at = resultsSettled;
        while (at < upTo) {
            Result result = results.get(at++);
            String settled = store.settle(result.task.taskId(), result.task.attempt(), result.agentId, result.outcome);
            try {
                if (settled.equals("give back")) {
                    requeue(result.task, result.agentId, result.outcome.equals("rejected"));
                } else if (settled.equals("completed") || settled.equals("settled before")) {
                    publishEvents(List.of(TaskEvent.completed(result.completed(), now)));
                }
            } catch (IllegalStateException e) {
                // Read again.
                return;
            }
            if (!calm && random.nextInt(20) == 0) {
                // A crash before the commit: the batch is read again.
                return;
            }
        }
        resultsSettled = upTo;
    }

    private void recover() {
        for (String taskId : tasks.keySet()) {
            try {
                recover(taskId);
            } catch (IllegalStateException e) {
                // Tried again in the next round.
                must(!calm, e::getMessage);
            }
        }
    }

    private void recover(String taskId) {
        SimulatedStore.State state = store.task(taskId);
        if ((state.isAssigned() || state.isFailing())
                && (deadlines.get(taskId).isBefore(now) || !store.agent(state.agentId).active)) {
            agents.get(state.agentId).topic.stream()
                    .filter(task -> task.taskId().equals(taskId) && task.attempt() == state.attempt)
                    .findFirst()
                    .ifPresentOrElse(task -> requeue(task, state.agentId, false), () -> {
                        // Without zombies, lanes have to detect this themselves, unless the record is gone.
                        if (zombies || state.origin != null && isDeleted(state.origin)) {
                            recoverUnpublished(taskId, state);
                        }
                    });
        }
    }

    /**
     * Recovers an attempt that its agent never received. Its record's owner publishes it, unless the record is done: a paused coordinator
     * was granted the attempt after the owner had found the record done. The attempt is then requeued from the record; if that is gone, the task
     * fails.
     */
    private void recoverUnpublished(String taskId, SimulatedStore.State state) {
        Position origin = state.origin;
        Commit commit = origin == null ? null : commits.get(Id.of(origin));
        if (commit != null && origin.offset() < commit.offset()) {
            if (!isDeleted(origin)) {
                requeue(taskAt(origin), state.agentId, false);
            } else if (!store.fence(taskId, state.attempt, state.agentId).equals("before")) {
                payloadsLost.add(taskId + ":" + state.attempt);
                published.add(taskId + ":" + state.attempt + ":failed");
                store.release(taskId, state.attempt, state.agentId, 0);
            }
        } else {
            coordinators.forEach(coordinator -> coordinator.lane.unpublished(Set.of(taskId)));
        }
    }

    /** Requeues the task, or fences its last attempt, before ending the attempt; a crash may come in between. */
    private void requeue(Task task, String agentId, boolean rejected) {
        int next = task.attempt() + 1;
        boolean again = rejected || next <= task.maxAttempts();
        if (!again && store.fence(task.taskId(), task.attempt(), agentId).equals("before")) {
            return;
        }
        Task basis = rejected ? task.rejected(agentId) : task;
        Task retry = again ? basis.attempt(next, now.plusSeconds(random.nextInt(3))) : null;
        // Before the record: whoever reads it may assume that this attempt has ended.
        publishEvents(List.of(
                TaskEvent.assigned(task, Priority.NORMAL, agentId, now),
                TaskEvent.failed(task.id(), task.attempt(), agentId, now, "failed", Json.tree("why"), retry, now)));
        if (again) {
            append(
                    new Id(
                            QUEUES.get(Math.floorMod(task.taskId().hashCode(), QUEUES.size())),
                            random.nextInt(PARTITIONS)),
                    retry);
        }
        if (!calm && random.nextInt(6) == 0) {
            return;
        }
        store.release(task.taskId(), task.attempt(), agentId, again ? next : 0);
    }

    // Guarantees

    private void check() {
        for (SimulatedAgent agent : agents.values()) {
            must(
                    agent.held.inflight.size() <= agent.capacity,
                    () -> agent.id + " holds " + agent.held.inflight + ", more than " + agent.capacity);
        }
        Map<String, Map<String, Long>> live = new TreeMap<>();
        store.tasks().forEach((taskId, state) -> {
            if (state.isAssigned() || state.isFailing()) {
                state.uses.forEach((name, units) ->
                        live.computeIfAbsent(name, any -> new TreeMap<>()).put(taskId, units));
            }
        });
        store.heldUnits.forEach((name, held) -> must(
                held.equals(live.getOrDefault(name, Map.of())),
                () -> "of " + name + " " + held + " is held, but used by " + live.get(name)));
    }

    /** Checks that an attempt that was granted does not exceed a limit. */
    private void checkLimits(Map<String, Long> uses) {
        for (String name : uses.keySet()) {
            Limit limit = store.definition(name);
            must(
                    limit == null
                            || limit.concurrency() == null
                            || store.limitState(name).used() <= limit.concurrency(),
                    () -> store.limitState(name) + " of " + name + " exceeds " + limit);
        }
    }

    /**
     * Checks P3 in one lane: no task is placed while a more urgent one that could have the agent waits. The only exception is the aged task
     * that has waited longest, no more often than the share of aged tasks allows.
     */
    private final class PriorityOrder {
        /** In each pool, the ends of two periods may coincide; the pools of a kind are recreated when all its agents were gone. */
        private static final int SLACK = 4;

        private final Map<String, Integer> placed = new HashMap<>();
        private final Map<String, Integer> forAged = new HashMap<>();
        private int offered;

        void yielded(SlotOffer place) {
            // Counts as a placement for an aged task, wherever that task waits.
            String kind = agents.get(place.agentId()).capability;
            placed.merge(kind, 1, Integer::sum);
            forAged.merge(kind, 1, Integer::sum);
        }

        void offered() {
            offered++;
        }

        void check(List<Placement> placements, Collection<WaitingTask> backlog, List<KeptAgent> kept, Instant at) {
            if (placements.stream().anyMatch(placement -> placement.agentId().isEmpty())) {
                // The batch only queries who holds these tasks.
                return;
            }
            List<WaitingTask> waiting = new ArrayList<>(backlog);
            placements.forEach(placement -> waiting.add(placement.waiting()));
            for (Placement placement : placements) {
                waiting.remove(placement.waiting());
                check(placement, waiting, kept, at);
            }
        }

        private void check(Placement placement, List<WaitingTask> waiting, List<KeptAgent> kept, Instant at) {
            WaitingTask task = placement.waiting();
            String kind = agents.get(placement.agentId()).capability;
            List<WaitingTask> ofKind = waiting.stream()
                    .filter(other -> other.task().requirements().capabilities().equals(List.of(kind))
                            && (other.task().notBefore() == null
                                    || !other.task().notBefore().isAfter(at)))
                    .sorted(Comparator.comparing(WaitingTask::waitingSince)
                            .thenComparing(other -> other.position().partition())
                            .thenComparing(other -> other.position().offset()))
                    .toList();
            List<WaitingTask> couldHaveIt = ofKind.stream()
                    .filter(other -> !wasRejected(other, placement) && !mayBeKeptBack(other))
                    .toList();
            placed.merge(kind, 1, Integer::sum);
            if (kept.stream().anyMatch(one -> one.agentId().equals(placement.agentId()))) {
                // For it, or for one that takes as much.
                return;
            }
            if (couldHaveIt.stream().noneMatch(other -> level(other) < level(task))) {
                return;
            }
            must(isAged(task, at), () -> "P3: " + task + " was placed before one of " + couldHaveIt);
            must(
                    couldHaveIt.stream()
                            .noneMatch(other -> isAged(other, at)
                                    && !isBehindRejected(other, ofKind, placement)
                                    && Objects.equals(
                                            other.task().fairnessKey(),
                                            task.task().fairnessKey())
                                    && other.waitingSince().isBefore(task.waitingSince())
                                    && couldHaveIt.stream().anyMatch(urgent -> level(urgent) < level(other))),
                    () -> "P3: " + task + " was placed, though another has been aged for longer: " + couldHaveIt);
            int often = forAged.merge(kind, 1, Integer::sum);
            must(
                    often <= placed.get(kind) * AGING.share() + SLACK + offered,
                    () -> "P3: " + often + " of " + placed.get(kind) + " placements went to aged tasks of " + kind);
        }

        private boolean wasRejected(WaitingTask task, Placement placement) {
            return placement.agentId().equals(task.task().rejectedBy());
        }

        /** Whether a limit may keep it back. */
        private boolean mayBeKeptBack(WaitingTask task) {
            return !task.task().requirements().resources().isEmpty()
                    || limited && (!task.task().uses().isEmpty() || task.task().fairnessKey() != null);
        }

        /** The matcher looks only at the first task of a priority; here, that one must not go straight back to the agent. */
        private boolean isBehindRejected(WaitingTask task, List<WaitingTask> ofKind, Placement placement) {
            WaitingTask first = ofKind.stream()
                    .filter(other -> level(other) == level(task))
                    .findFirst()
                    .orElseThrow();
            return first != task && wasRejected(first, placement);
        }

        private boolean isAged(WaitingTask task, Instant at) {
            return AGING.isAged(task.position().priority(), task.waitingSince(), at);
        }

        private int level(WaitingTask task) {
            return task.position().priority().ordinal();
        }
    }

    /** Checks that no attempt is in the topics of two agents. */
    private void checkTopics() {
        Map<String, String> holders = new HashMap<>();
        for (SimulatedAgent agent : agents.values()) {
            for (Task task : agent.topic) {
                String attempt = task.taskId() + ":" + task.attempt();
                String other = holders.putIfAbsent(attempt, agent.id);
                must(
                        other == null || other.equals(agent.id),
                        () -> attempt + " was given to " + other + " and to " + agent.id);
            }
        }
    }

    /** Checks that no task covered by a finished clear still waits. */
    private void checkCleared(String commandId, Id id) {
        ClearQueue command = clears.stream()
                .filter(one -> one.commandId().equals(commandId))
                .findFirst()
                .orElseThrow();
        long end = command.endOffsets().get(id.number());
        for (int offset = beginnings.getOrDefault(id, 0); offset < end; offset++) {
            Task task = logs.get(id).get(offset);
            SimulatedStore.State state = store.task(task.taskId());
            // Records of a failing task are dropped, whatever their attempt.
            boolean waits = !state.hasEnded()
                    && !state.isFailing()
                    && !(state.isAssigned() && state.attempt >= task.attempt())
                    && state.attempt <= task.attempt();
            int at = offset;
            must(
                    !waits,
                    () -> commandId + " is finished in " + id + ", but " + task.taskId() + " still waits: attempt "
                            + task.attempt() + " at " + at + " while " + state.status + " " + state.attempt
                            + ", deleted below "
                            + beginnings.get(id));
        }
    }

    private void checkEnd() {
        checkTopics();
        for (String taskId : tasks.keySet()) {
            int ends = store.task(taskId).ends;
            must(ends == 1, () -> taskId + " ended " + ends + " times");
        }
        logs.forEach((id, log) -> must(
                commits.get(id).offset() == log.size(),
                () -> id + " is committed up to " + commits.get(id) + " of " + log.size()));
        checkEvents();
        clearsMissing.forEach(
                (commandId, missing) -> must(missing.isEmpty(), () -> commandId + " is not finished in " + missing));
        long cancelledByClear =
                clearCounts.values().stream().mapToInt(Integer::intValue).sum();
        long cancelled = store.tasks().values().stream()
                .filter(state -> state.status.equals("cancelled"))
                .count();
        must(cancelledByClear <= cancelled, () -> "clears counted " + cancelledByClear + " of " + cancelled);
    }

    /** Checks that every step has its event, and that no end was published that did not happen. */
    private void checkEvents() {
        for (String happened : store.history) {
            must(published.contains(happened) || mayBeMissing(happened), () -> happened + " has no event");
        }
        for (String event : published) {
            must(
                    !event.matches(".*:(completed|failed|cancelled|expired)") || store.history.contains(event),
                    () -> event + " was published, but did not happen");
        }
        tasks.keySet()
                .forEach(taskId -> must(
                        publishedWithTask.contains(taskId) || areRecordsDeleted(taskId),
                        () -> "no event has the input of " + taskId));
    }

    /** Published when a record is read again, unless it has been deleted. Results and requeued attempts need no record. */
    private boolean mayBeMissing(String event) {
        String attempt = event.substring(0, event.lastIndexOf(':'));
        return event.matches(".*:(assigned|cancelled|expired|failed)")
                && (payloadsLost.contains(attempt) || areRecordsDeleted(attempt.substring(0, attempt.indexOf(':'))));
    }

    private boolean areRecordsDeleted(String taskId) {
        return logs.entrySet().stream()
                .anyMatch(log -> log.getValue().subList(0, beginnings.getOrDefault(log.getKey(), 0)).stream()
                        .anyMatch(task -> task.id().equals(taskId)));
    }

    private boolean isDone() {
        return tasks.keySet().stream().allMatch(taskId -> store.task(taskId).hasEnded())
                && resultsSettled == results.size()
                && logs.entrySet().stream()
                        .allMatch(log -> commits.containsKey(log.getKey())
                                && commits.get(log.getKey()).offset()
                                        == log.getValue().size())
                && clearsMissing.values().stream().allMatch(Set::isEmpty);
    }

    private String leftOver() {
        return tasks.keySet().stream()
                        .filter(taskId -> !store.task(taskId).hasEnded())
                        .map(taskId -> taskId + " " + store.task(taskId).status + " " + store.task(taskId).attempt + " "
                                + tasks.get(taskId).requirements().capabilities())
                        .sorted(Comparator.naturalOrder())
                        .toList()
                + ", commits "
                + logs.entrySet().stream()
                        .map(log -> log.getKey() + ": " + commits.get(log.getKey()) + " of "
                                + log.getValue().size())
                        .toList()
                + ", clears "
                + clearsMissing
                + ", deleted "
                + beginnings
                + ", held "
                + agents.values().stream()
                        .map(agent -> agent.id + " " + agent.alive + " " + agent.held.inflight + " open "
                                + agent.held.openSlots)
                        .toList()
                + ", "
                + coordinators.stream()
                        .map(one -> one.id + " " + one.positions + " "
                                + one.matcher.backlog().find(any -> true))
                        .toList();
    }

    private static void must(boolean holds, Supplier<String> otherwise) {
        if (!holds) {
            throw new AssertionError(otherwise.get());
        }
    }

    private <T> Optional<T> any(List<T> list) {
        return list.isEmpty() ? Optional.empty() : Optional.of(list.get(random.nextInt(list.size())));
    }

    private record Result(Task task, String agentId, String outcome) {
        TaskResult completed() {
            return new TaskResult(
                    Assignment.id(task.id(), task.attempt()),
                    task.id(),
                    task.attempt(),
                    agentId,
                    TaskResult.Status.COMPLETED,
                    null,
                    null,
                    null,
                    null);
        }
    }
}
