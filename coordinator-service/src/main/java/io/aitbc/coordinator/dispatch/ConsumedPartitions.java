package io.aitbc.coordinator.dispatch;

import io.aitbc.coordinator.background.ActivityMonitor;
import io.aitbc.coordinator.background.Problem;
import io.aitbc.coordinator.background.RateLimiter;
import io.aitbc.coordinator.kafka.CommitTag;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.queue.LedgerTopic;
import io.aitbc.coordinator.queue.OffsetLedger;
import io.aitbc.coordinator.queue.QueueSizes;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.errors.InterruptException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The partitions as the consumer has them: assigned, paused while the lane is full, committed as it finishes records. Takes over partitions
 * with their commits, and commits all finished work before it gives them up. Owned by the dispatcher's thread.
 */
final class ConsumedPartitions implements ConsumerRebalanceListener {
    private static final Logger log = LoggerFactory.getLogger(ConsumedPartitions.class);
    private static final Duration LAST_COMMIT_TIMEOUT = Duration.ofSeconds(2);
    /**
     * What fits into commits need not be newer in the ledger: the tasks that ended since are known in Redis, or restored by its rebuild from
     * the results of the last minute.
     */
    private static final Duration LEDGER_INTERVAL = Duration.ofSeconds(5);

    private static final CompletableFuture<Void> NOTHING = CompletableFuture.completedFuture(null);

    /** While Redis fails, it is not asked more often. */
    private static final Duration REDIS_INTERVAL = Duration.ofMillis(100);

    private final Lane lane;
    private final TaskConsumer consumer;
    private final LedgerTopic ledger;
    private final LostRecords lostRecords;
    private final KnownEnds knownEnds;
    private final Supplier<CompletableFuture<Set<Position>>> reservedRecords;
    private final Mailbox mailbox;
    private final QueueSizes sizes;
    private final DispatchMeters meters;
    private final Runnable awaitPendingWork;
    /** As of when the unloaded partitions were assigned; null if not requested yet. */
    private @Nullable CompletableFuture<FromRedis> fromRedis;

    private final Set<TopicPartition> paused = new HashSet<>();
    /** Assigned partitions whose committed offsets have not been read yet. */
    private final Set<TopicPartition> unloaded = new HashSet<>();
    /** Commits that are not in the ledger yet. */
    private final Map<TopicPartition, OffsetAndMetadata> unrecorded = new HashMap<>();
    /** Partitions whose commit waits until the ledger has what does not fit into it. */
    private final Map<TopicPartition, CompletableFuture<Void>> writing = new HashMap<>();

    private final Map<TopicPartition, CompletableFuture<Void>> ending = new HashMap<>();
    /** High watermarks of loaded partitions, as noted in Redis. */
    private final Map<TopicPartition, Long> noted = new HashMap<>();

    private final RateLimiter redisLimiter = new RateLimiter(REDIS_INTERVAL);
    private final RateLimiter ledgerLimiter = new RateLimiter(LEDGER_INTERVAL);
    /** Health of commits. Dispatching continues without them, but a new owner reads finished records again. */
    private final ActivityMonitor commitMonitor =
            new ActivityMonitor("the commit of thread dispatcher", Duration.ofMinutes(2));

    /**
     * What Redis knows of the partitions.
     *
     * @param reserved records that are reserved for agents
     */
    private record FromRedis(Set<Position> reserved, KnownEnds.Snapshot ends) {}

    /**
     * @param reservedRecords asks Redis for the records that are reserved for agents
     * @param awaitPendingWork waits briefly for what the lane has begun, before partitions are given up
     */
    ConsumedPartitions(
            Lane lane,
            TaskConsumer consumer,
            LedgerTopic ledger,
            LostRecords lostRecords,
            KnownEnds knownEnds,
            Supplier<CompletableFuture<Set<Position>>> reservedRecords,
            Mailbox mailbox,
            QueueSizes sizes,
            DispatchMeters meters,
            Runnable awaitPendingWork) {
        this.lostRecords = lostRecords;
        this.knownEnds = knownEnds;
        this.reservedRecords = reservedRecords;
        this.mailbox = mailbox;
        this.sizes = sizes;
        this.lane = lane;
        this.consumer = consumer;
        this.ledger = ledger;
        this.meters = meters;
        this.awaitPendingWork = awaitPendingWork;
    }

    List<Problem> problems() {
        return commitMonitor.problem().stream().toList();
    }

    /** Forgets all partitions. */
    void clear() {
        resetCommitMonitor();
        paused.clear();
        unloaded.clear();
        ending.clear();
        noted.clear();
        unrecorded.clear();
        writing.clear();
        fromRedis = null;
    }

    // Ownership

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
        // Commits are read later: a request that fails in this callback would not be retried. The partitions stay
        // paused until then.
        consumer.pause(partitions);
        unloaded.addAll(partitions);
        fromRedis = null;
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
        if (partitions.isEmpty()) {
            return;
        }
        awaitPendingWork.run();
        commitNow();
        onPartitionsLost(partitions);
    }

    @Override
    public void onPartitionsLost(Collection<TopicPartition> partitions) {
        resetCommitMonitor();
        lane.lost(consumer.ids(partitions));
        paused.removeAll(partitions);
        unloaded.removeAll(partitions);
        // The next owner's record may be newer.
        unrecorded.keySet().removeAll(partitions);
        writing.keySet().removeAll(partitions);
        ending.keySet().removeAll(partitions);
        noted.keySet().removeAll(partitions);
        meters.lost(partitions.size());
        log.atInfo().addKeyValue("partitions", partitions.size()).log("Partitions lost");
    }

    /** Takes over assigned partitions from their commits; retried in the next round if Kafka or Redis does not answer. */
    void loadGained() {
        if (unloaded.isEmpty() || !ledger.isLoaded()) {
            return;
        }
        FromRedis known = fromRedis();
        if (known == null) {
            return;
        }
        Set<TopicPartition> gained = Set.copyOf(unloaded);
        Map<TopicPartition, OffsetAndMetadata> commits = consumer.committed(gained);
        Map<TopicPartition, Long> beginnings = consumer.beginnings(gained);
        Map<TopicPartition, Long> ends = consumer.ends(gained);
        Set<TopicPartition> loaded = new HashSet<>();
        for (TopicPartition partition : gained) {
            if (ending.containsKey(partition)
                    && !Objects.requireNonNull(ending.get(partition)).isDone()) {
                continue;
            }
            Uuid topicId = consumer.topicId(partition);
            long beginning = beginnings.getOrDefault(partition, 0L);
            long end = ends.getOrDefault(partition, beginning);
            OffsetAndMetadata committed = commits.get(partition);
            OffsetAndMetadata trusted = ledger.trusted(partition, topicId, committed, end);
            boolean isReplaced = ledger.isReplaced(partition, topicId, committed);
            OffsetLedger done = ledger.takeOver(partition, topicId, trusted, end);
            if (!areLostTasksEnded(partition, isReplaced, done, beginning)) {
                continue;
            }
            if (done != null) {
                done.readUpTo(beginning);
                if (committed == null || committed.offset() != done.lowestUnfinished()) {
                    log.atWarn()
                            .addKeyValue("partition", partition)
                            .addKeyValue("committed", committed == null ? "none" : committed.offset())
                            .addKeyValue("done", done.lowestUnfinished())
                            .log("Continuing from coordinator.ledger, which differs from the group's offset");
                    consumer.seek(partition, done.lowestUnfinished());
                }
            } else if (committed != null) {
                log.atWarn()
                        .addKeyValue("partition", partition)
                        .addKeyValue("committed", committed.offset())
                        .log(
                                "Reading from the first record: the group's offset is not of this topic, or beyond its end");
                consumer.seekToBeginning(partition);
            }
            OwnedPartition.Id id = consumer.id(partition);
            lane.gained(
                    id,
                    done == null ? new OffsetLedger(consumer.position(partition)) : done,
                    known.reserved().stream()
                            .filter(position -> OwnedPartition.Id.of(position).equals(id))
                            .map(Position::offset)
                            .collect(Collectors.toSet()));
            if (done == null && topicId != null) {
                // Without anything done yet, so that it shows if the topic is deleted and re-created.
                unrecorded.put(
                        partition, new OffsetAndMetadata(consumer.position(partition), CommitTag.with(topicId, "")));
            }
            if (topicId != null) {
                known.ends()
                        .of(new KnownEnds.Id(topicId, partition.partition()))
                        .ifPresent(noteOfLastOwner -> noted.put(partition, noteOfLastOwner));
            }
            loaded.add(partition);
        }
        if (loaded.isEmpty()) {
            return;
        }
        unloaded.removeAll(loaded);
        consumer.resume(loaded);
        meters.gained(loaded.size());
        log.atInfo().addKeyValue("partitions", loaded.size()).log("Partitions gained");
    }

    /** Null until Redis has answered. */
    private @Nullable FromRedis fromRedis() {
        if (fromRedis == null) {
            if (!redisLimiter.tryAcquire()) {
                return null;
            }
            fromRedis = mailbox.relay(reservedRecords.get().thenCombine(knownEnds.read(), FromRedis::new));
        }
        if (fromRedis.isCompletedExceptionally()) {
            fromRedis = null;
            return null;
        }
        return fromRedis.getNow(null);
    }

    /** Notes in Redis where the partitions end. */
    void noteEnds() {
        sizes.eachEnd(loaded(), (partition, end) -> mailbox.postLazily(() -> noteEnd(partition, end)));
    }

    private void noteEnd(TopicPartition partition, long end) {
        Uuid topicId = consumer.topicId(partition);
        if (topicId == null || !loaded().contains(partition)) {
            return;
        }
        Long before = noted.put(partition, end);
        if (before != null && end < before) {
            log.atError()
                    .addKeyValue("partition", partition)
                    .addKeyValue("before", before)
                    .addKeyValue("now", end)
                    .log("The partition has a lower end than before: if Kafka was restored from an older copy,"
                            + " tasks that were accepted since stay queued and have to be cancelled");
        }
        if (before == null || end != before) {
            knownEnds.write(new KnownEnds.Id(topicId, partition.partition()), end);
        }
    }

    /** Relocates tasks whose records are from before a time. */
    void relocate(Instant before) {
        sizes.eachFirstSince(
                before,
                loaded(),
                (partition, first) -> mailbox.postLazily(
                        () -> lane.relocate(consumer.id(partition), first < 0 ? Long.MAX_VALUE : first)));
    }

    /** Notices records that were deleted while they waited. */
    void noticeDeletions() {
        sizes.eachBeginning(
                loaded(),
                (partition, beginning) ->
                        mailbox.postLazily(() -> lane.deletedBelow(consumer.id(partition), beginning)));
    }

    private Set<TopicPartition> loaded() {
        Set<TopicPartition> loaded = new HashSet<>(consumer.assignment());
        loaded.removeAll(unloaded);
        return loaded;
    }

    /** A partition is not read, and nothing is committed for it, before the tasks whose records are gone have ended. */
    private boolean areLostTasksEnded(
            TopicPartition partition, boolean isReplaced, @Nullable OffsetLedger done, long start) {
        OffsetLedger gap = done == null || done.lowestUnfinished() >= start ? null : done;
        if (!isReplaced && gap == null) {
            return true;
        }
        OwnedPartition.Id id = consumer.id(partition);
        CompletableFuture<Void> ended = ending.computeIfAbsent(
                partition,
                gone -> CompletableFuture.allOf(
                        isReplaced ? lostRecords.endReplaced(id.priority()) : NOTHING,
                        gap == null ? NOTHING : lostRecords.end(id, gap, start)));
        if (ended.isDone()) {
            ending.remove(partition);
        }
        return ended.isDone();
    }

    // Flow control

    boolean isAnyPaused() {
        return !paused.isEmpty();
    }

    /** Pauses full partitions, in a single call. */
    void pauseFull(Set<TopicPartition> partitions) {
        Set<TopicPartition> full = partitions.stream()
                .filter(partition -> lane.isFull(consumer.id(partition)))
                .collect(Collectors.toSet());
        if (paused.addAll(full)) {
            consumer.pause(full);
        }
    }

    void resume() {
        if (paused.isEmpty()) {
            return;
        }
        Set<TopicPartition> resumable = paused.stream()
                .filter(partition -> !lane.isFull(consumer.id(partition)))
                .collect(Collectors.toSet());
        paused.removeAll(resumable);
        resumable.retainAll(consumer.assignment());
        consumer.resume(resumable);
    }

    // Commits

    void commitInBackground() {
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        lane.commits(id -> !writing.containsKey(consumer.partition(id))).forEach((id, commit) -> {
            TopicPartition partition = consumer.partition(id);
            if (commit.full() == null) {
                offsets.put(partition, tagged(partition, commit));
            } else {
                commitAfterLedger(partition, tagged(partition, commit), commit.full());
            }
        });
        unrecorded.putAll(offsets);
        if (!unrecorded.isEmpty() && ledgerLimiter.tryAcquire()) {
            recordInLedger();
        }
        commitInBackground(offsets);
    }

    private void commitAfterLedger(TopicPartition partition, OffsetAndMetadata offset, OffsetLedger.Snapshot full) {
        unrecorded.remove(partition);
        CompletableFuture<Void> write = mailbox.relay(ledger.write(partition, offset, full));
        writing.put(partition, write);
        write.whenComplete((written, failure) -> {
            if (!writing.remove(partition, write)) {
                // The partition was lost meanwhile, and perhaps regained.
                return;
            }
            if (failure == null) {
                commitInBackground(Map.of(partition, offset));
            } else {
                log.atDebug().log("Ledger not written, will retry: {}", failure.toString());
                ledger.writeFailed(partition);
                commitMonitor.failed(failure);
                lane.commitFailed();
            }
        });
    }

    private void commitInBackground(Map<TopicPartition, OffsetAndMetadata> offsets) {
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

    void commitNow() {
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        List<CompletableFuture<Void>> written = new ArrayList<>();
        if (!writing.isEmpty()) {
            // What is being written has not been committed, and is written again.
            lane.commitFailed();
        }
        lane.commits(id -> true).forEach((id, commit) -> {
            TopicPartition partition = consumer.partition(id);
            offsets.put(partition, tagged(partition, commit));
            unrecorded.remove(partition);
            written.add(ledger.write(partition, tagged(partition, commit), commit.full()));
        });
        recordInLedger();
        if (offsets.isEmpty()) {
            return;
        }
        try {
            CompletableFuture.allOf(written.toArray(CompletableFuture[]::new))
                    .get(LAST_COMMIT_TIMEOUT.toMillis(), TimeUnit.MILLISECONDS);
            consumer.commitSync(offsets, LAST_COMMIT_TIMEOUT);
        } catch (KafkaException | ExecutionException | TimeoutException e) {
            // The next owner reads finished tasks again, and the reservation finds that they have ended.
            log.atWarn().log("Last commit failed: {}", e.toString());
        } catch (InterruptedException e) {
            throw new InterruptException(e);
        }
    }

    private void recordInLedger() {
        unrecorded.forEach((partition, offset) -> ledger.write(partition, offset, null));
        unrecorded.clear();
    }

    private OffsetAndMetadata tagged(TopicPartition partition, OwnedPartition.Commit commit) {
        return new OffsetAndMetadata(
                commit.offset(),
                CommitTag.with(Objects.requireNonNull(consumer.topicId(partition)), commit.metadata()));
    }

    /** A partition that failed to commit may have moved to another coordinator; if it is still owned, it is committed again. */
    private void resetCommitMonitor() {
        commitMonitor.succeeded();
        commitMonitor.idle();
    }
}
