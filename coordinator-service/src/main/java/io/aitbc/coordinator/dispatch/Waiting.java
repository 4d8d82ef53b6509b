package io.aitbc.coordinator.dispatch;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.TaskStatus;
import io.aitbc.coordinator.match.Backlog;
import io.aitbc.coordinator.match.BacklogEntry;
import io.aitbc.coordinator.match.Limits;
import io.aitbc.coordinator.match.TaskSummary;
import io.aitbc.coordinator.match.WaitingTask;
import java.time.Duration;
import java.time.Instant;
import java.util.BitSet;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** The way of tasks into the backlog, and out of it for reasons other than an assignment. */
final class Waiting {
    /** Searches of the whole backlog are at most this frequent: their cost grows with the number of waiting tasks. */
    private static final Duration SEARCH_INTERVAL = Duration.ofMillis(100);

    private static final Duration READ_ON = Duration.ofSeconds(1);
    private static final int LOW_BITS = 0xFFFF;

    private final Backlog backlog;
    private final Limits limits;
    private final OwnedPartitions partitions;
    private final Unrecorded unrecorded;
    private final Unverified unverified;
    private final Endings endings;
    private final Payloads payloads;
    private final LaneClock clock;
    /** Ids of tasks that were cancelled elsewhere. */
    private final Set<String> cancelled = new HashSet<>();
    /** Ids of tasks that may wait here although an agent is recorded as holding them. */
    private final Set<String> unpublished = new HashSet<>();

    private Instant nextSearch = Instant.EPOCH;

    Waiting(
            Backlog backlog,
            Limits limits,
            OwnedPartitions partitions,
            Unrecorded unrecorded,
            Unverified unverified,
            Endings endings,
            Payloads payloads,
            LaneClock clock) {
        this.backlog = backlog;
        this.limits = limits;
        this.partitions = partitions;
        this.unrecorded = unrecorded;
        this.unverified = unverified;
        this.endings = endings;
        this.payloads = payloads;
        this.clock = clock;
    }

    /** Adds a task that was read and now waits. */
    void add(WaitingTask task) {
        unrecorded.read();
        OwnedPartition partition = partitions.of(task.position());
        if (partition == null) {
            return;
        }
        if (partition.takeReserved(task.position().offset())) {
            unverified.add(task);
            return;
        }
        BacklogEntry entry = addTo(partition, task);
        if (entry != null && entry.task() != null) {
            unrecorded.add(entry);
        }
    }

    /** Adds a task that was read, and whose turn is far. */
    void add(TaskSummary task) {
        unrecorded.read();
        OwnedPartition partition = partitions.of(task.position());
        if (partition == null) {
            return;
        }
        String clearId = partition.clearOf(task.position().offset());
        if (clearId == null) {
            backlog.add(task, clock.now());
        } else {
            endings.add(BacklogEntry.of(task), TaskStatus.CANCELLED, clearId);
        }
    }

    /** Puts back a task whose reservation was refused. */
    void putBack(WaitingTask task) {
        OwnedPartition partition = partitions.of(task.position());
        if (partition != null) {
            addTo(partition, task);
        }
    }

    /**
     * Publishes what may be missing of a task that failed while it waited.
     *
     * @param error as JSON
     */
    void failed(WaitingTask task, String error) {
        fail(task, Json.MAPPER.readTree(error).asString(error));
    }

    private void fail(WaitingTask task, String why) {
        if (partitions.of(task.position()) != null) {
            endings.add(task, TaskStatus.FAILED, why);
        }
    }

    private @Nullable BacklogEntry addTo(OwnedPartition partition, WaitingTask task) {
        String clearId = partition.clearOf(task.position().offset());
        if (clearId != null) {
            endings.add(task, TaskStatus.CANCELLED, clearId);
            return null;
        }
        String impossible = limits.book().impossible(task.task());
        if (impossible != null) {
            endings.add(task, TaskStatus.FAILED, impossible);
            return null;
        }
        return backlog.add(task, clock.now());
    }

    void cancelled(Collection<String> taskIds) {
        cancelled.addAll(taskIds);
    }

    void unpublished(Collection<String> taskIds) {
        unpublished.addAll(taskIds);
    }

    void clockSetBack() {
        nextSearch = Instant.EPOCH;
    }

    /** Takes the tasks out of the backlog that must no longer wait. */
    void takeOut() {
        backlog.takeExpired(clock.now()).forEach(entry -> endings.add(entry, TaskStatus.EXPIRED, ""));
        for (BacklogEntry entry : limits.takeImpossible()) {
            WaitingTask task = Objects.requireNonNull(entry.task());
            String impossible = limits.book().impossible(task.task());
            if (impossible == null) {
                putBack(task);
            } else {
                fail(task, impossible);
            }
        }
        if (cancelled.isEmpty() && unpublished.isEmpty() || clock.now().isBefore(nextSearch)) {
            return;
        }
        nextSearch = clock.now().plus(SEARCH_INTERVAL);
        Set<Integer> hashes = new HashSet<>();
        cancelled.forEach(id -> hashes.add(id.hashCode()));
        unpublished.forEach(id -> hashes.add(id.hashCode()));
        // Rules out nearly all of millions of entries without an object for each.
        BitSet lowBits = new BitSet(LOW_BITS + 1);
        hashes.forEach(hash -> lowBits.set(hash & LOW_BITS));
        Set<String> cancelledIds = Set.copyOf(cancelled);
        Set<String> unpublishedIds = Set.copyOf(unpublished);
        cancelled.clear();
        unpublished.clear();
        List<BacklogEntry> found =
                backlog.find(entry -> lowBits.get(entry.idHash() & LOW_BITS) && hashes.contains(entry.idHash()));
        if (!unpublishedIds.isEmpty()
                && !found.stream()
                        .map(BacklogEntry::idHash)
                        .toList()
                        .containsAll(
                                unpublishedIds.stream().map(String::hashCode).toList())) {
            // Such a task may fill the agent that all others wait for.
            partitions.readOnUntil(clock.now().plus(READ_ON));
        }
        for (BacklogEntry entry : found) {
            WaitingTask task = entry.task();
            if (task != null) {
                takeOut(entry, task, cancelledIds, unpublishedIds);
            } else {
                payloads.requestLater(entry, read -> {
                    if (read == null) {
                        backlog.remove(entry);
                    } else {
                        takeOut(entry, read, cancelledIds, unpublishedIds);
                    }
                });
            }
        }
    }

    private void takeOut(BacklogEntry entry, WaitingTask task, Set<String> cancelledIds, Set<String> unpublishedIds) {
        if (entry.isRemoved()) {
            return;
        }
        if (cancelledIds.contains(task.id()) || unpublishedIds.contains(task.id())) {
            backlog.remove(entry);
            unverified.add(task);
        }
    }

    /** Requests the payloads of tasks whose turn comes near. */
    void bringNear(Set<Priority> paused) {
        for (BacklogEntry entry : backlog.wanted(paused)) {
            payloads.request(entry, task -> {
                if (task == null) {
                    backlog.remove(entry);
                } else if (backlog.accept(entry, task)) {
                    unrecorded.add(entry);
                }
            });
        }
        payloads.fetch();
    }
}
