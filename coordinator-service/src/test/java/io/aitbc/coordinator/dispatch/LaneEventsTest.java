package io.aitbc.coordinator.dispatch;

import static io.aitbc.coordinator.agent.AnAgent.NOW;
import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.contracts.TaskEvent;
import io.aitbc.contracts.TaskStatus;
import io.aitbc.coordinator.assign.Reservations.Ending;
import io.aitbc.coordinator.assign.Verdict;
import io.aitbc.coordinator.assign.Verdict.Ruling;
import io.aitbc.coordinator.match.ATask;
import io.aitbc.coordinator.match.Placement;
import io.aitbc.coordinator.match.WaitingTask;
import io.aitbc.coordinator.taskstate.TaskStates.Recorded;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class LaneEventsTest {
    private static final WaitingTask FIRST = ATask.named("t").build();
    private static final WaitingTask SECOND =
            new WaitingTask(FIRST.task().attempt(2, null), FIRST.position(), FIRST.waitingSince(), FIRST.bytes());

    @ParameterizedTest
    @CsvSource({
        "GRANTED,     ''",
        "LIVE,        ''",
        "DUPLICATE,   ''",
        "ENDED,       ''",
        "WAS_HELD,    t:1:assigned",
        "CANCELLED,   t:1:accepted t:1:cancelled",
        "EXPIRED,     t:1:accepted t:1:expired",
        "FULL,        ''",
        "UNAVAILABLE, ''"
    })
    void anEndedTaskHasTheEventsThatMayBeMissing(Ruling ruling, String events) {
        assertThat(String.join(" ", ids(LaneEvents.ofEnded(List.of(verdict(FIRST, ruling)), NOW))))
                .isEqualTo(events);
    }

    /** The events of the attempts before it have been published. */
    @Test
    void aLaterAttemptIsNotAccepted() {
        assertThat(ids(LaneEvents.ofEnded(List.of(verdict(SECOND, Ruling.CANCELLED)), NOW)))
                .containsExactly("t:2:cancelled");
        assertThat(ids(LaneEvents.ofEnded(List.of(verdict(SECOND, Ruling.WAS_HELD)), NOW)))
                .containsExactly("t:2:assigned");
        assertThat(ids(LaneEvents.ofWaiting(List.of(FIRST, SECOND), List.of(Recorded.WAITS, Recorded.WAITS))))
                .containsExactly("t:1:accepted");
    }

    @Test
    void aTaskThatHasEndedOrIsAssignedDoesNotWait() {
        assertThat(ids(LaneEvents.ofWaiting(
                        List.of(FIRST, FIRST, FIRST), List.of(Recorded.ENDED, Recorded.OTHERWISE, Recorded.WAITS))))
                .containsExactly("t:1:accepted");
    }

    @ParameterizedTest
    @CsvSource({"EXPIRED, expired", "CANCELLED, cancelled"})
    void onlyEndsOfThisLaneHaveEvents(TaskStatus status, String kind) {
        assertThat(ids(LaneEvents.ofEndings(
                        List.of(FIRST, FIRST, SECOND, FIRST),
                        List.of(Ending.LIVE, Ending.ENDED_BEFORE, Ending.ENDED, Ending.ENDED),
                        status,
                        "",
                        NOW)))
                .containsExactly("t:2:" + kind, "t:1:accepted", "t:1:" + kind);
    }

    private static Verdict verdict(WaitingTask task, Ruling ruling) {
        return new Verdict(new Placement(task, "a"), ruling, "a", false, 1, NOW);
    }

    private static List<String> ids(List<TaskEvent> events) {
        return events.stream().map(TaskEvent::id).toList();
    }
}
