package io.aitbc.coordinator.dispatch;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.TaskEvent;
import io.aitbc.contracts.TaskStatus;
import io.aitbc.coordinator.assign.Reservations;
import io.aitbc.coordinator.assign.Verdict;
import io.aitbc.coordinator.match.WaitingTask;
import io.aitbc.coordinator.taskstate.TaskStates;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;

/**
 * The events of a lane's steps. Pure. An event that carries the task is published before the offset of its first record is committed, even if the task ended
 * while it waited.
 */
final class LaneEvents {
    private LaneEvents() {}

    static TaskEvent assigned(Verdict verdict) {
        WaitingTask waiting = verdict.placement().waiting();
        return TaskEvent.assigned(
                waiting.task(), waiting.position().priority(), verdict.agentId(), verdict.assignedAt());
    }

    /** Events of ended tasks that may not have been published yet: a coordinator may have died before, or the task ended elsewhere while it waited here. */
    static List<TaskEvent> ofEnded(List<Verdict> verdicts, Instant now) {
        List<TaskEvent> events = new ArrayList<>();
        for (Verdict verdict : verdicts) {
            WaitingTask waiting = verdict.placement().waiting();
            switch (verdict.ruling()) {
                case WAS_HELD -> events.add(assigned(verdict));
                case CANCELLED -> addEnd(waiting, TaskStatus.CANCELLED, "", now, events);
                case EXPIRED -> addEnd(waiting, TaskStatus.EXPIRED, "", now, events);
                case ENDED, FAILED, DUPLICATE, GRANTED, LIVE, FULL, UNAVAILABLE, LIMITED, OUTDATED -> {
                    // Published by others, or together with the assignment.
                }
            }
        }
        return events;
    }

    static List<TaskEvent> ofWaiting(List<WaitingTask> tasks, List<TaskStates.Recorded> recorded) {
        List<TaskEvent> events = new ArrayList<>();
        for (int i = 0; i < tasks.size(); i++) {
            if (recorded.get(i) == TaskStates.Recorded.WAITS) {
                addAccepted(tasks.get(i), events);
            }
        }
        return events;
    }

    /**
     * @param status cancelled, expired or failed
     * @param note why they failed, if they did
     */
    static List<TaskEvent> ofEndings(
            List<WaitingTask> tasks, List<Reservations.Ending> endings, TaskStatus status, String note, Instant now) {
        List<TaskEvent> events = new ArrayList<>();
        for (int i = 0; i < tasks.size(); i++) {
            if (endings.get(i) == Reservations.Ending.ENDED) {
                addEnd(tasks.get(i), status, note, now, events);
            }
        }
        return events;
    }

    private static void addEnd(
            WaitingTask waiting, TaskStatus status, String note, Instant now, List<TaskEvent> events) {
        int attempt = waiting.task().attempt();
        addAccepted(waiting, events);
        events.add(
                switch (status) {
                    case EXPIRED -> TaskEvent.expired(waiting.id(), attempt, now);
                    case FAILED -> TaskEvent.overLimit(waiting.id(), attempt, Json.tree(note), now);
                    default -> TaskEvent.cancelled(waiting.id(), attempt, null, now);
                });
    }

    /** Later attempts need none: the events of earlier ones have been published. */
    private static void addAccepted(WaitingTask waiting, List<TaskEvent> events) {
        if (waiting.task().attempt() == 1) {
            events.add(TaskEvent.accepted(waiting.task(), waiting.position().priority()));
        }
    }
}
