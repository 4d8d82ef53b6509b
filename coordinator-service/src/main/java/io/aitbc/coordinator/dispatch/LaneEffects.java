package io.aitbc.coordinator.dispatch;

import io.aitbc.contracts.ControlMessage.QueueCleared;
import io.aitbc.contracts.TaskStatus;
import io.aitbc.coordinator.assign.AssignmentPublisher;
import io.aitbc.coordinator.assign.Judgement;
import io.aitbc.coordinator.assign.Reservations;
import io.aitbc.coordinator.assign.Verdict;
import io.aitbc.coordinator.deadletter.DeadLetters;
import io.aitbc.coordinator.event.TaskEvents;
import io.aitbc.coordinator.limit.LimitBook;
import io.aitbc.coordinator.match.Placement;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.match.SlotOffer;
import io.aitbc.coordinator.match.WaitingTask;
import io.aitbc.coordinator.queue.QueueSizes;
import io.aitbc.coordinator.queue.TaskQueue;
import io.aitbc.coordinator.taskstate.TaskStates;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.apache.kafka.common.errors.InterruptException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Performs a lane's effects in Kafka and Redis; the answers are relayed to the lane's thread. */
final class LaneEffects implements SideEffects {
    private static final Logger log = LoggerFactory.getLogger(LaneEffects.class);

    private final Mailbox mailbox;
    private final TaskConsumer consumer;
    private final TaskQueue queue;
    private final RecordFetcher fetcher;
    private final LostRecords lostRecords;
    private final QueueSizes sizes;
    private final TaskStates taskStates;
    private final Reservations reservations;
    private final AssignmentPublisher assignments;
    private final TaskEvents events;
    private final DeadLetters deadLetters;
    private final Announcements announcements;
    private final DispatchMeters meters;

    /**
     * Senders of a lane's messages to the other coordinators.
     *
     * @param budgets notes more of budgets, so that it may be spent
     * @param outdated called if the definitions of limits here are others than those that Redis goes by
     */
    record Announcements(
            Consumer<QueueCleared> cleared,
            Consumer<List<SlotOffer>> slotOffers,
            Consumer<Judgement> budgets,
            Runnable outdated) {}

    LaneEffects(
            Mailbox mailbox,
            TaskConsumer consumer,
            TaskQueue queue,
            RecordFetcher fetcher,
            LostRecords lostRecords,
            QueueSizes sizes,
            TaskStates taskStates,
            Reservations reservations,
            AssignmentPublisher assignments,
            TaskEvents events,
            DeadLetters deadLetters,
            Announcements announcements,
            DispatchMeters meters) {
        this.mailbox = mailbox;
        this.consumer = consumer;
        this.queue = queue;
        this.fetcher = fetcher;
        this.lostRecords = lostRecords;
        this.sizes = sizes;
        this.taskStates = taskStates;
        this.reservations = reservations;
        this.assignments = assignments;
        this.events = events;
        this.deadLetters = deadLetters;
        this.announcements = announcements;
        this.meters = meters;
    }

    @Override
    public CompletableFuture<Judgement> reserve(List<Placement> placements, LimitBook limits, Instant now) {
        return mailbox.relay(reservations.reserve(placements, limits, now).thenCompose(judgement -> {
            List<Verdict> verdicts = meters.countRulings(judgement.verdicts());
            if (!judgement.toNote().isEmpty()) {
                announcements.budgets.accept(judgement);
            }
            if (verdicts.stream().anyMatch(verdict -> verdict.ruling() == Verdict.Ruling.OUTDATED)) {
                announcements.outdated.run();
            }
            return after(judgement, events.publish(LaneEvents.ofEnded(verdicts, now)));
        }));
    }

    private static <T> CompletableFuture<T> after(T answer, CompletableFuture<Void> published) {
        return published.thenApply(done -> answer);
    }

    @Override
    public CompletableFuture<List<Boolean>> endWaiting(
            List<WaitingTask> tasks, TaskStatus status, String note, LimitBook limits, Instant now) {
        boolean fail = status == TaskStatus.FAILED;
        return mailbox.relay(reservations
                .endWaiting(tasks, status, note, limits, now)
                .thenCompose(endings -> {
                    List<Boolean> ended = endings.stream()
                            .map(ending -> ending == Reservations.Ending.ENDED)
                            .toList();
                    CompletableFuture<Void> published =
                            events.publish(LaneEvents.ofEndings(tasks, endings, status, note, now));
                    return after(
                            ended, fail ? published.thenCompose(done -> deadLetter(tasks, ended, note)) : published);
                }));
    }

    private CompletableFuture<Void> deadLetter(List<WaitingTask> tasks, List<Boolean> ended, String why) {
        List<CompletableFuture<Void>> letters = new ArrayList<>();
        for (int i = 0; i < tasks.size(); i++) {
            if (ended.get(i)) {
                WaitingTask waiting = tasks.get(i);
                letters.add(
                        deadLetters.overLimit(waiting.task(), waiting.position().priority(), why, waiting.trace()));
            }
        }
        return CompletableFuture.allOf(letters.toArray(CompletableFuture[]::new));
    }

    @Override
    public CompletableFuture<Void> publish(Verdict verdict) {
        if (verdict.ruling() == Verdict.Ruling.GRANTED) {
            meters.assigned(verdict);
        }
        CompletableFuture<Void> event = events.publish(LaneEvents.assigned(verdict));
        // If it is refused, the assignment waits with it, so that agents do not get it again with each attempt to
        // publish both.
        return mailbox.relayLazily(
                event.isCompletedExceptionally()
                        ? event
                        : CompletableFuture.allOf(event, assignments.publish(verdict)));
    }

    @Override
    public CompletableFuture<Payloads.Fetched> fetch(List<Position> positions) {
        return mailbox.relay(fetcher.fetch(positions));
    }

    @Override
    public CompletableFuture<Void> failLost(Set<Position> positions) {
        return mailbox.relay(lostRecords.fail(positions));
    }

    @Override
    public CompletableFuture<Void> append(WaitingTask task) {
        return mailbox.relay(queue.appendAgain(task));
    }

    @Override
    public CompletableFuture<List<Boolean>> recordQueued(List<WaitingTask> tasks) {
        return mailbox.relay(taskStates
                .recordQueued(tasks)
                .thenCompose(recorded -> after(
                        recorded.stream()
                                .map(one -> one == TaskStates.Recorded.ENDED)
                                .toList(),
                        events.publish(LaneEvents.ofWaiting(tasks, recorded)))));
    }

    @Override
    public Map<OwnedPartition.Id, Long> appendedEnds(Set<OwnedPartition.Id> partitions) {
        Map<OwnedPartition.Id, Long> ends = new HashMap<>();
        try {
            sizes.ends(partitions.stream().map(consumer::partition).collect(Collectors.toSet()))
                    .forEach((partition, end) -> ends.put(consumer.id(partition), end));
            return ends;
        } catch (QueueSizes.KafkaUnavailableException e) {
            log.atDebug().log("End offsets unknown in this round: {}", e.toString());
            return Map.of();
        } catch (InterruptedException e) {
            throw new InterruptException(e);
        }
    }

    @Override
    public long position(OwnedPartition.Id partition) {
        return consumer.position(consumer.partition(partition));
    }

    @Override
    public void report(QueueCleared cleared) {
        announcements.cleared.accept(cleared);
    }

    @Override
    public void offerSlots(List<SlotOffer> offers) {
        announcements.slotOffers.accept(offers);
    }
}
