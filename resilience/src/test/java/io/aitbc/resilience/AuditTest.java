package io.aitbc.resilience;

import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.contracts.TaskEvent;
import io.aitbc.contracts.TaskResult;
import io.aitbc.resilience.Evidence.Assigned;
import io.aitbc.resilience.Evidence.DeadLettered;
import io.aitbc.resilience.Evidence.Event;
import io.aitbc.resilience.Evidence.HeartbeatRecord;
import io.aitbc.resilience.Evidence.Queued;
import io.aitbc.resilience.Evidence.Reported;
import java.util.ArrayList;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** The audit detects each kind of violation, and reports none in a correct run. */
class AuditTest {
    private static final long TIMEOUT_MS = 8_000;

    private final Evidence evidence = new Evidence(
            new ArrayList<>(),
            new ArrayList<>(),
            new ArrayList<>(),
            new ArrayList<>(),
            new ArrayList<>(),
            new ArrayList<>(),
            new ArrayList<>());

    @Test
    void aTaskThatWentWellIsClean() {
        beats("a", 0, 10_000);
        accepted("t", 0);
        given("t", 1, "a", 100);
        done("t", 1, "a", "process-1", 200);

        assertThat(audit().areClean()).isTrue();
        assertThat(audit().tasks()).isEqualTo(1);
        assertThat(audit().longestWaitMs()).isEqualTo(100);
    }

    @Test
    void whatNoEventTellsIsFound() {
        beats("a", 0, 10_000);
        accepted("t", 0);
        given("t", 1, "a", 100);
        done("t", 1, "a", "process-1", 200);
        accepted("u", 0);
        evidence.deadLettered().add(new DeadLettered("u", 500));
        evidence.events().clear();
        assertThat(audit().missingEvents())
                .containsExactly("t: assignment of attempt 1", "t: its end", "u: its end", "u: its failure");
        assertThat(audit().areClean()).isFalse();

        evidence.events().add(new Event("t", 1, TaskEvent.Kind.ASSIGNED));
        evidence.events().add(new Event("t", 1, TaskEvent.Kind.COMPLETED));
        evidence.events().add(new Event("u", 2, TaskEvent.Kind.FAILED));

        assertThat(audit().missingEvents()).isEmpty();
        assertThat(audit().areClean()).isTrue();
    }

    @Test
    void anAcceptedTaskThatNobodyDidIsLost() {
        accepted("t", 0);
        assertThat(audit().lost()).containsExactly("t");
    }

    @Test
    void aDeadLetterIsAnEnd() {
        accepted("t", 0);
        evidence.deadLettered().add(new DeadLettered("t", 500));
        assertThat(audit().lost()).isEmpty();
    }

    @Test
    void oneAttemptInTwoTopicsIsLiveTwice() {
        beats("a", 0, 1_000);
        beats("b", 0, 1_000);
        accepted("t", 0);
        given("t", 1, "a", 100);
        given("t", 1, "b", 110);
        done("t", 1, "a", "process-1", 200);
        done("t", 1, "b", "process-2", 200);

        assertThat(audit().twoLive()).containsExactly("t");
        assertThat(audit().twice()).containsExactly("t");
    }

    @Test
    void theSameAssignmentAgainForTheSameAgentIsNone() {
        beats("a", 0, 1_000);
        accepted("t", 0);
        given("t", 1, "a", 100);
        given("t", 1, "a", 100);
        done("t", 1, "a", "process-1", 200);

        assertThat(audit().areClean()).isTrue();
    }

    @Test
    void aNextAttemptBesideALiveOneIsFound() {
        beats("a", 0, 10_000);
        beats("b", 0, 10_000);
        accepted("t", 0);
        given("t", 1, "a", 100);
        queued("t", 2, 5_000);
        given("t", 2, "b", 5_100);
        done("t", 1, "a", "process-1", 6_000);
        done("t", 2, "b", "process-2", 6_000);

        assertThat(audit().twoLive()).containsExactly("t");
        assertThat(audit().twice()).containsExactly("t");
    }

    /** The result was still unread when the deadline passed. */
    @Test
    void aNextAttemptAfterAResultInTimeIsFound() {
        beats("a", 0, 80_000);
        accepted("t", 0);
        given("t", 1, "a", 100);
        done("t", 1, "a", "process-1", 1_000);
        queued("t", 2, 60_500);
        given("t", 2, "a", 60_600);
        done("t", 2, "a", "process-1", 61_000);

        assertThat(audit().twoLive()).containsExactly("t");
        assertThat(audit().twice()).containsExactly("t");
    }

    /** The result arrived while the attempt was being requeued. */
    @Test
    void aNextAttemptBesideAResultOfTheLastMomentIsNone() {
        beats("a", 0, 80_000);
        accepted("t", 0);
        given("t", 1, "a", 100);
        done("t", 1, "a", "process-1", 60_000);
        queued("t", 2, 60_500);
        given("t", 2, "a", 60_600);

        assertThat(audit().twoLive()).isEmpty();
    }

    @Test
    void aNextAttemptIsRightAfterAFailure() {
        beats("a", 0, 10_000);
        accepted("t", 0);
        given("t", 1, "a", 100);
        evidence.reported().add(new Reported("t", 1, "a", TaskResult.Status.FAILED, 300));
        queued("t", 2, 301);
        given("t", 2, "a", 1_400);
        done("t", 2, "a", "process-1", 1_500);

        assertThat(audit().areClean()).isTrue();
    }

    @Test
    void aNextAttemptIsRightAfterASilenceOrADeadline() {
        beats("silent", 0, 2_000);
        beats("slow", 0, 80_000);
        accepted("t", 0);
        accepted("u", 0);
        given("t", 1, "silent", 100);
        queued("t", 2, 10_500);
        given("t", 2, "slow", 10_600);
        given("u", 1, "slow", 100);
        queued("u", 2, 60_200);
        given("u", 2, "slow", 60_300);
        done("t", 1, "silent", "process-1", 11_000);
        done("t", 2, "slow", "process-2", 11_000);
        done("u", 2, "slow", "process-2", 61_000);

        assertThat(audit().twoLive()).isEmpty();
        assertThat(audit().twice()).isEmpty();
        assertThat(audit().again()).containsExactly("t");
    }

    @Test
    void oneProcessThatDoesAnAttemptTwiceIsFoundAndARestartedOneIsNot() {
        beats("a", 0, 2_000);
        accepted("t", 0);
        accepted("u", 0);
        given("t", 1, "a", 100);
        given("u", 1, "a", 100);
        done("t", 1, "a", "process-1", 200);
        done("t", 1, "a", "process-1", 300);
        done("u", 1, "a", "process-1", 200);
        done("u", 1, "a", "process-2", 300);

        assertThat(audit().twice()).containsExactly("t");
        assertThat(audit().again()).containsExactly("u");
    }

    @Test
    void moreThanAnAgentCanHoldIsFound() {
        beats("a", 0, 2_000);
        for (int i = 0; i < 3; i++) {
            accepted("t" + i, 0);
            given("t" + i, 1, "a", 100 + i);
        }
        done("t0", 1, "a", "process-1", 500);
        assertThat(audit().overCapacity()).containsExactly("a held 3 of 2");
    }

    @Test
    void aResultMakesRoomInTheRoundThatHasBegun() {
        beats("a", 0, 20_000);
        for (int i = 0; i < 3; i++) {
            accepted("t" + i, 0);
        }
        given("t0", 1, "a", 100);
        given("t1", 1, "a", 100);
        done("t0", 1, "a", "process-1", 501);
        evidence.assigned().add(new Assigned("t2", 1, "a", 499, 502, 60));
        assertThat(audit().overCapacity()).isEmpty();
    }

    @Test
    void aLimitThatIsExceededIsFound() {
        for (int i = 0; i < 9; i++) {
            String agent = "agent-" + i;
            beats(agent, 0, 20_000);
            accepted("t" + i, 0);
            evidence.assigned().add(new Assigned("t" + i, 1, agent, 100, 101, 60, Map.of("shared/api", 1L), 0));
        }
        done("t0", 1, "agent-0", "process-1", 100);
        assertThat(audit().overCapacity()).isEmpty();

        accepted("t9", 0);
        evidence.assigned().add(new Assigned("t9", 1, "agent-0", 200, 201, 60, Map.of("shared/api", 1L), 0));
        assertThat(audit().overCapacity()).containsExactly("9 units of shared/api were held, of 8");
    }

    @Test
    void anAgentOfWhichMoreIsTakenThanItHasIsFound() {
        beats("a", 0, 20_000);
        beats("b", 0, 20_000);
        takes("t0", "a", 1_000);
        takes("t1", "a", 2_000);
        takes("t2", "b", 2_000);
        assertThat(audit().overCapacity()).isEmpty();

        takes("t3", "b", 1_001);
        assertThat(audit().overCapacity()).containsExactly("3001 thousandths of a gpu were taken from b, which has 3");
    }

    private void takes(String taskId, String agentId, long thousandths) {
        accepted(taskId, 0);
        evidence.assigned().add(new Assigned(taskId, 1, agentId, 100, 101, 60, Map.of(), thousandths));
    }

    @Test
    void aPauseIsWhenSomethingWaitsAndNothingIsGiven() {
        beats("a", 0, 20_000);
        accepted("t", 0);
        given("t", 1, "a", 100);
        done("t", 1, "a", "process-1", 200);
        accepted("u", 5_000);
        given("u", 1, "a", 8_000);
        done("u", 1, "a", "process-1", 8_100);

        assertThat(audit().longestPauseMs()).isEqualTo(3_000);
        assertThat(audit().longestWaitMs()).isEqualTo(3_000);
    }

    private Audit.Findings audit() {
        return Audit.of(evidence, TIMEOUT_MS, 0);
    }

    private void accepted(String taskId, long at) {
        evidence.ledger().add(new Ledger.Line(at, Ledger.EventType.ACKED, taskId, 0, "kafka", "producer"));
        queued(taskId, 1, at);
    }

    private void queued(String taskId, int attempt, long at) {
        evidence.queued().add(new Queued(taskId, attempt, at));
    }

    private void given(String taskId, int attempt, String agentId, long at) {
        evidence.assigned().add(new Assigned(taskId, attempt, agentId, at, at + 1, 60));
        evidence.events().add(new Event(taskId, attempt, TaskEvent.Kind.ASSIGNED));
    }

    private void done(String taskId, int attempt, String agentId, String process, long at) {
        evidence.ledger().add(new Ledger.Line(at, Ledger.EventType.FINISHED, taskId, attempt, agentId, process));
        evidence.reported().add(new Reported(taskId, attempt, agentId, TaskResult.Status.COMPLETED, at));
        evidence.events().add(new Event(taskId, attempt, TaskEvent.Kind.COMPLETED));
    }

    /** Adds one heartbeat per second, of an agent with a capacity of two. */
    private void beats(String agentId, long from, long to) {
        for (long at = from; at <= to; at += 1_000) {
            evidence.heartbeats().add(new HeartbeatRecord(agentId, at, false, 2));
        }
    }
}
