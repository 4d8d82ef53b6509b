package io.aitbc.coordinator.dispatch;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.TaskEvent;
import io.aitbc.coordinator.background.BackgroundService;
import io.aitbc.coordinator.background.PeriodicJob;
import io.aitbc.coordinator.background.Problem;
import io.aitbc.coordinator.deadletter.DeadLetters;
import io.aitbc.coordinator.event.EventOutbox;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.match.WaitingTask;
import io.aitbc.coordinator.queue.OffsetLedger;
import io.aitbc.coordinator.queue.QueueSizes;
import io.aitbc.coordinator.queue.TaskArchive;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.redis.Script;
import io.aitbc.coordinator.taskstate.TaskStates;
import io.lettuce.core.KeyScanCursor;
import io.lettuce.core.ScanArgs;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Ends tasks whose records were deleted from {@code tasks.*} while they waited and no coordinator had them in memory: by a retention that
 * was set by hand, by {@code kafka-delete-records.sh}, or with a lost disk. They would wait forever. Redis knows the positions of the
 * records of waiting tasks, as far as they were submitted over REST or read. Thread-safe.
 */
public final class LostRecords implements BackgroundService {
    private static final Logger log = LoggerFactory.getLogger(LostRecords.class);
    private static final Script END_LOST = Script.loadFenced(LostRecords.class, "end-lost");
    private static final Duration INTERVAL = Duration.ofMillis(500);
    private static final int SCAN_SIZE = 1_000;

    private final Redis redis;
    private final TaskStates states;
    private final DeadLetters deadLetters;
    private final QueueSizes sizes;
    private final TaskArchive archive;
    private final EventOutbox outbox;
    private final Clock clock;
    private final Counter lost;
    private final ConcurrentLinkedQueue<Gone> gone = new ConcurrentLinkedQueue<>();
    private final PeriodicJob job = new PeriodicJob("lost-records", INTERVAL, this::endTasks);

    /**
     * Records that are gone.
     *
     * @param isCertain false if there may be records at the same positions of a topic that was created since
     */
    private record Gone(Predicate<Position> contains, boolean isCertain, CompletableFuture<Void> ended) {}

    LostRecords(
            Redis redis,
            DeadLetters deadLetters,
            QueueSizes sizes,
            TaskArchive archive,
            EventOutbox outbox,
            MeterRegistry meters,
            Clock clock) {
        this.redis = redis;
        this.outbox = outbox;
        this.states = new TaskStates(redis);
        this.sizes = sizes;
        this.archive = archive;
        this.deadLetters = deadLetters;
        this.clock = clock;
        this.lost = Counter.builder("coordinator.records.lost")
                .description("Records of task topics that were deleted before their tasks were assigned")
                .register(meters);
    }

    @Override
    public void start() {
        job.start();
    }

    @Override
    public void close() {
        job.close();
    }

    @Override
    public List<Problem> problems() {
        return job.problems();
    }

    /**
     * Ends the tasks of a partition whose records are gone.
     *
     * @param done what was done before
     * @param start the first offset that is left
     * @return completes when they have ended, however long Redis and Kafka are unavailable
     */
    CompletableFuture<Void> end(OwnedPartition.Id partition, OffsetLedger done, long start) {
        long records = done.unfinishedBelow(start);
        if (records == 0) {
            return CompletableFuture.completedFuture(null);
        }
        report(partition, records);
        return end(
                position -> OwnedPartition.Id.of(position).equals(partition)
                        && position.offset() < start
                        && !done.isDone(position.offset()),
                true);
    }

    /** Fails the tasks of records that were found to be gone; completes like {@link #end}. */
    CompletableFuture<Void> fail(Set<Position> positions) {
        positions.stream()
                .collect(Collectors.groupingBy(OwnedPartition.Id::of, Collectors.counting()))
                .forEach(this::report);
        return end(positions::contains, true);
    }

    private void report(OwnedPartition.Id partition, long records) {
        lost.increment((double) records);
        log.atError()
                .addKeyValue("queue", partition.priority())
                .addKeyValue("partition", partition.number())
                .addKeyValue("records", records)
                .log(
                        "Records were deleted before their tasks were assigned: those that are known fail, with the reason record_lost");
    }

    /**
     * Ends the tasks of a queue whose topic was deleted, and perhaps created again; completes like {@link #end}. Those whose record is in the
     * new topic are left alone.
     */
    CompletableFuture<Void> endReplaced(Priority priority) {
        return end(position -> position.priority() == priority, false);
    }

    private CompletableFuture<Void> end(Predicate<Position> contains, boolean isCertain) {
        Gone one = new Gone(contains, isCertain, new CompletableFuture<>());
        gone.add(one);
        return one.ended;
    }

    private void endTasks() throws InterruptedException {
        List<Gone> pending = List.copyOf(gone);
        if (pending.isEmpty()) {
            return;
        }
        ScanArgs tasks = ScanArgs.Builder.matches(Keys.task("*")).limit(SCAN_SIZE);
        for (KeyScanCursor<String> scan = redis.sync().scan(tasks);
                ;
                scan = redis.sync().scan(scan, tasks)) {
            Map<String, Position> found = lostAmong(scan.getKeys(), pending);
            Map<String, Position> uncertain = new HashMap<>(found);
            uncertain
                    .values()
                    .removeIf(
                            position -> pending.stream().anyMatch(one -> one.isCertain && one.contains.test(position)));
            Set<String> present = present(uncertain);
            int replaced = uncertain.size() - present.size();
            if (replaced > 0) {
                lost.increment(replaced);
                log.atError()
                        .addKeyValue("tasks", replaced)
                        .log("The topic of waiting tasks was deleted: they fail, with the reason record_lost");
            }
            found.keySet().removeAll(present);
            end(found);
            if (scan.isFinished()) {
                break;
            }
        }
        gone.removeAll(pending);
        pending.forEach(one -> one.ended.complete(null));
    }

    /** The tasks whose records are at their positions after all. */
    private Set<String> present(Map<String, Position> tasks) throws InterruptedException {
        if (tasks.isEmpty()) {
            return Set.of();
        }
        Set<Position> readable = new HashSet<>();
        for (Priority priority :
                EnumSet.copyOf(tasks.values().stream().map(Position::priority).toList())) {
            Map<Integer, Long> ends = sizes.ends(priority);
            tasks.values().stream()
                    .filter(position -> position.priority() == priority
                            && position.offset() < ends.getOrDefault(position.partition(), 0L))
                    .forEach(readable::add);
        }
        Map<Position, WaitingTask> read = archive.read(readable);
        return tasks.entrySet().stream()
                .filter(task -> {
                    WaitingTask there = read.get(task.getValue());
                    return there != null && there.id().equals(task.getKey());
                })
                .map(Map.Entry::getKey)
                .collect(Collectors.toSet());
    }

    /** Task id → position of its record. */
    private Map<String, Position> lostAmong(List<String> keys, List<Gone> pending) {
        int prefix = Keys.task("").length();
        Map<String, Position> found = new HashMap<>();
        states.waitingAt(keys.stream().map(key -> key.substring(prefix)).toList())
                .forEach((taskId, position) -> {
                    if (pending.stream().anyMatch(one -> one.contains.test(position))) {
                        found.put(taskId, position);
                    }
                });
        return found;
    }

    private void end(Map<String, Position> found) throws InterruptedException {
        if (found.isEmpty()) {
            return;
        }
        if (redis.indexMark() == null) {
            // What was read may be outdated.
            throw new IllegalStateException("the index in Redis is being restored from Kafka");
        }
        Instant now = clock.instant().truncatedTo(ChronoUnit.MILLIS);
        List<String> arguments = new ArrayList<>(List.of(String.valueOf(now.toEpochMilli()), outbox.noteFlag()));
        List<CompletableFuture<Void>> letters = new ArrayList<>();
        Map<String, String> details = new LinkedHashMap<>();
        found.forEach((taskId, position) -> {
            String detail = "record lost: its record at " + position + " was deleted before it was assigned";
            details.put(taskId, detail);
            letters.add(deadLetters.recordLost(taskId, detail));
            arguments.addAll(List.of(taskId, position.toString(), Json.text(detail)));
        });
        // First: if this process dies in between, the next owner of the partition repeats both.
        CompletableFuture.allOf(letters.toArray(CompletableFuture[]::new)).join();
        List<Object> attempts = END_LOST.runSync(redis, arguments);
        Iterator<Object> attempt = attempts.iterator();
        List<TaskEvent> events = new ArrayList<>();
        details.forEach((taskId, detail) -> {
            int ended = ((Long) attempt.next()).intValue();
            if (ended > 0) {
                events.add(TaskEvent.recordLost(taskId, ended, Json.tree(detail), now));
            }
        });
        outbox.publish(events);
    }
}
