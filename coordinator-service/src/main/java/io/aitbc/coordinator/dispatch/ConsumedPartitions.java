package io.aitbc.coordinator.dispatch;

import io.aitbc.coordinator.background.ActivityMonitor;
import io.aitbc.coordinator.background.RateLimiter;
import io.aitbc.coordinator.kafka.CommitTag;
import io.aitbc.coordinator.queue.LedgerTopic;
import io.aitbc.coordinator.queue.OffsetLedger;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
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
     * A copy of the commits need not be newer: the tasks that ended since are known in Redis, or restored by its rebuild from the results of
     * the last minute.
     */
    private static final Duration LEDGER_INTERVAL = Duration.ofSeconds(5);

    private final Lane lane;
    private final TaskConsumer consumer;
    private final LedgerTopic ledger;
    private final LostRecords lostRecords;
    private final DispatchMeters meters;
    private final Runnable awaitPendingWork;
    private final Set<TopicPartition> paused = new HashSet<>();
    /** Assigned partitions whose committed offsets have not been read yet. */
    private final Set<TopicPartition> unloaded = new HashSet<>();
    /** Commits that are not in the ledger yet. */
    private final Map<TopicPartition, OffsetAndMetadata> unrecorded = new HashMap<>();

    private final Map<TopicPartition, CompletableFuture<Void>> ending = new HashMap<>();
    private final RateLimiter ledgerLimiter = new RateLimiter(LEDGER_INTERVAL);
    /** Health of commits. Dispatching continues without them, but a new owner reads finished records again. */
    private final ActivityMonitor commitMonitor =
            new ActivityMonitor("the commit of thread dispatcher", Duration.ofMinutes(2));

    /** @param awaitPendingWork waits briefly for what the lane has begun, before partitions are given up */
    ConsumedPartitions(
            Lane lane,
            TaskConsumer consumer,
            LedgerTopic ledger,
            LostRecords lostRecords,
            DispatchMeters meters,
            Runnable awaitPendingWork) {
        this.lostRecords = lostRecords;
        this.lane = lane;
        this.consumer = consumer;
        this.ledger = ledger;
        this.meters = meters;
        this.awaitPendingWork = awaitPendingWork;
    }

    List<String> problems() {
        return commitMonitor.problem().stream().toList();
    }

    /** Forgets all partitions. */
    void clear() {
        resetCommitMonitor();
        paused.clear();
        unloaded.clear();
        ending.clear();
        unrecorded.clear();
    }

    // Ownership

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
        // Commits are read later: a request that fails in this callback would not be retried. The partitions stay
        // paused until then.
        consumer.pause(partitions);
        unloaded.addAll(partitions);
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
        ending.keySet().removeAll(partitions);
        meters.lost(partitions.size());
        log.atInfo().addKeyValue("partitions", partitions.size()).log("Partitions lost");
    }

    /** Takes over assigned partitions from their commits; retried in the next round if Kafka does not answer. */
    void loadGained() {
        if (unloaded.isEmpty() || !ledger.isLoaded()) {
            return;
        }
        Set<TopicPartition> gained = Set.copyOf(unloaded);
        Map<TopicPartition, OffsetAndMetadata> committed = consumer.committed(gained);
        Map<TopicPartition, Long> beginnings = consumer.beginnings(gained);
        Map<TopicPartition, Long> ends = consumer.ends(gained);
        Set<TopicPartition> loaded = new HashSet<>();
        for (TopicPartition partition : gained) {
            OffsetAndMetadata offset = committed.get(partition);
            if (offset != null && CommitTag.isForOtherTopic(consumer.topicId(partition), offset.metadata())) {
                offset = null;
                consumer.seekToBeginning(partition);
            }
            OffsetAndMetadata done = ledger.done(partition, consumer.topicId(partition), offset);
            long start = beginnings.getOrDefault(partition, 0L);
            if (done != null && !areLostTasksEnded(partition, done, start, ends.getOrDefault(partition, start))) {
                continue;
            }
            if (done != null && (offset == null || offset.offset() != done.offset())) {
                log.atWarn()
                        .addKeyValue("partition", partition)
                        .addKeyValue("committed", offset == null ? "none" : offset.offset())
                        .addKeyValue("done", done.offset())
                        .log("Continuing from coordinator.ledger, which is ahead of the group's offset");
                consumer.seek(partition, done.offset());
            }
            lane.gained(
                    consumer.id(partition),
                    done == null ? consumer.position(partition) : done.offset(),
                    done == null ? "" : done.metadata(),
                    ends.getOrDefault(partition, 0L));
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

    /** A partition is not read, and nothing is committed for it, before the tasks whose records are gone have ended. */
    private boolean areLostTasksEnded(TopicPartition partition, OffsetAndMetadata done, long start, long end) {
        if (done.offset() >= start) {
            return true;
        }
        CompletableFuture<Void> ended = ending.computeIfAbsent(
                partition,
                gone -> lostRecords.end(
                        consumer.id(gone), OffsetLedger.restore(done.offset(), done.metadata()), start, end));
        if (ended.isDone()) {
            ending.remove(partition);
        }
        return ended.isDone();
    }

    // Flow control

    boolean isAnyPaused() {
        return !paused.isEmpty();
    }

    /** Pauses full partitions in a single call, since each call waits for the consumer's own thread. */
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
        Map<TopicPartition, OffsetAndMetadata> offsets = changedOffsets();
        unrecorded.putAll(offsets);
        if (!unrecorded.isEmpty() && ledgerLimiter.tryAcquire()) {
            recordInLedger();
        }
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
        Map<TopicPartition, OffsetAndMetadata> offsets = changedOffsets();
        unrecorded.putAll(offsets);
        recordInLedger();
        if (offsets.isEmpty()) {
            return;
        }
        try {
            consumer.commitSync(offsets, LAST_COMMIT_TIMEOUT);
        } catch (KafkaException e) {
            // The next owner reads finished tasks again, and the reservation finds that they have ended.
            log.atWarn().log("Last commit failed: {}", e.toString());
        }
    }

    private void recordInLedger() {
        ledger.write(Map.copyOf(unrecorded));
        unrecorded.clear();
    }

    private Map<TopicPartition, OffsetAndMetadata> changedOffsets() {
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        lane.commits().forEach((id, commit) -> {
            TopicPartition partition = consumer.partition(id);
            String metadata = CommitTag.with(Objects.requireNonNull(consumer.topicId(partition)), commit.metadata());
            offsets.put(partition, new OffsetAndMetadata(commit.offset(), metadata));
        });
        return offsets;
    }

    /** A partition that failed to commit may have moved to another coordinator; if it is still owned, it is committed again. */
    private void resetCommitMonitor() {
        commitMonitor.succeeded();
        commitMonitor.idle();
    }
}
