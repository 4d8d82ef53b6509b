package io.aitbc.coordinator.dispatch;

import io.aitbc.contracts.Priority;
import io.aitbc.coordinator.deadletter.DeadLetters;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.match.TaskSummary;
import io.aitbc.coordinator.queue.TaskRecords;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.common.TopicPartition;

/**
 * Passes polled records to the lane. A record that is not a valid task goes to the dead-letter topic, and is done once it has arrived
 * there; what only a parser finds invalid, when its payload is needed. Owned by the dispatcher's thread.
 */
final class RecordIntake {
    private final TaskRecords records;
    private final DeadLetters deadLetters;
    private final Mailbox mailbox;
    private final DispatchMeters meters;
    private final List<Runnable> failedDeadLetters = new ArrayList<>();

    RecordIntake(TaskRecords records, DeadLetters deadLetters, Mailbox mailbox, DispatchMeters meters) {
        this.records = records;
        this.deadLetters = deadLetters;
        this.mailbox = mailbox;
        this.meters = meters;
    }

    void add(ConsumerRecords<byte[], byte[]> polled, Lane lane, Instant now) {
        for (TopicPartition partition : polled.partitions()) {
            Priority priority = records.priority(partition);
            int tasks = 0;
            for (ConsumerRecord<byte[], byte[]> record : polled.records(partition)) {
                Position position = new Position(priority, record.partition(), record.offset());
                if (lane.received(position) && add(record, position, lane, now)) {
                    tasks++;
                }
            }
            meters.received(priority, tasks);
        }
    }

    private boolean add(ConsumerRecord<byte[], byte[]> record, Position position, Lane lane, Instant now) {
        try {
            if (lane.needsPayload(position)) {
                lane.addWaiting(records.read(record, position), now);
                return true;
            }
            TaskSummary summary = records.summary(
                    record, position, lane.matcher().limits().book().readsTaskType());
            if (lane.needsPayload(summary)) {
                lane.addWaiting(records.read(record, position), now);
            } else {
                lane.addWaiting(summary, now);
            }
            return true;
        } catch (TaskRecords.PoisonException poison) {
            deadLetter(record, position, poison, lane);
            return false;
        }
    }

    private void deadLetter(
            ConsumerRecord<byte[], byte[]> record, Position position, TaskRecords.PoisonException poison, Lane lane) {
        deadLetters
                .poison(record, poison.reason(), String.valueOf(poison.getMessage()))
                .whenComplete((done, failure) -> mailbox.post(() -> {
                    if (failure == null) {
                        lane.finished(position);
                    } else {
                        failedDeadLetters.add(() -> deadLetter(record, position, poison, lane));
                    }
                }));
    }

    /** Retries failed dead letters, and logs accumulated warnings. */
    void tick(Instant now) {
        List<Runnable> retries = List.copyOf(failedDeadLetters);
        failedDeadLetters.clear();
        retries.forEach(Runnable::run);
        deadLetters.flushWarnings(now);
    }
}
