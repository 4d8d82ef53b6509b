package io.aitbc.coordinator.dispatch;

import io.aitbc.contracts.ControlMessage;
import io.aitbc.contracts.ControlMessage.ClearQueue;
import io.aitbc.contracts.ControlMessage.PauseQueue;
import io.aitbc.contracts.ControlMessage.QueueCleared;
import io.aitbc.contracts.ControlMessage.SwitchStrategy;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.balance.LoadBalancingStrategy;
import io.aitbc.coordinator.intake.QueueSizes;
import io.aitbc.coordinator.intake.TaskIds;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import java.time.Clock;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Collectors;
import org.apache.kafka.clients.producer.Producer;

/** Commands to the whole cluster, whichever coordinator was asked. May be used by any thread. */
public final class ClusterControl implements AutoCloseable {
    private static final long WAIT_SECONDS = 30;

    private final ControlTopic topic;
    private final Dispatcher dispatcher;
    private final QueueSizes sizes;
    private final Redis redis;
    private final Clock clock;
    private final Map<String, Clearing> clearings = new ConcurrentHashMap<>();
    private final Map<String, CompletableFuture<Void>> switches = new ConcurrentHashMap<>();
    private final Map<String, CompletableFuture<Void>> awaited = new ConcurrentHashMap<>();
    private final Set<Priority> pausedQueues = ConcurrentHashMap.newKeySet();
    private volatile LoadBalancingStrategy strategy;

    /** The partitions whose owners have not reported yet. */
    private record Clearing(Set<Integer> missing, CompletableFuture<Void> done) {}

    ClusterControl(
            KafkaClients clients,
            Producer<String, byte[]> producer,
            Topics topics,
            Dispatcher dispatcher,
            QueueSizes sizes,
            Redis redis,
            LoadBalancingStrategy initialStrategy,
            Clock clock) {
        this.topic = new ControlTopic(clients, producer, topics, this::received, clock);
        this.dispatcher = dispatcher;
        this.sizes = sizes;
        this.redis = redis;
        this.strategy = initialStrategy;
        this.clock = clock;
    }

    /** Returns once it is known what was decided before. */
    public void start() throws InterruptedException {
        topic.start();
    }

    @Override
    public void close() {
        topic.close();
    }

    /** The strategy in force. */
    public LoadBalancingStrategy strategy() {
        return strategy;
    }

    /** Switches all coordinators to a strategy; returns when this one has. */
    public void switchStrategy(LoadBalancingStrategy wanted) throws InterruptedException {
        CompletableFuture<Void> applied =
                switches.computeIfAbsent(wanted.wireName(), name -> new CompletableFuture<>());
        send(new SwitchStrategy(wanted.wireName(), clock.instant()), applied);
        await(applied, "the strategy was not switched in time");
    }

    /** Stops, or resumes, the assignment of a queue's tasks by all coordinators; returns when this one has heard it. */
    public void pause(Priority priority, boolean paused) throws InterruptedException {
        PauseQueue command = new PauseQueue(TaskIds.next(), priority, paused, clock.instant());
        CompletableFuture<Void> applied = new CompletableFuture<>();
        awaited.put(command.commandId(), applied);
        try {
            send(command, applied);
            await(applied, "the queue was not " + (paused ? "paused" : "resumed") + " in time");
        } finally {
            awaited.remove(command.commandId());
        }
    }

    /** Whose tasks are not assigned. */
    public Set<Priority> pausedQueues() {
        return Set.copyOf(pausedQueues);
    }

    /**
     * Cancels what is in a queue now, in every partition, whoever owns it.
     *
     * @return how many tasks were cancelled: none of them was or will be executed
     * @throws UnfinishedException if not all owners have reported in time; they go on all the same
     */
    public long clear(Priority priority) throws InterruptedException {
        Map<Integer, Long> ends = sizes.ends(priority);
        Set<Integer> partitions = ends.entrySet().stream()
                .filter(entry -> entry.getValue() > 0)
                .map(Map.Entry::getKey)
                .collect(Collectors.toCollection(ConcurrentHashMap::newKeySet));
        if (partitions.isEmpty()) {
            return 0;
        }
        ClearQueue command = new ClearQueue(TaskIds.next(), priority, ends, clock.instant());
        Clearing clearing = new Clearing(partitions, new CompletableFuture<>());
        clearings.put(command.commandId(), clearing);
        try {
            send(command, clearing.done());
            await(clearing.done(), "not all of the queue was cleared in time; the rest follows");
        } finally {
            clearings.remove(command.commandId());
        }
        String key = Keys.clear(command.commandId());
        return Redis.count(redis.readHashNow(key, read -> read.hget(key, "count")));
    }

    void report(QueueCleared report) {
        topic.send(report);
    }

    /** What cannot be sent is not waited for. */
    private void send(ControlMessage command, CompletableFuture<Void> done) {
        topic.send(command).exceptionally(failure -> {
            done.completeExceptionally(failure);
            return null;
        });
    }

    private void received(ControlMessage message) {
        if (message instanceof ClearQueue command) {
            dispatcher.tellLane(lane -> lane.clear(command));
        } else if (message instanceof QueueCleared report) {
            dispatcher.tellLane(lane -> lane.cleared(report));
            Clearing clearing = clearings.get(report.commandId());
            if (clearing != null
                    && clearing.missing().remove(report.partition())
                    && clearing.missing().isEmpty()) {
                clearing.done().complete(null);
            }
        } else if (message instanceof PauseQueue command) {
            apply(command);
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
        dispatcher.tellLane(lane -> lane.pause(command.priority(), command.paused()));
        CompletableFuture<Void> applied = awaited.get(command.commandId());
        if (applied != null) {
            applied.complete(null);
        }
    }

    private void apply(LoadBalancingStrategy wanted) {
        strategy = wanted;
        dispatcher.tell(matcher -> matcher.switchStrategy(wanted));
        CompletableFuture<Void> applied = switches.remove(wanted.wireName());
        if (applied != null) {
            applied.complete(null);
        }
    }

    private static void await(CompletableFuture<Void> done, String otherwise) throws InterruptedException {
        try {
            done.get(WAIT_SECONDS, TimeUnit.SECONDS);
        } catch (TimeoutException | ExecutionException e) {
            throw new UnfinishedException(otherwise);
        }
    }

    /** A command was given and goes on, but its end was not seen. */
    public static final class UnfinishedException extends RuntimeException {
        UnfinishedException(String message) {
            super(message);
        }
    }
}
