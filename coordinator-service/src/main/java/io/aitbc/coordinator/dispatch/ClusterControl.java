package io.aitbc.coordinator.dispatch;

import io.aitbc.contracts.ControlMessage;
import io.aitbc.contracts.ControlMessage.ClearQueue;
import io.aitbc.contracts.ControlMessage.NoteBudget;
import io.aitbc.contracts.ControlMessage.PauseQueue;
import io.aitbc.contracts.ControlMessage.Probe;
import io.aitbc.contracts.ControlMessage.QueueCleared;
import io.aitbc.contracts.ControlMessage.SetFairnessWeight;
import io.aitbc.contracts.ControlMessage.SetLimit;
import io.aitbc.contracts.ControlMessage.SwitchStrategy;
import io.aitbc.contracts.Limit;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.assign.Judgement;
import io.aitbc.coordinator.background.BackgroundService;
import io.aitbc.coordinator.background.Problem;
import io.aitbc.coordinator.balance.LoadBalancingStrategy;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.kafka.SharedTopics;
import io.aitbc.coordinator.limit.LimitBook;
import io.aitbc.coordinator.limit.LimitState;
import io.aitbc.coordinator.queue.QueueSizes;
import io.aitbc.coordinator.queue.TaskIds;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.usage.LimitUsage;
import java.time.Clock;
import java.time.Instant;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Collectors;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.common.TopicPartition;
import org.jspecify.annotations.Nullable;

/** Cluster-wide commands, whichever coordinator receives them. Thread-safe. */
public final class ClusterControl implements BackgroundService {
    private static final long WAIT_SECONDS = 30;
    private static final long TRANSACTION_CHECK_INTERVAL_MS = 500;
    private static final long VERSION_RETRY_MS = 200;
    /** So many notes of a budget are written in a period, unless tasks use more than the rest of it. */
    private static final long NOTES_PER_PERIOD = 100;

    private final ControlTopic topic;
    private final Probes probes;
    private final Dispatcher dispatcher;
    private final QueueSizes sizes;
    private final Redis redis;
    private final LimitUsage usage;
    private final Clock clock;
    private final Map<String, Clearing> clearings = new ConcurrentHashMap<>();
    /** Callers waiting for a switch, with the strategy that each waits for. */
    private final Map<CompletableFuture<Void>, LoadBalancingStrategy> pendingSwitches = new ConcurrentHashMap<>();

    private final Map<String, CompletableFuture<Void>> pendingCommands = new ConcurrentHashMap<>();
    /** Weights of fairness keys, as set by commands. */
    private final Map<String, Double> fairnessWeights = new ConcurrentHashMap<>();

    /** Definitions of limits, and notes of budgets, as set by commands. */
    private final Map<String, Limit> limits = new ConcurrentHashMap<>();

    private final Map<String, NoteBudget> budgets = new ConcurrentHashMap<>();
    /** Ids of the notes that this coordinator has written and not read back. */
    private final Set<String> budgetRequests = ConcurrentHashMap.newKeySet();

    /** Offset of the last definition of a limit; -1 if there is none. Used by the thread of the topic. */
    private long limitsOffset = -1;

    private boolean areLimitsRead;
    private volatile LimitBook limitBook = LimitBook.UNREAD;

    private final Set<Priority> pausedQueues = ConcurrentHashMap.newKeySet();
    private volatile LoadBalancingStrategy strategy;
    /** Whether the strategy was set by a command, not by this coordinator's settings. */
    private volatile boolean switched;

    /**
     * The outcome of a clear.
     *
     * @param count the number of tasks cancelled: none of them was or will be executed
     * @param heldBack how many more records were in the queue, and will be cancelled when the transaction that blocks them ends
     */
    public record Cleared(long count, long heldBack) {}

    /** A clear in progress, and the partitions whose owners have not reported yet. */
    private record Clearing(Set<Integer> missing, CompletableFuture<Void> done) {}

    ClusterControl(
            KafkaClients clients,
            SharedTopics shared,
            Producer<String, byte[]> producer,
            Topics topics,
            Dispatcher dispatcher,
            QueueSizes sizes,
            Redis redis,
            LimitUsage usage,
            LoadBalancingStrategy initialStrategy,
            Clock clock) {
        this.topic =
                new ControlTopic(clients, shared, producer, topics, this::received, this::republishDecisions, clock);
        this.probes = new Probes(topic::send, clock, System::nanoTime);
        this.dispatcher = dispatcher;
        this.sizes = sizes;
        this.redis = redis;
        this.usage = usage;
        this.strategy = initialStrategy;
        this.clock = clock;
    }

    /** Returns once earlier decisions have been read. */
    @Override
    public void start() throws InterruptedException {
        topic.whenCaughtUp(() -> {
            areLimitsRead = true;
            publishBook();
        });
        topic.start();
        publishLimitsVersion();
    }

    @Override
    public void close() {
        topic.close();
    }

    @Override
    public List<Problem> problems() {
        return topic.problems();
    }

    /**
     * Proves that Kafka accepts a record and returns it, via the control topic; fails after two seconds. Metadata requests prove less:
     * Kafka answers them even when it accepts no records, as with too few in-sync replicas. Proves nothing while the control topic is
     * missing, which {@code /health} reports on its own.
     */
    public CompletableFuture<Void> probe() {
        return topic.isMissing() ? CompletableFuture.completedFuture(null) : probes.probe();
    }

    /** The current strategy. */
    public LoadBalancingStrategy strategy() {
        return strategy;
    }

    /** Switches all coordinators to a strategy; returns once this one has switched. */
    public void switchStrategy(LoadBalancingStrategy wanted) throws InterruptedException {
        CompletableFuture<Void> applied = new CompletableFuture<>();
        pendingSwitches.put(applied, wanted);
        try {
            send(new SwitchStrategy(wanted.wireName(), clock.instant()), applied);
            await(applied, "the strategy was not switched in time");
        } finally {
            pendingSwitches.remove(applied);
        }
    }

    /** Pauses or resumes assignment of a queue's tasks on all coordinators; returns once this one has applied it. */
    public void pause(Priority priority, boolean paused) throws InterruptedException {
        PauseQueue command = new PauseQueue(TaskIds.next(), priority, paused, clock.instant());
        applied(command.commandId(), command, "the queue was not " + (paused ? "paused" : "resumed") + " in time");
    }

    /** The queues whose tasks are not assigned. */
    public Set<Priority> pausedQueues() {
        return Set.copyOf(pausedQueues);
    }

    /** The weights of fairness keys that have been set. */
    public Map<String, Double> fairnessWeights() {
        return new TreeMap<>(fairnessWeights);
    }

    /**
     * Sets the weight of a fairness key on all coordinators; returns once this one has applied it.
     *
     * @param weight 0.001 to 1,000; null: the weights of its tasks apply again
     */
    public void setFairnessWeight(String fairnessKey, @Nullable Double weight) throws InterruptedException {
        SetFairnessWeight command = new SetFairnessWeight(TaskIds.next(), fairnessKey, weight, clock.instant());
        applied(command.commandId(), command, "the weight was not set in time");
    }

    /** The definitions of limits. */
    public LimitBook limits() {
        return limitBook;
    }

    /** What is used of limits, by name. Of what Redis does not know, it is what reservations will take for granted. */
    public Map<String, LimitState> limitStates(Collection<String> names, Instant now) {
        Map<String, LimitState> known = usage.read(names, now);
        Map<String, LimitState> states = new LinkedHashMap<>();
        Instant since = usage.completeSince();
        for (String name : names) {
            LimitState state = known.getOrDefault(name, LimitState.UNUSED);
            Limit limit = limitBook.definition(name);
            if (limit != null && limit.rate() != null && !known.containsKey(name)) {
                state = state.withBucketEmptyAt(since, limit.rate());
            }
            NoteBudget note = budgets.get(name);
            if (limit != null
                    && limit.budget() != null
                    && note != null
                    && note.period().equals(limit.budget().period(now))
                    && !note.period().equals(state.period())) {
                state = state.withSpent(note.period(), note.units());
            }
            states.put(name, state);
        }
        return states;
    }

    /**
     * Defines a limit on all coordinators, and opens it if an agent has closed it; returns once no reservation goes by an earlier definition.
     *
     * @param limit null: it is removed
     */
    public void setLimit(String name, @Nullable Limit limit) throws InterruptedException {
        SetLimit command = new SetLimit(TaskIds.next(), name, limit, clock.instant());
        applied(command.commandId(), command, "the limit was not set in time");
        if (limit != null) {
            usage.open(name);
        }
    }

    /**
     * Makes Redis go by the definitions of limits that this coordinator knows, unless it knows later ones. Nothing is assigned while these differ, as
     * after Redis was emptied. Fails if Redis does not answer, or while the control topic is being read.
     */
    CompletableFuture<?> publishLimitsVersion() {
        String topicId = topic.id();
        String version = limitBook.version();
        if (topicId == null || !version.isEmpty() && !version.startsWith(topicId + " ")) {
            // Its definitions will be published again.
            return CompletableFuture.failedFuture(new IllegalStateException("the control topic was not read yet"));
        }
        return usage.setVersion(topicId, version);
    }

    /** Notes more of the budgets that a reservation has refused, so that it may be spent. */
    void noteBudgets(Judgement judgement) {
        // Sending may block, and the caller's thread serves all answers of Redis.
        CompletableFuture.runAsync(() -> {
            for (Judgement.BudgetRequest request : judgement.toNote()) {
                noteBudget(request.limit(), judgement.limits().get(request.limit()), request.units(), request.id());
            }
        });
    }

    /** Notes more of budgets of which more was spent than has been noted, as agents have reported. */
    void noteOverspent(Map<String, LimitState> states) {
        states.forEach((name, state) -> {
            Limit limit = limitBook.definition(name);
            if (state.spent() > state.noted()
                    && limit != null
                    && limit.budget() != null
                    && state.period().equals(limit.budget().period(clock.instant()))) {
                String request = TaskIds.next();
                usage.requestNote(name, request).thenAcceptAsync(isMine -> {
                    if (isMine) {
                        noteBudget(name, state, 0, request);
                    }
                });
            }
        });
    }

    /**
     * @param needed units that a task waits for
     * @param request its id
     */
    private void noteBudget(String name, @Nullable LimitState state, long needed, String request) {
        Limit limit = limitBook.definition(name);
        if (limit == null || limit.budget() == null) {
            return;
        }
        String period = limit.budget().period(clock.instant());
        NoteBudget last = budgets.get(name);
        long noted = last != null && last.period().equals(period) ? last.units() : 0;
        // If Redis does not know what was spent, it will be what was noted.
        long spent = state != null && state.period().equals(period) ? state.spent() : noted;
        long block = Math.max(needed, (limit.budget().units() + NOTES_PER_PERIOD - 1) / NOTES_PER_PERIOD);
        long units = Math.max(spent, Math.min(limit.budget().units(), spent + block));
        budgetRequests.add(request);
        topic.send(new NoteBudget(request, name, period, Math.max(units, noted)))
                .exceptionally(failure -> {
                    budgetRequests.remove(request);
                    return null;
                });
    }

    /** Sends a command, and waits until this coordinator has applied it. */
    private void applied(String commandId, ControlMessage command, String otherwise) throws InterruptedException {
        CompletableFuture<Void> applied = new CompletableFuture<>();
        pendingCommands.put(commandId, applied);
        try {
            send(command, applied);
            await(applied, otherwise);
        } finally {
            pendingCommands.remove(commandId);
        }
    }

    /**
     * Cancels the current tasks of a queue, in every partition, whoever owns it. Records blocked by an open transaction are cancelled when
     * it ends, and are not waited for.
     *
     * @throws UnfinishedException if not all owners have reported in time; they continue anyway
     */
    public Cleared clear(Priority priority) throws InterruptedException {
        Map<Integer, Long> ends = sizes.ends(priority);
        Set<Integer> partitions = ends.entrySet().stream()
                .filter(entry -> entry.getValue() > 0)
                .map(Map.Entry::getKey)
                .collect(Collectors.toCollection(ConcurrentHashMap::newKeySet));
        if (partitions.isEmpty()) {
            return new Cleared(0, 0);
        }
        ClearQueue command = new ClearQueue(TaskIds.next(), priority, ends, clock.instant());
        Clearing clearing = new Clearing(partitions, new CompletableFuture<>());
        clearings.put(command.commandId(), clearing);
        long heldBack;
        try {
            send(command, clearing.done());
            heldBack = awaitCleared(command, clearing);
        } finally {
            clearings.remove(command.commandId());
        }
        String key = Keys.clear(command.commandId());
        return new Cleared(Redis.count(redis.readHashSync(key, read -> read.hget(key, "count"))), heldBack);
    }

    /**
     * Waits until all owners have reported, except those blocked by an open transaction.
     *
     * @return how many records these still have to read
     */
    private long awaitCleared(ClearQueue command, Clearing clearing) throws InterruptedException {
        long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(WAIT_SECONDS);
        while (System.nanoTime() - until < 0) {
            try {
                clearing.done().get(TRANSACTION_CHECK_INTERVAL_MS, TimeUnit.MILLISECONDS);
                return 0;
            } catch (TimeoutException e) {
                OptionalLong heldBack = heldBack(command, Set.copyOf(clearing.missing()));
                if (heldBack.isPresent()) {
                    return heldBack.getAsLong();
                }
            } catch (ExecutionException e) {
                throw notSent(e);
            }
        }
        throw new UnfinishedException("the queue was not cleared completely in time; clearing continues");
    }

    /** How many records are still to be read for a clear; empty if a partition is missing for another reason than a transaction. */
    private OptionalLong heldBack(ClearQueue command, Set<Integer> missing) throws InterruptedException {
        long sum = 0;
        for (Map.Entry<TopicPartition, QueueSizes.Extent> one :
                sizes.extents(command.priority()).entrySet()) {
            int number = one.getKey().partition();
            if (missing.contains(number)) {
                long heldBack =
                        one.getValue().heldBackBelow(command.endOffsets().getOrDefault(number, 0L));
                if (heldBack == 0 || !one.getValue().isReadableDone()) {
                    return OptionalLong.empty();
                }
                sum += heldBack;
            }
        }
        return OptionalLong.of(sum);
    }

    void report(QueueCleared report) {
        topic.send(report);
    }

    /** Completes the waiting caller with the failure if the command cannot be sent. */
    private void send(ControlMessage command, CompletableFuture<Void> done) {
        topic.send(command).exceptionally(failure -> {
            done.completeExceptionally(failure);
            return null;
        });
    }

    /** Publishes the current decisions for coordinators that start later. Every coordinator publishes; duplicates are harmless. */
    private void republishDecisions() {
        if (switched) {
            topic.send(new SwitchStrategy(strategy.wireName(), clock.instant()));
        }
        for (Priority priority : pausedQueues()) {
            topic.send(new PauseQueue(TaskIds.next(), priority, true, clock.instant()));
        }
        limits.forEach((name, limit) -> topic.send(new SetLimit(TaskIds.next(), name, limit, clock.instant())));
        budgets.forEach((name, note) -> topic.send(new NoteBudget(TaskIds.next(), name, note.period(), note.units())));
        fairnessWeights.forEach(
                (key, weight) -> topic.send(new SetFairnessWeight(TaskIds.next(), key, weight, clock.instant())));
    }

    private void received(ControlMessage message, long offset) {
        if (message instanceof ClearQueue command) {
            dispatcher.postToLane(lane -> lane.clear(command));
        } else if (message instanceof QueueCleared report) {
            dispatcher.postToLane(lane -> lane.cleared(report));
            Clearing clearing = clearings.get(report.commandId());
            if (clearing != null
                    && clearing.missing().remove(report.partition())
                    && clearing.missing().isEmpty()) {
                clearing.done().complete(null);
            }
        } else if (message instanceof PauseQueue command) {
            apply(command);
        } else if (message instanceof SetFairnessWeight command) {
            apply(command);
        } else if (message instanceof SetLimit command) {
            apply(command, offset);
        } else if (message instanceof NoteBudget note) {
            apply(note);
        } else if (message instanceof Probe probe) {
            probes.returned(probe);
        } else if (message instanceof SwitchStrategy command) {
            apply(LoadBalancingStrategy.parse(command.strategy()));
        }
    }

    private void apply(PauseQueue command) {
        if (command.paused()) {
            pausedQueues.add(command.priority());
        } else {
            pausedQueues.remove(command.priority());
        }
        dispatcher.postToLane(lane -> lane.pause(command.priority(), command.paused()));
        completeCommand(command.commandId());
    }

    private void apply(SetFairnessWeight command) {
        if (command.weight() == null) {
            fairnessWeights.remove(command.fairnessKey());
        } else {
            fairnessWeights.put(command.fairnessKey(), command.weight());
        }
        Map<String, Double> weights = Map.copyOf(fairnessWeights);
        dispatcher.post(matcher -> matcher.setWeights(weights));
        completeCommand(command.commandId());
    }

    private void apply(SetLimit command, long offset) {
        if (command.limit() == null) {
            limits.remove(command.name());
        } else {
            limits.put(command.name(), command.limit());
        }
        limitsOffset = offset;
        if (areLimitsRead) {
            publishBook();
        }
        completeOnceInForce(command.commandId());
    }

    /** Reservations may still go by the earlier definition while Redis does not answer. */
    private void completeOnceInForce(String commandId) {
        publishLimitsVersion().whenComplete((done, failure) -> {
            if (failure == null) {
                completeCommand(commandId);
            } else if (pendingCommands.containsKey(commandId)) {
                CompletableFuture.delayedExecutor(VERSION_RETRY_MS, TimeUnit.MILLISECONDS)
                        .execute(() -> completeOnceInForce(commandId));
            }
        });
    }

    private void publishBook() {
        limitBook =
                limitsOffset < 0 ? LimitBook.EMPTY : new LimitBook(topic.idOfMessages() + " " + limitsOffset, limits);
        dispatcher.define(limitBook);
    }

    /** Only the writer of a note lets it be spent: it has read all notes that precede it. */
    private void apply(NoteBudget note) {
        boolean isMine = budgetRequests.remove(note.commandId());
        NoteBudget last = budgets.get(note.name());
        boolean isSamePeriod = last != null && last.period().equals(note.period());
        long before = isSamePeriod && last != null ? last.units() : 0;
        if (last != null && (isSamePeriod ? before > note.units() : isEarlier(note.period(), last.period()))) {
            // Compaction must not keep it instead of the other.
            NoteBudget known = last;
            CompletableFuture.runAsync(() -> topic.send(known));
            return;
        }
        budgets.put(note.name(), note);
        if (isMine) {
            usage.noteBudget(note.name(), note.period(), before, note.units(), note.commandId());
        }
    }

    /** Of periods of the same kind. */
    private static boolean isEarlier(String period, String other) {
        return period.length() == other.length() && period.compareTo(other) < 0;
    }

    private void completeCommand(String commandId) {
        CompletableFuture<Void> done = pendingCommands.get(commandId);
        if (done != null) {
            done.complete(null);
        }
    }

    private void apply(LoadBalancingStrategy wanted) {
        strategy = wanted;
        switched = true;
        dispatcher.post(matcher -> matcher.switchStrategy(wanted));
        pendingSwitches.forEach((applied, to) -> {
            if (to == wanted) {
                applied.complete(null);
            }
        });
    }

    private static void await(CompletableFuture<Void> done, String otherwise) throws InterruptedException {
        try {
            done.get(WAIT_SECONDS, TimeUnit.SECONDS);
        } catch (TimeoutException e) {
            throw new UnfinishedException(otherwise);
        } catch (ExecutionException e) {
            throw notSent(e);
        }
    }

    private static UnfinishedException notSent(ExecutionException e) {
        return new UnfinishedException("Kafka did not accept the command: " + KafkaClients.reason(e));
    }

    /** Thrown if a command could not be sent, or its completion was not observed in time: it then continues. */
    public static final class UnfinishedException extends RuntimeException {
        UnfinishedException(String message) {
            super(message);
        }
    }
}
