package io.aitbc.coordinator.dispatch;

import io.aitbc.contracts.ControlMessage.QueueCleared;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.assign.AssignmentPublisher;
import io.aitbc.coordinator.assign.Reservations;
import io.aitbc.coordinator.assign.Verdict;
import io.aitbc.coordinator.background.ActivityMonitor;
import io.aitbc.coordinator.background.BackgroundService;
import io.aitbc.coordinator.background.ConsecutiveFailures;
import io.aitbc.coordinator.background.MonitoredThread;
import io.aitbc.coordinator.background.RateLimiter;
import io.aitbc.coordinator.background.ThrottledWarning;
import io.aitbc.coordinator.intake.DeadLetters;
import io.aitbc.coordinator.intake.QueueSizes;
import io.aitbc.coordinator.intake.TaskQueue;
import io.aitbc.coordinator.intake.TaskRecords;
import io.aitbc.coordinator.intake.TaskStates;
import io.aitbc.coordinator.kafka.CommitTag;
import io.aitbc.coordinator.match.Matcher;
import io.aitbc.coordinator.match.Placement;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.match.SlotOffer;
import io.aitbc.coordinator.match.WaitingTask;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.errors.InterruptException;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.errors.WakeupException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The thread that runs a lane: polls Kafka, runs the lane's rounds, and commits finished offsets. Reservations and publications are
 * asynchronous and overlap later rounds; their outcomes return through the mailbox. After an unexpected error, and when a topic is deleted
 * or re-created, it starts over with a new consumer and no partitions.
 */
public final class Dispatcher implements BackgroundService {
    private static final Logger log = LoggerFactory.getLogger(Dispatcher.class);

    /** How long a round may wait for Kafka. */
    private static final Duration REQUEST_TIMEOUT = Duration.ofSeconds(3);

    private static final Duration IDLE_POLL = Duration.ofMillis(100);
    /** Poll interval under load: each poll costs as much as several tasks, and iterates over buffered records of paused partitions. */
    private static final Duration BUSY_POLL_INTERVAL = Duration.ofMillis(5);

    private static final Duration COMMIT_INTERVAL = Duration.ofMillis(200);
    private static final Duration TICK_INTERVAL = Duration.ofSeconds(1);
    private static final Duration RESTART_DELAY = Duration.ofSeconds(2);
    private static final Duration TOPIC_CHECK_INTERVAL = Duration.ofMillis(100);
    /** After this long without a failure, the next one starts a new series. */
    private static final Duration FAILURE_RESET_DELAY = Duration.ofMinutes(1);

    private static final Duration PENDING_WORK_TIMEOUT = Duration.ofSeconds(2);
    /** One part in this many of the heap is for waiting tasks; everything else needs about 100 MiB. */
    private static final long TASK_HEAP_DIVISOR = 3;

    private final Supplier<KafkaConsumer<byte[], byte[]>> newConsumer;
    private final Supplier<Map<String, Uuid>> topicIds;
    private final Topics topics;
    private final TaskRecords records;
    private final DeadLetters deadLetters;
    private final TaskStates taskStates;
    private final TaskQueue queue;
    private final QueueSizes sizes;
    private final Reservations reservations;
    private final AssignmentPublisher assignments;
    private final Lane lane;
    private final int batch;
    private final Consumer<QueueCleared> clearReporter;
    private final Consumer<List<SlotOffer>> slotOffers;
    private final DispatchMeters meters;
    private final Clock clock;
    private final BlockingQueue<Runnable> mailbox = new LinkedBlockingQueue<>();
    /** Low-priority mail that waits for the next round: waking the thread for each message would cost more than handling it. */
    private final Queue<Runnable> lazyMailbox = new ConcurrentLinkedQueue<>();

    private final MonitoredThread thread = new MonitoredThread("dispatcher", this::run);
    /** Health of commits. Dispatching continues without them, but a new owner reads finished records again. */
    private final ActivityMonitor commitMonitor =
            new ActivityMonitor("the commit of thread dispatcher", Duration.ofMinutes(2));

    private final ConsecutiveFailures failures = new ConsecutiveFailures(log);

    private final CountDownLatch closing = new CountDownLatch(1);
    private volatile @Nullable KafkaConsumer<byte[], byte[]> consumer;
    /** Subscribed topics with their ids; topics that were missing when the consumer was opened are absent. */
    private Map<String, Uuid> subscribedTopics = Map.of();

    private volatile boolean working;
    private volatile boolean polling;
    private volatile LaneStats stats = new LaneStats(Instant.EPOCH, 0, 0, null, Map.of(), Map.of(), Map.of(), Map.of());

    private final Rates received = new Rates();
    private final Rates assigned = new Rates();
    private final Set<TopicPartition> paused = new HashSet<>();
    /** Assigned partitions whose committed offsets have not been read yet. */
    private final Set<TopicPartition> unloadedPartitions = new HashSet<>();

    private final ThrottledWarning kafkaErrors =
            new ThrottledWarning(log, "{} rounds were cut short by Kafka errors: {}");
    private final List<Runnable> failedDeadLetters = new ArrayList<>();
    private final RateLimiter pollLimiter = new RateLimiter(BUSY_POLL_INTERVAL);
    private final RateLimiter commitLimiter = new RateLimiter(COMMIT_INTERVAL);
    private final RateLimiter tickLimiter = new RateLimiter(TICK_INTERVAL);
    private final RateLimiter topicCheckLimiter = new RateLimiter(TOPIC_CHECK_INTERVAL);
    private long lastTickNanos = System.nanoTime();
    /** Whether the last round left work that can be done at once. */
    private boolean hasMoreWork;

    /** @param topicIds the current ids of the existing task topics */
    Dispatcher(
            Supplier<KafkaConsumer<byte[], byte[]>> newConsumer,
            Supplier<Map<String, Uuid>> topicIds,
            Topics topics,
            TaskRecords records,
            DeadLetters deadLetters,
            TaskStates taskStates,
            TaskQueue queue,
            QueueSizes sizes,
            Reservations reservations,
            AssignmentPublisher assignments,
            Matcher matcher,
            DispatchSettings settings,
            Consumer<QueueCleared> clearReporter,
            Consumer<List<SlotOffer>> slotOffers,
            DispatchMeters meters,
            Clock clock) {
        this.newConsumer = newConsumer;
        this.topicIds = topicIds;
        this.topics = topics;
        this.records = records;
        this.deadLetters = deadLetters;
        this.taskStates = taskStates;
        this.queue = queue;
        this.sizes = sizes;
        this.reservations = reservations;
        this.assignments = assignments;
        this.batch = settings.batch();
        this.lane = new Lane(
                matcher,
                new Effects(),
                settings.windowPerPartition(),
                settings.windowBytesPerPartition(),
                Runtime.getRuntime().maxMemory() / TASK_HEAP_DIVISOR,
                batch);
        this.clearReporter = clearReporter;
        this.slotOffers = slotOffers;
        this.meters = meters;
        this.clock = clock;
    }

    @Override
    public void start() {
        thread.start();
    }

    @Override
    public List<String> problems() {
        return Stream.concat(thread.problems().stream(), commitMonitor.problem().stream())
                .toList();
    }

    /** Runs a change of the matcher on the dispatching thread, soon. */
    public void post(Consumer<Matcher> change) {
        enqueue(() -> change.accept(lane.matcher()));
    }

    /** Runs a change of the matcher on the dispatching thread in its next round, without waking it. */
    void postLazily(Consumer<Matcher> change) {
        lazyMailbox.add(() -> change.accept(lane.matcher()));
    }

    /** Runs a change of the lane on the dispatching thread, soon. */
    void postToLane(Consumer<Lane> change) {
        enqueue(() -> change.accept(lane));
    }

    public LaneStats stats() {
        return stats;
    }

    @Override
    public void close() {
        closing.countDown();
        wakeUp();
        thread.awaitTermination();
    }

    private void wakeUp() {
        KafkaConsumer<byte[], byte[]> polled = consumer;
        if (polled != null) {
            polled.wakeup();
        }
    }

    private void run() {
        try {
            while (!isClosing()) {
                dispatch();
            }
        } catch (InterruptException | InterruptedException e) {
            log.debug("Interrupted");
        }
    }

    /** Runs rounds until closed, until the topics change, or until an unexpected error. */
    private void dispatch() throws InterruptedException {
        subscribedTopics = topicIds.get();
        if (subscribedTopics.isEmpty()) {
            thread.monitor().idle();
            handleMail();
            closing.await(TOPIC_CHECK_INTERVAL.toMillis(), TimeUnit.MILLISECONDS);
            return;
        }
        try (KafkaConsumer<byte[], byte[]> reading = newConsumer.get()) {
            consumer = reading;
            reading.subscribe(subscribedTopics.keySet(), new RebalanceListener());
            long failureResetAt = System.nanoTime() + FAILURE_RESET_DELAY.toNanos();
            while (!isClosing() && !(topicCheckLimiter.tryAcquire() && !subscribedTopics.equals(topicIds.get()))) {
                runRound();
                working = true;
                if (System.nanoTime() - failureResetAt >= 0) {
                    failures.reset();
                }
            }
            working = false;
            dropDeletedTopics();
            awaitPendingWork();
            commitNow();
        } catch (InterruptException e) {
            throw e;
        } catch (RuntimeException | Error e) {
            working = false;
            thread.monitor().failed(e);
            failures.onFailure()
                    .addKeyValue("pause_ms", RESTART_DELAY.toMillis())
                    .setCause(e)
                    .log("Dispatcher restarts after an unexpected error");
            closing.await(RESTART_DELAY.toMillis(), TimeUnit.MILLISECONDS);
        } finally {
            working = false;
            lane.lostAll();
            resetCommitMonitor();
            paused.clear();
            unloadedPartitions.clear();
        }
    }

    /** A partition that failed to commit may have moved to another coordinator; if it is still owned, it is committed again. */
    private void resetCommitMonitor() {
        commitMonitor.succeeded();
        commitMonitor.idle();
    }

    /** Drops the tasks of deleted topics, so that nothing is committed for them. */
    private void dropDeletedTopics() {
        Map<String, Uuid> now = topicIds.get();
        subscribedTopics.forEach((topic, id) -> {
            if (!id.equals(now.get(topic))) {
                int waiting = lane.topicLost(topics.priorityOf(topic));
                log.atWarn()
                        .addKeyValue("topic", topic)
                        .addKeyValue("waiting_here", waiting)
                        .log("A topic was deleted: its waiting tasks are lost");
            }
        });
    }

    private boolean isClosing() {
        return closing.getCount() == 0;
    }

    /** Whether tasks are being dispatched; false during startup and restarts. */
    public boolean isRunning() {
        return thread.isAlive() && working;
    }

    private void runRound() {
        try {
            round();
            thread.monitor().succeeded();
        } catch (WakeupException e) {
            log.trace("Woken");
        } catch (RetriableException e) {
            thread.monitor().failed(e);
            kafkaErrors.add(e.toString());
        }
    }

    private void round() {
        kafkaErrors.flush(clock.instant());
        meters.round();
        handleMail();
        loadGained();
        processRecords(poll());
        handleMail();
        Instant now = clock.instant();
        tick(now);
        hasMoreWork = lane.round(now);
        if (commitLimiter.tryAcquire()) {
            commitInBackground();
        }
    }

    private void processRecords(ConsumerRecords<byte[], byte[]> polled) {
        Instant now = clock.instant();
        for (ConsumerRecord<byte[], byte[]> record : polled) {
            Position position = records.position(record);
            if (lane.received(position)) {
                try {
                    WaitingTask task = records.read(record);
                    lane.addWaiting(task, now);
                    if (!task.wasDeferred()) {
                        received.count(position.priority());
                        meters.received(position.priority());
                    }
                } catch (TaskRecords.PoisonException poison) {
                    deadLetter(record, position, poison);
                }
            }
        }
        polled.nextOffsets().forEach((partition, next) -> lane.readUpTo(lanePartition(partition), next.offset()));
        pauseFull(polled.partitions());
    }

    private void deadLetter(
            ConsumerRecord<byte[], byte[]> record, Position position, TaskRecords.PoisonException poison) {
        deadLetters
                .poison(record, poison.reason(), poison.getMessage())
                .whenComplete((done, failure) -> enqueue(() -> {
                    if (failure == null) {
                        lane.finished(position);
                    } else {
                        failedDeadLetters.add(() -> deadLetter(record, position, poison));
                    }
                }));
    }

    private void tick(Instant now) {
        if (!tickLimiter.tryAcquire()) {
            return;
        }
        List<Runnable> retries = List.copyOf(failedDeadLetters);
        failedDeadLetters.clear();
        retries.forEach(Runnable::run);
        deadLetters.flushWarnings(now);
        Matcher matcher = lane.matcher();
        matcher.timePassed(now);
        long nowNanos = System.nanoTime();
        double seconds = Math.max(0.001, (nowNanos - lastTickNanos) / 1e9);
        lastTickNanos = nowNanos;
        Map<Priority, Instant> oldest = new EnumMap<>(Priority.class);
        Map<Priority, Integer> scheduled = new EnumMap<>(Priority.class);
        for (Priority priority : Priority.values()) {
            if (matcher.backlog().scheduled(priority) > 0) {
                scheduled.put(priority, matcher.backlog().scheduled(priority));
            }
            WaitingTask first = matcher.backlog().oldest(priority);
            if (first != null) {
                oldest.put(priority, first.waitingSince());
            }
        }
        stats = new LaneStats(
                now,
                consumer.assignment().size(),
                matcher.backlog().size(),
                lane.yieldsTo(now),
                oldest,
                received.roll(seconds),
                assigned.roll(seconds),
                scheduled);
    }

    private ConsumerRecords<byte[], byte[]> poll() {
        resumePartitions();
        if (isBusy()) {
            if (!pollLimiter.tryAcquire()) {
                awaitMail();
                return ConsumerRecords.empty();
            }
            // Never block: while a fetch of a paused partition is buffered, a blocking poll busy-loops.
            return consumer.poll(Duration.ZERO);
        }
        polling = true;
        try {
            // From here on, new mail wakes the poll.
            return mailbox.isEmpty() && !hasMoreWork ? consumer.poll(IDLE_POLL) : consumer.poll(Duration.ZERO);
        } finally {
            polling = false;
        }
    }

    private boolean isBusy() {
        return !paused.isEmpty() || lane.matcher().backlog().size() >= batch;
    }

    private void awaitMail() {
        try {
            Runnable mail = hasMoreWork ? null : mailbox.poll(BUSY_POLL_INTERVAL.toMillis(), TimeUnit.MILLISECONDS);
            if (mail != null) {
                mail.run();
            }
        } catch (InterruptedException e) {
            throw new InterruptException(e);
        }
    }

    /** Takes over assigned partitions from their commits; retried in the next round if Kafka does not answer. */
    private void loadGained() {
        if (unloadedPartitions.isEmpty()) {
            return;
        }
        Set<TopicPartition> gained = Set.copyOf(unloadedPartitions);
        Map<TopicPartition, OffsetAndMetadata> committed =
                retryOnWakeup(() -> consumer.committed(gained, REQUEST_TIMEOUT));
        Map<TopicPartition, Long> ends = retryOnWakeup(() -> consumer.endOffsets(gained, REQUEST_TIMEOUT));
        for (TopicPartition partition : gained) {
            OffsetAndMetadata offset = committed.get(partition);
            if (offset != null
                    && CommitTag.isForOtherTopic(subscribedTopics.get(partition.topic()), offset.metadata())) {
                offset = null;
                consumer.seekToBeginning(Set.of(partition));
            }
            lane.gained(
                    lanePartition(partition),
                    offset == null
                            ? retryOnWakeup(() -> consumer.position(partition, REQUEST_TIMEOUT))
                            : offset.offset(),
                    offset == null ? "" : CommitTag.without(offset.metadata()),
                    ends.getOrDefault(partition, 0L));
            unloadedPartitions.remove(partition);
        }
        consumer.resume(gained);
        meters.gained(gained.size());
        log.atInfo().addKeyValue("partitions", gained.size()).log("Partitions gained");
    }

    /** Pauses full partitions in a single call, since each call waits for the consumer's own thread. */
    private void pauseFull(Set<TopicPartition> partitions) {
        Set<TopicPartition> full = partitions.stream()
                .filter(partition -> lane.isFull(lanePartition(partition)))
                .collect(Collectors.toSet());
        if (paused.addAll(full)) {
            consumer.pause(full);
        }
    }

    private void resumePartitions() {
        if (paused.isEmpty()) {
            return;
        }
        Set<TopicPartition> resumable = paused.stream()
                .filter(partition -> !lane.isFull(lanePartition(partition)))
                .collect(Collectors.toSet());
        paused.removeAll(resumable);
        resumable.retainAll(consumer.assignment());
        consumer.resume(resumable);
    }

    private void commitInBackground() {
        Map<TopicPartition, OffsetAndMetadata> offsets = commitOffsets();
        if (!offsets.isEmpty()) {
            consumer.commitAsync(offsets, (committed, failure) -> {
                if (failure == null) {
                    resetCommitMonitor();
                } else {
                    log.atDebug().log("Commit failed, will retry: {}", failure.toString());
                    commitMonitor.failed(failure);
                    lane.commitFailed();
                }
            });
        }
    }

    private void commitNow() {
        Map<TopicPartition, OffsetAndMetadata> offsets = commitOffsets();
        if (offsets.isEmpty()) {
            return;
        }
        try {
            retryOnWakeup(() -> {
                consumer.commitSync(offsets, PENDING_WORK_TIMEOUT);
                return null;
            });
        } catch (KafkaException e) {
            // The next owner reads finished tasks again, and the reservation finds that they have ended.
            log.atWarn().log("Last commit failed: {}", e.toString());
        }
    }

    private Map<TopicPartition, OffsetAndMetadata> commitOffsets() {
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        lane.commits().forEach((id, commit) -> {
            TopicPartition partition = kafkaPartition(id);
            String metadata = CommitTag.with(subscribedTopics.get(partition.topic()), commit.metadata());
            offsets.put(partition, new OffsetAndMetadata(commit.offset(), metadata));
        });
        return offsets;
    }

    /** Waits briefly for pending answers from Redis and Kafka, so that the next owner need not repeat the work. */
    private void awaitPendingWork() {
        long limit = System.nanoTime() + PENDING_WORK_TIMEOUT.toNanos();
        try {
            while (lane.hasPendingWork()) {
                Runnable mail = mailbox.poll(1, TimeUnit.MILLISECONDS);
                if (mail != null) {
                    mail.run();
                }
                handleMail();
                if (System.nanoTime() - limit >= 0) {
                    return;
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Repeats a consumer call that was interrupted by a wakeup meant for the poll. */
    private static <T> T retryOnWakeup(Supplier<T> call) {
        while (true) {
            try {
                return call.get();
            } catch (WakeupException e) {
                log.trace("Woken");
            }
        }
    }

    private void handleMail() {
        handle(mailbox);
        handle(lazyMailbox);
    }

    private static void handle(Queue<Runnable> mails) {
        for (Runnable mail = mails.poll(); mail != null; mail = mails.poll()) {
            mail.run();
        }
    }

    private void enqueue(Runnable mail) {
        mailbox.add(mail);
        if (polling) {
            wakeUp();
        }
    }

    private OwnedPartition.Id lanePartition(TopicPartition partition) {
        return new OwnedPartition.Id(topics.priorityOf(partition.topic()), partition.partition());
    }

    private TopicPartition kafkaPartition(OwnedPartition.Id partition) {
        return new TopicPartition(topics.tasks(partition.priority()), partition.number());
    }

    /** Performs a lane's effects in Kafka and Redis; the answers are posted to the lane's thread. */
    private final class Effects implements Lane.SideEffects {
        @Override
        public CompletableFuture<List<Verdict>> reserve(List<Placement> placements, Instant now) {
            return posted(reservations.reserve(placements, now).thenApply(meters::judged));
        }

        @Override
        public CompletableFuture<List<Boolean>> endWaiting(
                List<WaitingTask> tasks, String status, String clearId, Instant now) {
            return posted(reservations.endWaiting(tasks, status, clearId, now));
        }

        @Override
        public CompletableFuture<Void> publish(Verdict verdict) {
            if (verdict.ruling() == Verdict.Ruling.GRANTED) {
                assigned.count(verdict.placement().waiting().position().priority());
                meters.distributed(verdict);
            }
            return posted(assignments.publish(verdict), lazyMailbox::add);
        }

        @Override
        public CompletableFuture<Void> defer(WaitingTask task) {
            return posted(queue.defer(task));
        }

        @Override
        public CompletableFuture<List<Boolean>> recordQueued(List<WaitingTask> tasks) {
            return posted(taskStates.recordQueued(tasks));
        }

        @Override
        public Map<OwnedPartition.Id, Long> ends(Set<OwnedPartition.Id> partitions) {
            Set<TopicPartition> wanted =
                    partitions.stream().map(Dispatcher.this::kafkaPartition).collect(Collectors.toSet());
            Map<OwnedPartition.Id, Long> ends = new HashMap<>();
            try {
                retryOnWakeup(() -> consumer.endOffsets(wanted, REQUEST_TIMEOUT))
                        .forEach((partition, end) -> ends.put(lanePartition(partition), end));
            } catch (RetriableException e) {
                log.atDebug().log("End offsets unknown in this round: {}", e.toString());
            }
            return ends;
        }

        @Override
        public Map<OwnedPartition.Id, Long> appendedEnds(Set<OwnedPartition.Id> partitions) {
            Map<OwnedPartition.Id, Long> ends = new HashMap<>();
            try {
                sizes.ends(partitions.stream()
                                .map(Dispatcher.this::kafkaPartition)
                                .collect(Collectors.toSet()))
                        .forEach((partition, end) -> ends.put(lanePartition(partition), end));
            } catch (QueueSizes.KafkaUnavailableException e) {
                log.atDebug().log("End offsets unknown in this round: {}", e.toString());
            } catch (InterruptedException e) {
                throw new InterruptException(e);
            }
            return ends;
        }

        @Override
        public long position(OwnedPartition.Id partition) {
            return retryOnWakeup(() -> consumer.position(kafkaPartition(partition), REQUEST_TIMEOUT));
        }

        @Override
        public void report(QueueCleared cleared) {
            clearReporter.accept(cleared);
        }

        @Override
        public void offerSlots(List<SlotOffer> places) {
            slotOffers.accept(places);
        }

        private <T> CompletableFuture<T> posted(CompletableFuture<T> outcome) {
            return posted(outcome, Dispatcher.this::enqueue);
        }

        private <T> CompletableFuture<T> posted(CompletableFuture<T> outcome, Consumer<Runnable> mail) {
            CompletableFuture<T> here = new CompletableFuture<>();
            outcome.whenComplete((value, failure) -> mail.accept(() -> {
                if (failure == null) {
                    here.complete(value);
                } else {
                    here.completeExceptionally(failure);
                }
            }));
            return here;
        }
    }

    /** Takes over partitions with their commits, and commits all finished work before it gives them up. */
    private final class RebalanceListener implements ConsumerRebalanceListener {
        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            // Commits are read later: a request that fails in this callback would not be retried. The partitions stay
            // paused until then.
            consumer.pause(partitions);
            unloadedPartitions.addAll(partitions);
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            if (partitions.isEmpty()) {
                return;
            }
            polling = false;
            awaitPendingWork();
            commitNow();
            onPartitionsLost(partitions);
        }

        @Override
        public void onPartitionsLost(Collection<TopicPartition> partitions) {
            resetCommitMonitor();
            lane.lost(partitions.stream().map(Dispatcher.this::lanePartition).collect(Collectors.toSet()));
            paused.removeAll(partitions);
            unloadedPartitions.removeAll(partitions);
            meters.lost(partitions.size());
            log.atInfo().addKeyValue("partitions", partitions.size()).log("Partitions lost");
        }
    }
}
