package io.aitbc.coordinator.dispatch;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.coordinator.background.BackgroundService;
import io.aitbc.coordinator.background.ConsecutiveFailures;
import io.aitbc.coordinator.background.MonitoredThread;
import io.aitbc.coordinator.background.Problem;
import io.aitbc.coordinator.background.RateLimiter;
import io.aitbc.coordinator.background.ThrottledWarning;
import io.aitbc.coordinator.limit.LimitBook;
import io.aitbc.coordinator.match.Backlog;
import io.aitbc.coordinator.match.BacklogEntry;
import io.aitbc.coordinator.match.Matcher;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.queue.LedgerTopic;
import io.aitbc.coordinator.queue.QueueSizes;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.common.errors.InterruptException;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.errors.WakeupException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The thread that runs a lane: polls Kafka, runs the lane's rounds, and commits finished offsets. Reservations and publications are
 * asynchronous and overlap later rounds; their outcomes return through the mailbox. After an unexpected error, and when a topic is deleted
 * or re-created, it starts over with a new consumer and no partitions.
 */
public final class Dispatcher implements BackgroundService {
    private static final Logger log = LoggerFactory.getLogger(Dispatcher.class);

    private static final Duration IDLE_POLL = Duration.ofMillis(100);
    /** Poll interval under load: each poll costs as much as several tasks, and iterates over buffered records of paused partitions. */
    private static final Duration BUSY_POLL_INTERVAL = Duration.ofMillis(5);

    private static final int MAX_SMALL_POLLS = 3;

    private static final Duration COMMIT_INTERVAL = Duration.ofMillis(200);
    private static final Duration TICK_INTERVAL = Duration.ofSeconds(1);
    private static final Duration DELETION_CHECK_INTERVAL = Duration.ofSeconds(10);
    private static final Duration RELOCATION_INTERVAL = Duration.ofMinutes(10);
    private static final Duration RESTART_DELAY = Duration.ofSeconds(2);
    private static final Duration TOPIC_CHECK_INTERVAL = Duration.ofMillis(100);
    /** After this long without a failure, the next one starts a new series. */
    private static final Duration FAILURE_RESET_DELAY = Duration.ofMinutes(1);

    private static final Duration PENDING_WORK_TIMEOUT = Duration.ofSeconds(2);

    private final Lane lane;
    private final TaskConsumer consumer;
    private final ConsumedPartitions partitions;
    private final LostRecords lostRecords;
    private final Mailbox mailbox;
    private final RecordIntake intake;
    private final DispatchMeters meters;
    private final Duration recordRetention;
    private final Clock clock;

    private final MonitoredThread thread = new MonitoredThread("dispatcher", this::run);
    private final ConsecutiveFailures failures = new ConsecutiveFailures(log);

    private volatile boolean working;
    private volatile List<Problem> assignmentProblems = List.of();
    private volatile LaneStats stats = new LaneStats(
            Instant.EPOCH,
            0,
            0,
            null,
            Map.of(),
            Map.of(),
            Map.of(),
            Map.of(),
            null,
            List.of(),
            List.of(),
            List.of(),
            false);

    private final ThrottledWarning kafkaErrors =
            new ThrottledWarning(log, "{} rounds were cut short by Kafka errors: {}");
    private final RateLimiter pollLimiter = new RateLimiter(BUSY_POLL_INTERVAL);
    private final RateLimiter commitLimiter = new RateLimiter(COMMIT_INTERVAL);
    private final RateLimiter tickLimiter = new RateLimiter(TICK_INTERVAL);
    private final RateLimiter relocationLimiter = new RateLimiter(RELOCATION_INTERVAL);
    private final RateLimiter deletionLimiter = new RateLimiter(DELETION_CHECK_INTERVAL);
    private final RateLimiter topicCheckLimiter = new RateLimiter(TOPIC_CHECK_INTERVAL);
    /** Whether all tasks have to be read again, because other limits apply to them. */
    private boolean startsOver;

    private long lastTickNanos = System.nanoTime();
    /** Whether the last round left work that can be done at once. */
    private boolean hasMoreWork;
    /** How many polls have returned less than a batch since the last one that returned more: after a few, no more records are waiting. */
    private int smallPolls = MAX_SMALL_POLLS;

    /**
     * @param mailbox of the lane's effects too; it wakes the consumer
     * @param recordRetention how long records are kept once all before them are done
     */
    Dispatcher(
            Lane lane,
            TaskConsumer consumer,
            LedgerTopic ledger,
            LostRecords lostRecords,
            KnownEnds knownEnds,
            Supplier<CompletableFuture<Set<Position>>> reservedRecords,
            Mailbox mailbox,
            QueueSizes sizes,
            RecordIntake intake,
            DispatchMeters meters,
            Duration recordRetention,
            Clock clock) {
        this.lane = lane;
        this.consumer = consumer;
        this.lostRecords = lostRecords;
        this.partitions = new ConsumedPartitions(
                lane,
                consumer,
                ledger,
                lostRecords,
                knownEnds,
                reservedRecords,
                mailbox,
                sizes,
                meters,
                this::awaitPendingWork);
        this.mailbox = mailbox;
        this.intake = intake;
        this.meters = meters;
        this.recordRetention = recordRetention;
        this.clock = clock;
    }

    @Override
    public void start() {
        thread.start();
    }

    @Override
    public List<Problem> problems() {
        return Stream.of(thread.problems(), partitions.problems(), assignmentProblems)
                .flatMap(List::stream)
                .toList();
    }

    /** Runs a change of the matcher on the dispatching thread, soon. */
    public void post(Consumer<Matcher> change) {
        mailbox.post(() -> change.accept(lane.matcher()));
    }

    /** Runs a change of the matcher on the dispatching thread in its next round, without waking it. */
    void postLazily(Consumer<Matcher> change) {
        mailbox.postLazily(() -> change.accept(lane.matcher()));
    }

    /** Runs a change of the lane on the dispatching thread, soon. */
    void postToLane(Consumer<Lane> change) {
        mailbox.post(() -> change.accept(lane));
    }

    /** Applies definitions of limits, soon. If other limits apply to tasks that wait, these are read again. */
    void define(LimitBook limits) {
        mailbox.post(() -> startsOver |= lane.define(limits));
    }

    public LaneStats stats() {
        return stats;
    }

    @Override
    public void close() {
        thread.close(consumer::wakeUp);
    }

    /** Whether tasks are being dispatched; false during startup and restarts. */
    public boolean isRunning() {
        return thread.isAlive() && working;
    }

    private void run() {
        try {
            while (!thread.isClosing()) {
                dispatch();
            }
        } catch (InterruptException | InterruptedException e) {
            log.debug("Interrupted");
        }
    }

    /** Runs rounds until closed, until the topics change, or until an unexpected error. */
    private void dispatch() throws InterruptedException {
        try {
            if (!consumer.open(partitions)) {
                thread.monitor().idle();
                mailbox.runAll();
                thread.pause(TOPIC_CHECK_INTERVAL);
                return;
            }
            try (consumer) {
                runRounds();
                working = false;
                dropDeletedTopics();
                awaitPendingWork();
                partitions.commitNow();
            }
        } catch (InterruptException e) {
            throw e;
        } catch (RuntimeException | Error e) {
            working = false;
            thread.monitor().failed(e);
            failures.onFailure()
                    .addKeyValue("pause_ms", RESTART_DELAY.toMillis())
                    .setCause(e)
                    .log("Dispatcher restarts after an unexpected error");
            thread.pause(RESTART_DELAY);
        } finally {
            working = false;
            lane.lostAll();
            partitions.clear();
        }
    }

    private void runRounds() {
        long failureResetAt = System.nanoTime() + FAILURE_RESET_DELAY.toNanos();
        startsOver = false;
        while (!thread.isClosing()
                && !startsOver
                && !(topicCheckLimiter.tryAcquire() && consumer.haveTopicsChanged())) {
            runRound();
            working = true;
            if (System.nanoTime() - failureResetAt >= 0) {
                failures.reset();
            }
        }
    }

    /** Drops the tasks of deleted topics, so that nothing is committed for them. */
    private void dropDeletedTopics() {
        for (String topic : consumer.deletedTopics()) {
            Priority priority = consumer.priorityOf(topic);
            int waiting = lane.topicLost(priority);
            // Not awaited: it needs the new topic, which this thread is about to subscribe to.
            lostRecords.endReplaced(priority);
            log.atWarn()
                    .addKeyValue("topic", topic)
                    .addKeyValue("waiting_here", waiting)
                    .log("A topic was deleted: its waiting tasks fail, as far as Redis knows them");
        }
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
        mailbox.runAll();
        partitions.loadGained();
        if (deletionLimiter.tryAcquire()) {
            partitions.noticeDeletions();
            partitions.noteEnds();
        }
        if (relocationLimiter.tryAcquire()) {
            partitions.relocate(clock.instant().minus(recordRetention));
        }
        if (startsOver) {
            // Tasks are in groups by limits that no longer apply.
            return;
        }
        processRecords(poll());
        mailbox.runAll();
        if (startsOver) {
            return;
        }
        Instant now = clock.instant();
        if (tickLimiter.tryAcquire()) {
            tick(now);
        }
        hasMoreWork = lane.round(now);
        if (commitLimiter.tryAcquire()) {
            partitions.commitInBackground();
        }
    }

    private ConsumerRecords<byte[], byte[]> poll() {
        partitions.resume();
        boolean isBehind = smallPolls < MAX_SMALL_POLLS;
        boolean isAnyPaused = partitions.isAnyPaused();
        boolean isBusy = isAnyPaused || lane.isBusy();
        if (isBusy && !isBehind && !pollLimiter.tryAcquire()) {
            awaitMail();
            return ConsumerRecords.empty();
        }
        try {
            // While a fetch of a paused partition is buffered, a blocking poll busy-loops.
            boolean mayBlock = mailbox.block() && !hasMoreWork && !isAnyPaused;
            return consumer.poll(!mayBlock ? Duration.ZERO : isBusy ? BUSY_POLL_INTERVAL : idlePoll());
        } finally {
            mailbox.unblock();
        }
    }

    /** Until records arrive, at most until a limit has units again. */
    private Duration idlePoll() {
        Instant due = lane.nextDue();
        if (due.equals(Instant.MAX)) {
            return IDLE_POLL;
        }
        Duration left = Duration.between(clock.instant(), due);
        return left.isNegative() ? Duration.ZERO : left.compareTo(IDLE_POLL) < 0 ? left.plusMillis(1) : IDLE_POLL;
    }

    private void awaitMail() {
        try {
            if (!hasMoreWork) {
                mailbox.await(BUSY_POLL_INTERVAL);
            }
        } catch (InterruptedException e) {
            throw new InterruptException(e);
        }
    }

    private void processRecords(ConsumerRecords<byte[], byte[]> polled) {
        smallPolls = polled.count() >= lane.batch() ? 0 : Math.min(MAX_SMALL_POLLS, smallPolls + 1);
        intake.add(polled, lane, clock.instant());
        polled.nextOffsets().forEach((partition, next) -> lane.readUpTo(consumer.id(partition), next.offset()));
        partitions.pauseFull(polled.partitions());
    }

    private void tick(Instant now) {
        intake.tick(now);
        lane.matcher().agents().reevaluateDue(now);
        long nowNanos = System.nanoTime();
        double seconds = Math.max(0.001, (nowNanos - lastTickNanos) / 1e9);
        lastTickNanos = nowNanos;
        LaneStats current = currentStats(seconds, now);
        reportBacklogFull(stats.backlogFull(), current);
        stats = current;
        assignmentProblems = lane.assignmentProblems();
    }

    private LaneStats currentStats(double seconds, Instant now) {
        Backlog backlog = lane.matcher().backlog();
        Map<Priority, Instant> oldest = new EnumMap<>(Priority.class);
        Map<Priority, Integer> scheduled = new EnumMap<>(Priority.class);
        for (Priority priority : Priority.values()) {
            if (backlog.scheduled(priority) > 0) {
                scheduled.put(priority, backlog.scheduled(priority));
            }
            BacklogEntry first = backlog.oldest(priority);
            if (first != null) {
                oldest.put(priority, first.waitingSince());
            }
        }
        return new LaneStats(
                now,
                consumer.assignment().size(),
                backlog.size(),
                lane.yieldsTo(now),
                oldest,
                meters.receivedPerSecond(seconds),
                meters.assignedPerSecond(seconds),
                scheduled,
                Json.tree(lane.matcher().blocked(LaneStats.MAX_BLOCKED)),
                lane.matcher().waitingKeys(LaneStats.MAX_KEYS),
                lane.matcher().waitingLimits(LaneStats.MAX_LIMITS, now),
                lane.matcher().keptAgents(),
                lane.isBacklogFull());
    }

    private void reportBacklogFull(boolean wasFull, LaneStats now) {
        if (now.backlogFull() && !wasFull) {
            log.atWarn()
                    .addKeyValue("waiting", now.waiting())
                    .log("The backlog is full: no more tasks are read until some of these are assigned or have ended");
        } else if (!now.backlogFull() && wasFull) {
            log.atInfo().addKeyValue("waiting", now.waiting()).log("The backlog has room again");
        }
    }

    /** Waits briefly for pending answers from Redis and Kafka, so that the next owner need not repeat the work. */
    private void awaitPendingWork() {
        mailbox.unblock();
        long limit = System.nanoTime() + PENDING_WORK_TIMEOUT.toNanos();
        try {
            while (lane.hasPendingWork() && System.nanoTime() - limit < 0) {
                mailbox.await(Duration.ofMillis(1));
                mailbox.runAll();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
