package io.aitbc.coordinator.dispatch;

import io.aitbc.contracts.ControlMessage.QueueCleared;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.assign.AssignmentTopics;
import io.aitbc.coordinator.assign.Reservations;
import io.aitbc.coordinator.assign.Verdict;
import io.aitbc.coordinator.background.Duty;
import io.aitbc.coordinator.background.FailuresInARow;
import io.aitbc.coordinator.background.Pace;
import io.aitbc.coordinator.background.Part;
import io.aitbc.coordinator.background.RareWarning;
import io.aitbc.coordinator.background.WatchedThread;
import io.aitbc.coordinator.intake.DeadLetters;
import io.aitbc.coordinator.intake.QueueSizes;
import io.aitbc.coordinator.intake.TaskQueue;
import io.aitbc.coordinator.intake.TaskRecords;
import io.aitbc.coordinator.intake.TaskStates;
import io.aitbc.coordinator.kafka.CommitTag;
import io.aitbc.coordinator.match.Matcher;
import io.aitbc.coordinator.match.PlaceLeft;
import io.aitbc.coordinator.match.Placement;
import io.aitbc.coordinator.match.Position;
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
public final class Dispatcher implements Part {
    private static final Logger log = LoggerFactory.getLogger(Dispatcher.class);

    /** How long a round may wait for Kafka. */
    private static final Duration PATIENCE = Duration.ofSeconds(3);

    private static final Duration IDLE_POLL = Duration.ofMillis(100);
    /** Poll interval under load: each poll costs as much as several tasks, and iterates over buffered records of paused partitions. */
    private static final Duration BETWEEN_POLLS_BESIDE_WORK = Duration.ofMillis(5);

    private static final Duration COMMIT_EVERY = Duration.ofMillis(200);
    private static final Duration LOOK_AT_TIME_EVERY = Duration.ofSeconds(1);
    private static final Duration BEFORE_STARTING_OVER = Duration.ofSeconds(2);
    private static final Duration LOOK_AT_TOPICS_EVERY = Duration.ofMillis(100);
    /** After this long without a failure, the next one starts a new series. */
    private static final Duration STEADY_AFTER = Duration.ofMinutes(1);

    private static final Duration OPEN_WORK_LIMIT = Duration.ofSeconds(2);
    /** One part in this many of the heap is for waiting tasks; everything else needs about 100 MiB. */
    private static final long SHARE_FOR_TASKS = 3;

    private final Supplier<KafkaConsumer<byte[], byte[]>> newConsumer;
    private final Supplier<Map<String, Uuid>> topicIds;
    private final Topics topics;
    private final TaskRecords records;
    private final DeadLetters deadLetters;
    private final TaskStates taskStates;
    private final TaskQueue queue;
    private final QueueSizes sizes;
    private final Reservations reservations;
    private final AssignmentTopics assignments;
    private final Lane lane;
    private final int batch;
    private final Consumer<QueueCleared> clearReports;
    private final Consumer<List<PlaceLeft>> placesLeft;
    private final DispatchMeters meters;
    private final Clock clock;
    private final BlockingQueue<Runnable> mailbox = new LinkedBlockingQueue<>();
    /** Low-priority mail that waits for the next round: waking the thread for each message would cost more than handling it. */
    private final Queue<Runnable> slowMail = new ConcurrentLinkedQueue<>();

    private final WatchedThread thread = new WatchedThread("dispatcher", this::run);
    /** Health of commits. Dispatching continues without them, but a new owner reads finished records again. */
    private final Duty committing = new Duty("the commit of thread dispatcher", Duration.ofMinutes(2));

    private final FailuresInARow failures = new FailuresInARow(log);

    private final CountDownLatch closing = new CountDownLatch(1);
    private volatile @Nullable KafkaConsumer<byte[], byte[]> consumer;
    /** Subscribed topics with their ids; topics that were missing when the consumer was opened are absent. */
    private Map<String, Uuid> opened = Map.of();

    private volatile boolean working;
    private volatile boolean polling;
    private volatile LaneFigures figures =
            new LaneFigures(Instant.EPOCH, 0, 0, null, Map.of(), Map.of(), Map.of(), Map.of());

    private final Rates received = new Rates();
    private final Rates assigned = new Rates();
    private final Set<TopicPartition> paused = new HashSet<>();
    /** Assigned partitions whose committed offsets have not been read yet. */
    private final Set<TopicPartition> gaining = new HashSet<>();

    private final RareWarning notAnswered = new RareWarning(log, "{} rounds were cut short by Kafka errors: {}");
    private final List<Runnable> notSetAside = new ArrayList<>();
    private final Pace polls = new Pace(BETWEEN_POLLS_BESIDE_WORK);
    private final Pace commits = new Pace(COMMIT_EVERY);
    private final Pace looks = new Pace(LOOK_AT_TIME_EVERY);
    private final Pace topicLooks = new Pace(LOOK_AT_TOPICS_EVERY);
    private long lastLook = System.nanoTime();
    /** Whether the last round left work that can be done at once. */
    private boolean moreToDo;

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
            AssignmentTopics assignments,
            Matcher matcher,
            DispatchSettings settings,
            Consumer<QueueCleared> clearReports,
            Consumer<List<PlaceLeft>> placesLeft,
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
                Runtime.getRuntime().maxMemory() / SHARE_FOR_TASKS,
                batch);
        this.clearReports = clearReports;
        this.placesLeft = placesLeft;
        this.meters = meters;
        this.clock = clock;
    }

    @Override
    public void start() {
        thread.start();
    }

    @Override
    public List<String> troubles() {
        return Stream.concat(thread.troubles().stream(), committing.trouble().stream())
                .toList();
    }

    /** Runs a change of the matcher on the dispatching thread, soon. */
    public void tell(Consumer<Matcher> change) {
        post(() -> change.accept(lane.matcher()));
    }

    /** Runs a change of the matcher on the dispatching thread in its next round, without waking it. */
    void mention(Consumer<Matcher> change) {
        slowMail.add(() -> change.accept(lane.matcher()));
    }

    /** Runs a change of the lane on the dispatching thread, soon. */
    void tellLane(Consumer<Lane> change) {
        post(() -> change.accept(lane));
    }

    public LaneFigures figures() {
        return figures;
    }

    @Override
    public void close() {
        closing.countDown();
        wakeUp();
        thread.awaitEnd();
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
        opened = topicIds.get();
        if (opened.isEmpty()) {
            thread.duty().rests();
            handleMail();
            closing.await(LOOK_AT_TOPICS_EVERY.toMillis(), TimeUnit.MILLISECONDS);
            return;
        }
        try (KafkaConsumer<byte[], byte[]> reading = newConsumer.get()) {
            consumer = reading;
            reading.subscribe(opened.keySet(), new Ownership());
            long steadyAt = System.nanoTime() + STEADY_AFTER.toNanos();
            while (!isClosing() && !(topicLooks.isDue() && !opened.equals(topicIds.get()))) {
                runRound();
                working = true;
                if (System.nanoTime() - steadyAt >= 0) {
                    failures.end();
                }
            }
            working = false;
            forgetLostTopics();
            finishOpenWork();
            commitNow();
        } catch (InterruptException e) {
            throw e;
        } catch (RuntimeException | Error e) {
            working = false;
            thread.duty().failed(e);
            failures.next()
                    .addKeyValue("pause_ms", BEFORE_STARTING_OVER.toMillis())
                    .setCause(e)
                    .log("Dispatcher restarts after an unexpected error");
            closing.await(BEFORE_STARTING_OVER.toMillis(), TimeUnit.MILLISECONDS);
        } finally {
            working = false;
            lane.lostAll();
            forgetFailedCommits();
            paused.clear();
            gaining.clear();
        }
    }

    /** A partition that failed to commit may have moved to another coordinator; if it is still owned, it is committed again. */
    private void forgetFailedCommits() {
        committing.works();
        committing.rests();
    }

    /** Drops the tasks of deleted topics, so that nothing is committed for them. */
    private void forgetLostTopics() {
        Map<String, Uuid> now = topicIds.get();
        opened.forEach((topic, id) -> {
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
            thread.duty().works();
        } catch (WakeupException e) {
            log.trace("Woken");
        } catch (RetriableException e) {
            thread.duty().failed(e);
            notAnswered.about(e.toString());
        }
    }

    private void round() {
        notAnswered.say(clock.instant());
        meters.round();
        handleMail();
        loadGained();
        takeIn(poll());
        handleMail();
        Instant now = clock.instant();
        lookAtTime(now);
        moreToDo = lane.round(now);
        if (commits.isDue()) {
            commitSoon();
        }
    }

    private void takeIn(ConsumerRecords<byte[], byte[]> polled) {
        Instant now = clock.instant();
        for (ConsumerRecord<byte[], byte[]> record : polled) {
            Position position = records.position(record);
            if (lane.received(position)) {
                try {
                    WaitingTask task = records.read(record);
                    lane.waits(task, now);
                    if (!task.wasPutOff()) {
                        received.count(position.priority());
                        meters.received(position.priority());
                    }
                } catch (TaskRecords.PoisonException poison) {
                    setAside(record, position, poison);
                }
            }
        }
        polled.nextOffsets().forEach((partition, next) -> lane.readUpTo(lanePartition(partition), next.offset()));
        pauseFull(polled.partitions());
    }

    private void setAside(
            ConsumerRecord<byte[], byte[]> record, Position position, TaskRecords.PoisonException poison) {
        deadLetters
                .poison(record, poison.reason(), poison.getMessage())
                .whenComplete((done, failure) -> post(() -> {
                    if (failure == null) {
                        lane.finished(position);
                    } else {
                        notSetAside.add(() -> setAside(record, position, poison));
                    }
                }));
    }

    private void lookAtTime(Instant now) {
        if (!looks.isDue()) {
            return;
        }
        List<Runnable> again = List.copyOf(notSetAside);
        notSetAside.clear();
        again.forEach(Runnable::run);
        deadLetters.say(now);
        Matcher matcher = lane.matcher();
        matcher.timePassed(now);
        long look = System.nanoTime();
        double seconds = Math.max(0.001, (look - lastLook) / 1e9);
        lastLook = look;
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
        figures = new LaneFigures(
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
        resumeWithRoom();
        if (hasEnoughToDo()) {
            if (!polls.isDue()) {
                awaitMail();
                return ConsumerRecords.empty();
            }
            // Never block: while a fetch of a paused partition is buffered, a blocking poll busy-loops.
            return consumer.poll(Duration.ZERO);
        }
        polling = true;
        try {
            // From here on, new mail wakes the poll.
            return mailbox.isEmpty() && !moreToDo ? consumer.poll(IDLE_POLL) : consumer.poll(Duration.ZERO);
        } finally {
            polling = false;
        }
    }

    private boolean hasEnoughToDo() {
        return !paused.isEmpty() || lane.matcher().backlog().size() >= batch;
    }

    private void awaitMail() {
        try {
            Runnable mail = moreToDo ? null : mailbox.poll(BETWEEN_POLLS_BESIDE_WORK.toMillis(), TimeUnit.MILLISECONDS);
            if (mail != null) {
                mail.run();
            }
        } catch (InterruptedException e) {
            throw new InterruptException(e);
        }
    }

    /** Takes over assigned partitions from their commits; retried in the next round if Kafka does not answer. */
    private void loadGained() {
        if (gaining.isEmpty()) {
            return;
        }
        Set<TopicPartition> gained = Set.copyOf(gaining);
        Map<TopicPartition, OffsetAndMetadata> committed = unwoken(() -> consumer.committed(gained, PATIENCE));
        Map<TopicPartition, Long> ends = unwoken(() -> consumer.endOffsets(gained, PATIENCE));
        for (TopicPartition partition : gained) {
            OffsetAndMetadata offset = committed.get(partition);
            if (offset != null && CommitTag.isOfAnother(opened.get(partition.topic()), offset.metadata())) {
                offset = null;
                consumer.seekToBeginning(Set.of(partition));
            }
            lane.gained(
                    lanePartition(partition),
                    offset == null ? unwoken(() -> consumer.position(partition, PATIENCE)) : offset.offset(),
                    offset == null ? "" : CommitTag.without(offset.metadata()),
                    ends.getOrDefault(partition, 0L));
            gaining.remove(partition);
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

    private void resumeWithRoom() {
        if (paused.isEmpty()) {
            return;
        }
        Set<TopicPartition> roomy = paused.stream()
                .filter(partition -> !lane.isFull(lanePartition(partition)))
                .collect(Collectors.toSet());
        paused.removeAll(roomy);
        roomy.retainAll(consumer.assignment());
        consumer.resume(roomy);
    }

    private void commitSoon() {
        Map<TopicPartition, OffsetAndMetadata> offsets = commits();
        if (!offsets.isEmpty()) {
            consumer.commitAsync(offsets, (committed, failure) -> {
                if (failure == null) {
                    forgetFailedCommits();
                } else {
                    log.atDebug().log("Commit failed, will retry: {}", failure.toString());
                    committing.failed(failure);
                    lane.commitFailed();
                }
            });
        }
    }

    private void commitNow() {
        Map<TopicPartition, OffsetAndMetadata> offsets = commits();
        if (offsets.isEmpty()) {
            return;
        }
        try {
            unwoken(() -> {
                consumer.commitSync(offsets, OPEN_WORK_LIMIT);
                return null;
            });
        } catch (KafkaException e) {
            // The next owner reads finished tasks again, and the reservation finds that they have ended.
            log.atWarn().log("Last commit failed: {}", e.toString());
        }
    }

    private Map<TopicPartition, OffsetAndMetadata> commits() {
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        lane.commits().forEach((id, commit) -> {
            TopicPartition partition = kafkaPartition(id);
            String metadata = CommitTag.with(opened.get(partition.topic()), commit.metadata());
            offsets.put(partition, new OffsetAndMetadata(commit.offset(), metadata));
        });
        return offsets;
    }

    /** Waits briefly for pending answers from Redis and Kafka, so that the next owner need not repeat the work. */
    private void finishOpenWork() {
        long limit = System.nanoTime() + OPEN_WORK_LIMIT.toNanos();
        try {
            while (lane.hasOpenWork()) {
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
    private static <T> T unwoken(Supplier<T> call) {
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
        handle(slowMail);
    }

    private static void handle(Queue<Runnable> mails) {
        for (Runnable mail = mails.poll(); mail != null; mail = mails.poll()) {
            mail.run();
        }
    }

    private void post(Runnable mail) {
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
    private final class Effects implements Lane.Outside {
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
            return posted(assignments.publish(verdict), slowMail::add);
        }

        @Override
        public CompletableFuture<Void> putOff(WaitingTask task) {
            return posted(queue.putOff(task));
        }

        @Override
        public CompletableFuture<List<Boolean>> noteQueued(List<WaitingTask> tasks) {
            return posted(taskStates.noteQueued(tasks));
        }

        @Override
        public Map<OwnedPartition.Id, Long> ends(Set<OwnedPartition.Id> partitions) {
            Set<TopicPartition> wanted =
                    partitions.stream().map(Dispatcher.this::kafkaPartition).collect(Collectors.toSet());
            Map<OwnedPartition.Id, Long> ends = new HashMap<>();
            try {
                unwoken(() -> consumer.endOffsets(wanted, PATIENCE))
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
            return unwoken(() -> consumer.position(kafkaPartition(partition), PATIENCE));
        }

        @Override
        public void report(QueueCleared cleared) {
            clearReports.accept(cleared);
        }

        @Override
        public void leave(List<PlaceLeft> places) {
            placesLeft.accept(places);
        }

        private <T> CompletableFuture<T> posted(CompletableFuture<T> outcome) {
            return posted(outcome, Dispatcher.this::post);
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
    private final class Ownership implements ConsumerRebalanceListener {
        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            // Commits are read later: a request that fails in this callback would not be retried. The partitions stay
            // paused until then.
            consumer.pause(partitions);
            gaining.addAll(partitions);
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            if (partitions.isEmpty()) {
                return;
            }
            polling = false;
            finishOpenWork();
            commitNow();
            onPartitionsLost(partitions);
        }

        @Override
        public void onPartitionsLost(Collection<TopicPartition> partitions) {
            forgetFailedCommits();
            lane.lost(partitions.stream().map(Dispatcher.this::lanePartition).collect(Collectors.toSet()));
            paused.removeAll(partitions);
            gaining.removeAll(partitions);
            meters.lost(partitions.size());
            log.atInfo().addKeyValue("partitions", partitions.size()).log("Partitions lost");
        }
    }
}
