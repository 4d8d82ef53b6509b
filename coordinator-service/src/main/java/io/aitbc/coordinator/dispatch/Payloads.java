package io.aitbc.coordinator.dispatch;

import io.aitbc.coordinator.match.BacklogEntry;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.match.WaitingTask;
import java.time.Duration;
import java.time.Instant;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;

/** Reads the payloads of waiting tasks again, one batch at a time, in the order of their offsets. */
final class Payloads {
    /** Maximum number of tasks per request. */
    private static final int BATCH = 4_096;

    private static final Duration RETRY_INTERVAL = Duration.ofSeconds(1);
    /** Pause after an answer without any record: all requested partitions may be offline. */
    private static final Duration SILENT_INTERVAL = Duration.ofMillis(100);

    private final OwnedPartitions partitions;
    private final SideEffects effects;
    private final PendingRequests pendingRequests;
    private final LaneClock clock;
    private final Logger log;
    /** In order of request. */
    private final Map<Position, Request> requests = new LinkedHashMap<>();

    /** Records that are gone, and whose tasks have not been failed yet. */
    private final Set<Position> losses = new HashSet<>();

    private boolean fetching;
    private Instant next = Instant.EPOCH;

    /** @param isNear whether it is for a task whose turn is near; these are served first, and dropped when the turn is no longer near */
    private record Request(BacklogEntry entry, boolean isNear, Consumer<@Nullable WaitingTask> then) {
        boolean isObsolete() {
            return isNear && (entry.isRemoved() || !entry.isNear());
        }
    }

    /**
     * What was found at the requested positions. Those that are in none of these sets have not been read yet.
     *
     * @param gone positions without a record: it was deleted or compacted
     * @param poison positions of records that hold no task; they are in the dead-letter topic
     */
    record Fetched(Map<Position, WaitingTask> tasks, Set<Position> gone, Set<Position> poison) {}

    Payloads(
            OwnedPartitions partitions,
            SideEffects effects,
            PendingRequests pendingRequests,
            LaneClock clock,
            Logger log) {
        this.partitions = partitions;
        this.effects = effects;
        this.pendingRequests = pendingRequests;
        this.clock = clock;
        this.log = log;
    }

    /**
     * Requests a payload.
     *
     * @param then accepts the task; null if the record is gone, and its task fails, or if it holds no task
     */
    void request(BacklogEntry entry, Consumer<@Nullable WaitingTask> then) {
        add(new Request(entry, true, then));
    }

    /** Like {@link #request}, for a task that is not to be assigned now. */
    void requestLater(BacklogEntry entry, Consumer<@Nullable WaitingTask> then) {
        add(new Request(entry, false, then));
    }

    private void add(Request request) {
        requests.merge(
                request.entry.position(),
                request,
                (before, added) -> before.entry == added.entry
                        ? new Request(added.entry, before.isNear && added.isNear, before.then.andThen(added.then))
                        : added);
    }

    void lost(Set<OwnedPartition.Id> ids) {
        requests.keySet().removeIf(position -> ids.contains(OwnedPartition.Id.of(position)));
        losses.removeIf(position -> ids.contains(OwnedPartition.Id.of(position)));
    }

    void clockSetBack() {
        next = Instant.EPOCH;
    }

    void forgetPending() {
        fetching = false;
    }

    /** Sends the next requests, unless they are pending. */
    void fetch() {
        if (clock.now().isBefore(next)) {
            return;
        }
        if (!losses.isEmpty()) {
            recordLosses();
        }
        if (fetching || requests.isEmpty()) {
            return;
        }
        Map<Position, Request> batch = nextBatch();
        if (batch.isEmpty()) {
            return;
        }
        fetching = true;
        List<Position> positions =
                batch.keySet().stream().sorted(Comparator.naturalOrder()).toList();
        pendingRequests.handle(effects.fetch(positions), (fetched, failure) -> {
            fetching = false;
            if (failure != null) {
                log.atDebug().log("Payloads not read, will retry: {}", failure.toString());
                next = clock.now().plus(RETRY_INTERVAL);
                return;
            }
            if (fetched.tasks().isEmpty()
                    && fetched.gone().isEmpty()
                    && fetched.poison().isEmpty()) {
                next = clock.now().plus(SILENT_INTERVAL);
            }
            fetched.tasks().forEach((position, task) -> answer(position, batch, task));
            for (Position position : fetched.poison()) {
                if (answer(position, batch, null)) {
                    partitions.finished(position);
                }
            }
            for (Position position : fetched.gone()) {
                if (answer(position, batch, null)) {
                    losses.add(position);
                }
            }
            // What was not answered must not stand in the way of others.
            batch.forEach((position, request) -> {
                if (requests.remove(position, request)) {
                    requests.put(position, request);
                }
            });
        });
    }

    private Map<Position, Request> nextBatch() {
        requests.values().removeIf(Request::isObsolete);
        Map<Position, Request> batch = new HashMap<>();
        for (boolean isNear : new boolean[] {true, false}) {
            requests.entrySet().stream()
                    .filter(request -> request.getValue().isNear == isNear)
                    .limit(BATCH - batch.size())
                    .forEach(request -> batch.put(request.getKey(), request.getValue()));
        }
        return batch;
    }

    /** Returns false if the partition was lost meanwhile, and perhaps regained: the record is then read again. */
    private boolean answer(Position position, Map<Position, Request> batch, @Nullable WaitingTask task) {
        Request request = batch.get(position);
        if (request == null || !requests.remove(position, request)) {
            return false;
        }
        request.then.accept(task);
        return true;
    }

    /** Fails tasks whose records are gone. Their offsets are done once that is recorded. */
    void failLost(Set<Position> gone) {
        losses.addAll(gone);
    }

    private void recordLosses() {
        Set<Position> gone = Set.copyOf(losses);
        losses.clear();
        pendingRequests.handle(effects.failLost(gone), (done, failure) -> {
            if (failure == null) {
                gone.forEach(partitions::finished);
            } else {
                gone.stream()
                        .filter(position -> partitions.of(position) != null)
                        .forEach(losses::add);
                next = clock.now().plus(RETRY_INTERVAL);
            }
        });
    }
}
