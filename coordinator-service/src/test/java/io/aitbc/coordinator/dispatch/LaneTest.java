package io.aitbc.coordinator.dispatch;

import static io.aitbc.coordinator.agent.AnAgent.NOW;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.aitbc.contracts.ControlMessage.ClearQueue;
import io.aitbc.contracts.ControlMessage.QueueCleared;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.TaskStatus;
import io.aitbc.coordinator.agent.AnAgent;
import io.aitbc.coordinator.agent.HealthPolicy;
import io.aitbc.coordinator.assign.Judgement;
import io.aitbc.coordinator.assign.Verdict;
import io.aitbc.coordinator.assign.Verdict.Ruling;
import io.aitbc.coordinator.balance.LoadBalancingStrategy;
import io.aitbc.coordinator.dispatch.OwnedPartition.Commit;
import io.aitbc.coordinator.dispatch.OwnedPartition.Id;
import io.aitbc.coordinator.kafka.CommitTag;
import io.aitbc.coordinator.limit.LimitBook;
import io.aitbc.coordinator.match.ATask;
import io.aitbc.coordinator.match.Aging;
import io.aitbc.coordinator.match.Matcher;
import io.aitbc.coordinator.match.Placement;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.match.SlotOffer;
import io.aitbc.coordinator.match.WaitingTask;
import io.aitbc.coordinator.match.Want;
import io.aitbc.coordinator.queue.OffsetLedger;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Collectors;
import java.util.stream.LongStream;
import org.apache.kafka.common.Uuid;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class LaneTest {
    private static final int MAX_WAITING = 250;

    private static final Id NORMAL_0 = new Id(Priority.NORMAL, 0);
    private static final Id NORMAL_1 = new Id(Priority.NORMAL, 1);
    private static final Id URGENT_0 = new Id(Priority.URGENT, 0);
    private static final Id LOW_0 = new Id(Priority.LOW, 0);

    private static final int BATCH = 100;

    private final RecordedEffects outside = new RecordedEffects();
    private final Matcher matcher = new Matcher(
            new HealthPolicy(Duration.ofSeconds(30), Duration.ofSeconds(300), 0.5, 0.9, 0.9),
            new Aging(Duration.ofSeconds(60), 0.1),
            LoadBalancingStrategy.LEAST_CONNECTIONS,
            new Random(1));
    private final Lane lane = new Lane(matcher, outside, MAX_WAITING, BATCH);
    private Instant now = NOW;

    @BeforeEach
    void gainTwoPartitions() {
        gain(NORMAL_0, 10);
        gain(LOW_0, 0);
    }

    @Test
    void recordsThatAreDoneOrNotOwnedAreSkipped() {
        read(NORMAL_0, 10, 11, 12);
        finish(NORMAL_0, 11);
        Commit commit = commits().get(NORMAL_0);

        lane.lost(Set.of(NORMAL_0));
        assertThat(lane.received(position(NORMAL_0, 12))).isFalse();

        lane.gained(NORMAL_0, OffsetLedger.restore(commit.offset(), commit.metadata()), Set.of());
        assertThat(LongStream.range(10, 14).filter(offset -> lane.received(position(NORMAL_0, offset))))
                .containsExactly(10L, 12L, 13L);
    }

    @Test
    void losingAPartitionRemovesItsTasks() {
        read(NORMAL_0, 10);
        read(LOW_0, 0);

        lane.lost(Set.of(NORMAL_0));
        finish(NORMAL_0, 10);
        lane.addWaiting(task(NORMAL_0, 11), now);
        lane.addWaiting(task(NORMAL_1, 11), now);

        assertThat(waiting()).containsExactly("LOW-0-0");
        assertThat(commits()).containsOnlyKeys(LOW_0);
    }

    @Test
    void onlyChangesAreCommitted() {
        read(NORMAL_0, 10, 11);
        read(LOW_0, 0, 1);
        commits();
        assertThat(commits()).isEmpty();

        finish(NORMAL_0, 10);
        assertThat(commits()).isEqualTo(Map.of(NORMAL_0, new Commit(11, "", null)));

        finish(LOW_0, 1);
        Map<Id, Commit> outOfOrder = commits();
        assertThat(outOfOrder).containsOnlyKeys(LOW_0);
        assertThat(outOfOrder.get(LOW_0).offset()).isZero();
        assertThat(outOfOrder.get(LOW_0).metadata()).isNotEmpty();
        assertThat(commits()).isEmpty();
    }

    @Test
    void aCommitLeavesRoomForTheTopicsId() {
        for (long offset = 0; offset < 60_000; offset++) {
            lane.received(position(LOW_0, offset));
            if (offset % 2 == 1) {
                finish(LOW_0, offset);
            }
        }

        String metadata = commits().get(LOW_0).metadata();

        assertThat(metadata).hasSizeGreaterThan(4_000);
        assertThat(CommitTag.with(Uuid.randomUuid(), metadata)).hasSizeLessThanOrEqualTo(4_096);
    }

    /** The clear covers tasks of the deleted topic only. */
    @Test
    void aClearOfADeletedTopicCancelsNothingInTheNewOne() {
        lane.clear(clear("c", Priority.NORMAL, Map.of(0, 20L, 1, 5L)));
        assertThat(lane.topicLost(Priority.NORMAL)).isZero();

        gain(NORMAL_0, 0);
        outside.ends.put(NORMAL_0, 30L);
        read(NORMAL_0, 0);
        lane.round(now);

        assertThat(outside.ended).isEmpty();
        assertThat(outside.reports)
                .containsExactlyInAnyOrder(
                        new QueueCleared("c", Priority.NORMAL, 0), new QueueCleared("c", Priority.NORMAL, 1));
    }

    @Test
    void failedCommitsAreRepeated() {
        finish(NORMAL_0, 10);
        Map<Id, Commit> commits = commits();

        lane.commitFailed();

        assertThat(commits()).isEqualTo(commits).containsEntry(NORMAL_0, new Commit(11, "", null));
    }

    @Test
    void aRegainedPartitionIsCommittedAgain() {
        finish(NORMAL_0, 10);
        commits();
        lane.lost(Set.of(NORMAL_0));

        gain(NORMAL_0, 11);

        assertThat(commits()).isEqualTo(Map.of(NORMAL_0, new Commit(11, "", null)));
    }

    @Test
    void aTaskIsFinishedOnceItIsPublished() {
        agent(1);
        read(NORMAL_0, 10);

        lane.round(now);

        assertThat(outside.published).containsExactly("NORMAL-0-10");
        assertThat(commits().get(NORMAL_0).offset()).isEqualTo(11);
        assertThat(lane.hasPendingWork()).isFalse();
    }

    @Test
    void aFailedPublicationIsReservedAndPublishedAgain() {
        agent(1);
        read(NORMAL_0, 10);
        outside.publishing = CompletableFuture.failedFuture(new IllegalStateException("broker away"));
        lane.round(now);
        assertThat(commits().get(NORMAL_0).offset()).isEqualTo(10);

        // The agent is full because of this very task.
        outside.publishing = CompletableFuture.completedFuture(null);
        outside.ruling = Ruling.LIVE;
        lane.round(now.plusSeconds(1));

        assertThat(outside.published).containsExactly("NORMAL-0-10", "NORMAL-0-10");
        assertThat(commits().get(NORMAL_0).offset()).isEqualTo(11);
    }

    /** A future swallows exceptions of its callback: the batch would be in no collection, and wait forever. */
    @Test
    void aFailureInAnAnswerHandlerReachesTheLoop() {
        agent(1);
        read(NORMAL_0, 10);
        outside.reserving = CompletableFuture.completedFuture(null);

        assertThatThrownBy(() -> lane.round(now))
                .isInstanceOf(IllegalStateException.class)
                .hasRootCauseInstanceOf(NullPointerException.class);
    }

    @Test
    void aFailureInALateAnswerHandlerReachesTheLoopInTheNextRound() {
        agent(1);
        read(NORMAL_0, 10);
        outside.recording = new CompletableFuture<>();
        lane.pause(Priority.NORMAL, true);
        lane.round(now);
        outside.recording.complete(List.of());

        assertThatThrownBy(() -> lane.round(now)).hasRootCauseInstanceOf(IndexOutOfBoundsException.class);
    }

    @Test
    void afterAFailureTheLaneRestartsWithoutPendingRequests() {
        agent(1);
        CompletableFuture<Judgement> unanswered = new CompletableFuture<>();
        outside.reserving = unanswered;
        read(NORMAL_0, 10);
        lane.round(now);
        outside.reserving = null;

        lane.lostAll();
        gain(NORMAL_0, 10);
        read(NORMAL_0, 10);
        lane.round(now);
        unanswered.completeExceptionally(new IllegalStateException("away"));
        lane.round(now);

        assertThat(outside.published).containsExactly("NORMAL-0-10");
        assertThat(commits().get(NORMAL_0).offset()).isEqualTo(11);
        assertThat(lane.hasPendingWork()).isFalse();
    }

    @Test
    void whileRedisIsUnavailableTheLanePausesAndThenContinues() {
        agent(1);
        read(NORMAL_0, 10);
        outside.reserving = CompletableFuture.failedFuture(new IllegalStateException("away"));
        lane.round(now);
        outside.reserving = null;

        lane.round(now.plusMillis(99));
        assertThat(outside.published).isEmpty();
        lane.round(now.plusMillis(100));

        assertThat(outside.published).containsExactly("NORMAL-0-10");
    }

    @Test
    void aClockThatIsSetBackDoesNotProlongThePause() {
        agent(1);
        read(NORMAL_0, 10);
        outside.reserving = CompletableFuture.failedFuture(new IllegalStateException("away"));
        lane.round(now);
        outside.reserving = null;

        now = now.minus(Duration.ofHours(1));
        lane.round(now);

        assertThat(outside.published).containsExactly("NORMAL-0-10");
    }

    @Test
    void aClockThatIsSetBackDoesNotKeepTasksInvisible() {
        agent(1);
        read(NORMAL_0, 10, 11);
        lane.round(now);

        now = now.minus(Duration.ofHours(1));
        read(NORMAL_0, 12);
        lane.round(now);

        assertThat(outside.recorded).containsExactly("NORMAL-0-11", "NORMAL-0-12");
    }

    /** Independent of whether the agent has room, or is known at all. */
    @Test
    void reservationsOfThePreviousOwnerArePublishedAgain() {
        lane.lost(Set.of(NORMAL_0));
        lane.gained(NORMAL_0, new OffsetLedger(10), Set.of(10L));
        outside.ruling = Ruling.LIVE;

        read(NORMAL_0, 10, 11);
        lane.round(now);

        assertThat(outside.published).containsExactly("NORMAL-0-10");
        assertThat(commits().get(NORMAL_0).offset()).isEqualTo(11);
    }

    @Test
    void unreservedTasksOfThePreviousOwnerWaitForAnAgent() {
        lane.lost(Set.of(NORMAL_0));
        lane.gained(NORMAL_0, new OffsetLedger(10), Set.of(10L));
        outside.ruling = Ruling.UNAVAILABLE;
        read(NORMAL_0, 10);
        lane.round(now);

        assertThat(waiting()).containsExactly("NORMAL-0-10");
    }

    @ParameterizedTest
    @EnumSource(
            value = Ruling.class,
            names = {"ENDED", "WAS_HELD", "CANCELLED", "EXPIRED"})
    void endedTasksAreSkipped(Ruling ruling) {
        agent(1);
        read(NORMAL_0, 10);
        outside.ruling = ruling;

        lane.round(now);

        assertThat(outside.published).isEmpty();
        assertThat(commits().get(NORMAL_0).offset()).isEqualTo(11);
    }

    @Test
    void onlyTasksThatHaveToWaitAreMadeVisible() {
        agent(1);
        read(NORMAL_0, 10, 11);

        lane.round(now);

        assertThat(outside.published).containsExactly("NORMAL-0-10");
        assertThat(outside.recorded).containsExactly("NORMAL-0-11");
    }

    @Test
    void whileTasksAreAssignedTheOthersAreMadeVisibleGradually() {
        agent(1);
        read(NORMAL_0, LongStream.range(10, 10 + 2 * BATCH).toArray());

        lane.round(now);
        lane.round(now);
        assertThat(outside.recorded).hasSize(BATCH).doesNotContain("NORMAL-0-10");

        lane.round(now.plusMillis(100));
        assertThat(outside.recorded).hasSize(2 * BATCH - 1).doesNotHaveDuplicates();
    }

    @Test
    void withoutAssignmentsWaitingTasksAreMadeVisibleAtOnce() {
        read(NORMAL_0, LongStream.range(10, 10 + 2 * BATCH).toArray());

        // Reading has precedence, as long as it goes on.
        lane.round(now);
        lane.round(now.plusMillis(100));

        assertThat(outside.recorded).hasSize(2 * BATCH).doesNotHaveDuplicates();
    }

    @Test
    void aSmallBatchWaitsForTheOneBeforeIt() {
        agent(10);
        outside.reserving = new CompletableFuture<>();
        read(NORMAL_0, 10);
        lane.round(now);
        read(NORMAL_0, 11, 12);
        lane.round(now);
        assertThat(outside.batches).containsExactly(1);

        outside.reserving.completeExceptionally(new IllegalStateException("away"));
        outside.reserving = null;
        outside.batches.clear();
        lane.round(now.plusSeconds(1));
        assertThat(outside.batches).startsWith(2);
    }

    @Test
    void fullBatchesDoNotWaitForEachOther() {
        agent(3 * BATCH);
        outside.reserving = new CompletableFuture<>();
        read(NORMAL_0, LongStream.range(10, 10 + 3 * BATCH).toArray());

        lane.round(now);
        lane.round(now);

        assertThat(outside.batches).containsExactly(BATCH, BATCH);
    }

    @Test
    void withManyAgentsABatchHasSeveralTasksForEach() {
        for (int i = 0; i < BATCH / 2; i++) {
            matcher.agents()
                    .addOrUpdate(AnAgent.named("agent-" + i).capacity(100).build(), NOW);
        }
        outside.reserving = new CompletableFuture<>();
        read(NORMAL_0, LongStream.range(10, 10 + 6 * BATCH).toArray());

        lane.round(now);
        assertThat(outside.batches).containsExactly(2 * BATCH);

        for (int i = 0; i < 10 * BATCH; i++) {
            matcher.agents()
                    .addOrUpdate(AnAgent.named("further-" + i).capacity(100).build(), NOW);
        }
        lane.round(now);
        assertThat(outside.batches).as("at most four times as many").containsExactly(2 * BATCH, 4 * BATCH);
    }

    @Test
    void assignmentsOfAnAgentArePublishedTogetherAndInOrder() {
        matcher.agents().addOrUpdate(AnAgent.named("a").capacity(2).build(), NOW);
        matcher.agents().addOrUpdate(AnAgent.named("b").capacity(2).build(), NOW);
        read(NORMAL_0, 10, 11, 12, 13);

        lane.round(now);

        assertThat(outside.publishedTo).hasSize(4).containsSubsequence("a", "a").containsSubsequence("b", "b");
        assertThat(outside.publishedTo.get(0)).isEqualTo(outside.publishedTo.get(1));
        assertThat(outside.published.subList(0, 2)).isSorted();
        assertThat(outside.published.subList(2, 4)).isSorted();
    }

    @Test
    void makingTasksVisibleIsRetriedAfterAFailure() {
        read(NORMAL_0, 10);
        outside.recording = CompletableFuture.failedFuture(new IllegalStateException("away"));
        lane.round(now);
        outside.recording = null;

        lane.round(now.plusMillis(100));

        assertThat(outside.recorded).containsExactly("NORMAL-0-10", "NORMAL-0-10");
    }

    @Test
    void aTaskCancelledBeforeItWasReadDoesNotWait() {
        outside.endedBefore = Set.of("NORMAL-0-10");
        read(NORMAL_0, 10, 11);

        lane.round(now);

        assertThat(commits().get(NORMAL_0).offset()).isEqualTo(11);
        assertThat(waiting()).containsExactly("NORMAL-0-11");
    }

    /** The old record of a failed task is found to have ended; the redriven record must not be affected. */
    @Test
    void aRedrivenTaskIsNotMistakenForItsOldRecord() {
        outside.recording = new CompletableFuture<>();
        read(NORMAL_0, 10);
        lane.round(now);
        read(ATask.named("NORMAL-0-10").priority(Priority.NORMAL).at(0, 11).build());

        outside.recording.complete(List.of(true));
        outside.recording = null;
        outside.ruling = Ruling.CANCELLED;
        lane.round(now);

        assertThat(waiting()).containsExactly("NORMAL-0-10");
        assertThat(commits().get(NORMAL_0).offset()).isEqualTo(11);
    }

    @Test
    void aPausedQueueKeepsItsTasksUntilItIsResumed() {
        agent(3);
        read(NORMAL_0, 10);
        read(LOW_0, 0);
        lane.pause(Priority.NORMAL, true);
        lane.round(now);
        assertThat(outside.published).containsExactly("LOW-0-0");

        lane.pause(Priority.NORMAL, false);
        lane.round(now);

        assertThat(outside.published).containsExactly("LOW-0-0", "NORMAL-0-10");
    }

    /** A zombie owner of the partition reserved it and crashed. */
    @Test
    void anUnpublishedReservationIsPublished() {
        read(NORMAL_0, 10, 11);
        lane.round(now);
        outside.ruling = Ruling.LIVE;

        lane.unpublished(Set.of("NORMAL-0-10", "unknown"));
        lane.round(now);

        assertThat(outside.published).containsExactly("NORMAL-0-10");
        assertThat(waiting()).containsExactly("NORMAL-0-11");
    }

    @Test
    void aCancelledTaskLeavesTheBacklog() {
        read(NORMAL_0, 10, 11);

        outside.ruling = Ruling.CANCELLED;
        lane.cancelled(Set.of("NORMAL-0-10", "unknown"));
        lane.round(now);

        assertThat(waiting()).containsExactly("NORMAL-0-11");
        assertThat(commits().get(NORMAL_0).offset()).isEqualTo(11);
    }

    @Test
    void aClearCoversTheTasksQueuedWhenItWasGiven() {
        read(NORMAL_0, 10, 11, 12);
        read(LOW_0, 0, 1);
        outside.ends.put(NORMAL_0, 13L);

        lane.clear(clear("c", Priority.NORMAL, Map.of(0, 12L, 1, 50L)));
        lane.round(now);

        assertThat(outside.ended).isEqualTo(Map.of("c", List.of("NORMAL-0-10", "NORMAL-0-11")));
        assertThat(outside.reports).containsExactly(new QueueCleared("c", Priority.NORMAL, 0));
        assertThat(waiting()).containsExactlyInAnyOrder("NORMAL-0-12", "LOW-0-0", "LOW-0-1");
    }

    @Test
    void aClearCoversTasksReadWhileItRuns() {
        agent(5);
        outside.ends.put(NORMAL_0, 13L);
        lane.clear(clear("c", Priority.NORMAL, Map.of(0, 12L)));
        lane.round(now);
        assertThat(outside.reports).isEmpty();

        read(NORMAL_0, 10, 11, 12);
        lane.round(now);

        assertThat(outside.ended).isEqualTo(Map.of("c", List.of("NORMAL-0-10", "NORMAL-0-11")));
        assertThat(outside.published).containsExactly("NORMAL-0-12");
        assertThat(outside.reports).hasSize(1);
    }

    @Test
    void aClearDoesNotCoverTasksAcceptedLater() {
        outside.ends.put(NORMAL_0, 12L);
        lane.clear(clear("c", Priority.NORMAL, Map.of(0, Long.MAX_VALUE)));
        read(NORMAL_0, 10, 11);
        lane.round(now);
        assertThat(outside.ended).isEqualTo(Map.of("c", List.of("NORMAL-0-10", "NORMAL-0-11")));
        assertThat(outside.reports).hasSize(1);

        read(NORMAL_0, 12);
        lane.round(now);

        assertThat(waiting()).containsExactly("NORMAL-0-12");
    }

    /** Transaction markers, aborted records and compaction gaps: no record follows them. */
    @Test
    void skippedOffsetsAreDoneWithoutAFollowingRecord() {
        read(NORMAL_0, 10);
        finish(NORMAL_0, 10);
        commits();

        lane.readUpTo(NORMAL_0, 31);

        assertThat(commits()).containsEntry(NORMAL_0, new Commit(31, "", null));
    }

    /** The clear covers the records present when it was given, readable or not. */
    @Test
    void aClearCoversTasksHiddenByAnOpenTransactionWhenItWasGiven() {
        outside.ends.put(NORMAL_0, 10L);
        outside.appendedEnds.put(NORMAL_0, 12L);
        lane.clear(clear("c", Priority.NORMAL, Map.of(0, 12L)));
        lane.round(now);
        assertThat(outside.reports).isEmpty();

        read(NORMAL_0, 10, 11, 12);
        lane.round(now);

        assertThat(outside.ended).isEqualTo(Map.of("c", List.of("NORMAL-0-10", "NORMAL-0-11")));
        assertThat(outside.reports).containsExactly(new QueueCleared("c", Priority.NORMAL, 0));
        assertThat(waiting()).containsExactly("NORMAL-0-12");
    }

    @Test
    void twoClearsOfOneQueueBothEnd() {
        outside.ends.put(NORMAL_0, 13L);
        lane.clear(clear("first", Priority.NORMAL, Map.of(0, 11L)));
        lane.clear(clear("second", Priority.NORMAL, Map.of(0, 12L)));
        read(NORMAL_0, 10, 11, 12);

        lane.round(now);

        assertThat(outside.ended).isEqualTo(Map.of("first", List.of("NORMAL-0-10"), "second", List.of("NORMAL-0-11")));
        assertThat(outside.reports).extracting(QueueCleared::commandId).containsExactly("first", "second");
    }

    @Test
    void aClearUpToAnOffsetWithoutARecordEndsOnceThatIsKnown() {
        outside.ends.put(NORMAL_0, 12L);
        lane.clear(clear("c", Priority.NORMAL, Map.of(0, 12L)));
        lane.round(now);
        assertThat(outside.reports).isEmpty();

        outside.positions.put(NORMAL_0, 12L);
        lane.round(now);

        assertThat(outside.reports).hasSize(1);
    }

    @Test
    void aClearContinuesInAPartitionGainedLaterUnlessItIsFinishedThere() {
        outside.ends.put(NORMAL_1, 8L);
        lane.clear(clear("c", Priority.NORMAL, Map.of(0, 12L, 1, 7L)));
        lane.cleared(new QueueCleared("c", Priority.NORMAL, 0));
        lane.lost(Set.of(NORMAL_0));
        gain(NORMAL_0, 10);
        gain(NORMAL_1, 5);

        read(NORMAL_0, 10);
        read(NORMAL_1, 5, 6, 7);
        lane.round(now);

        assertThat(outside.ended).isEqualTo(Map.of("c", List.of("NORMAL-1-5", "NORMAL-1-6")));
    }

    /** Definitions of limits arrive within milliseconds, unless Redis or Kafka was restored from an old copy. */
    @Test
    void itIsAProblemIfRedisGoesByOtherDefinitionsOfLimitsForLong() {
        gain(NORMAL_0, 0);
        agent(5);
        outside.ruling = Ruling.OUTDATED;
        read(NORMAL_0, 1);
        for (int seconds = 0; seconds < 14; seconds++) {
            now = now.plusSeconds(1);
            lane.round(now);
            assertThat(lane.assignmentProblems()).isEmpty();
        }
        now = now.plusSeconds(3);
        lane.round(now);
        assertThat(lane.assignmentProblems())
                .singleElement()
                .asString()
                .contains("delete the key limits:version in Redis");

        outside.ruling = Ruling.GRANTED;
        now = now.plusSeconds(2);
        lane.round(now);
        assertThat(lane.assignmentProblems()).isEmpty();
    }

    @Test
    void aSlotYieldedToAgedTasksElsewhereIsOfferedAtOnceAndKeptUntilItIsTaken() {
        gain(URGENT_0, 0);
        agent(100);
        lane.updateRemoteWants(
                "other",
                List.of(new Want(Requirements.NONE, 4, new Want.Aged(NOW.minusSeconds(300), 100))),
                List.of(),
                Map.of(),
                List.of(),
                now);
        for (int offset = 0; offset < 8; offset++) {
            read(URGENT_0, offset);
        }
        for (int offset = 10; offset < 18; offset++) {
            read(NORMAL_0, offset);
        }

        lane.round(now);

        assertThat(outside.offered).hasSizeBetween(1, 3).containsOnly(new SlotOffer("other", "agent"));
        assertThat(outside.published).hasSize(16);
        assertThat(lane.yieldsTo(now)).isEqualTo(Priority.LOW);
    }

    @Test
    void anOfferedSlotGoesToTheAgedTaskHere() {
        agent(1);
        lane.updateRemoteWants("other", List.of(new Want(Requirements.NONE, 0)), List.of(), Map.of(), List.of(), now);
        read(ATask.named("aged").priority(Priority.LOW).at(0, 0).waiting(300).build());
        lane.round(now);
        assertThat(outside.published).isEmpty();

        lane.acceptOffers(List.of("agent"), now);
        lane.round(now);

        assertThat(outside.published).containsExactly("aged");
    }

    private void read(Id partition, long... offsets) {
        LongStream.of(offsets).forEach(offset -> read(task(partition, offset)));
    }

    private void read(WaitingTask task) {
        assertThat(lane.received(task.position())).isTrue();
        outside.positions.put(Id.of(task.position()), task.position().offset() + 1);
        lane.addWaiting(task, now);
    }

    private void finish(Id partition, long... offsets) {
        LongStream.of(offsets).forEach(offset -> lane.finished(position(partition, offset)));
    }

    private void gain(Id partition, long committed) {
        lane.gained(partition, new OffsetLedger(committed), Set.of());
    }

    private Map<Id, Commit> commits() {
        return lane.commits(id -> true);
    }

    private void agent(int capacity) {
        if (capacity > 0) {
            matcher.agents()
                    .addOrUpdate(AnAgent.named("agent").capacity(capacity).build(), NOW);
        }
    }

    private static Position position(Id partition, long offset) {
        return new Position(partition.priority(), partition.number(), offset);
    }

    private static WaitingTask task(Id partition, long offset) {
        return task(partition, offset, Requirements.NONE);
    }

    private static WaitingTask task(Id partition, long offset, Requirements requirements) {
        return ATask.named(partition.priority() + "-" + partition.number() + "-" + offset)
                .priority(partition.priority())
                .at(partition.number(), offset)
                .requires(requirements)
                .build();
    }

    private static ClearQueue clear(String id, Priority priority, Map<Integer, Long> ends) {
        return new ClearQueue(id, priority, ends, NOW);
    }

    private List<String> waiting() {
        return matcher.backlog().find(entry -> true).stream()
                .map(entry -> entry.task().id())
                .toList();
    }

    /** Records the effects that the lane requests, and answers at once by default. */
    private static final class RecordedEffects implements SideEffects {
        final List<String> published = new ArrayList<>();
        final List<String> publishedTo = new ArrayList<>();
        /** Sizes of the reserved batches. */
        final List<Integer> batches = new ArrayList<>();

        final List<String> recorded = new ArrayList<>();
        final Map<String, List<String>> ended = new HashMap<>();
        final List<QueueCleared> reports = new ArrayList<>();
        final List<SlotOffer> offered = new ArrayList<>();
        final Map<Id, Long> ends = new HashMap<>();
        final Map<Id, Long> appendedEnds = new HashMap<>();
        final Map<Id, Long> positions = new HashMap<>();
        final List<List<Position>> fetched = new ArrayList<>();
        final List<Position> lost = new ArrayList<>();
        CompletableFuture<Payloads.Fetched> fetching = new CompletableFuture<>();
        Ruling ruling = Ruling.GRANTED;
        CompletableFuture<Void> publishing = CompletableFuture.completedFuture(null);
        CompletableFuture<Judgement> reserving;
        CompletableFuture<List<Boolean>> recording;
        Set<String> endedBefore = Set.of();

        @Override
        public CompletableFuture<Judgement> reserve(List<Placement> placements, LimitBook limits, Instant now) {
            batches.add(placements.size());
            return reserving != null
                    ? reserving
                    : CompletableFuture.completedFuture(Judgement.of(placements.stream()
                            .map(placement -> new Verdict(
                                    placement,
                                    endedBefore.contains(placement.waiting().id()) ? Ruling.CANCELLED : ruling,
                                    placement.agentId(),
                                    false,
                                    1,
                                    now))
                            .toList()));
        }

        @Override
        public CompletableFuture<List<Boolean>> endWaiting(
                List<WaitingTask> tasks, TaskStatus status, String clearId, LimitBook limits, Instant now) {
            List<String> ids = ended.computeIfAbsent(clearId, id -> new ArrayList<>());
            tasks.stream().map(WaitingTask::id).forEach(ids::add);
            ids.sort(null);
            return CompletableFuture.completedFuture(
                    tasks.stream().map(task -> true).toList());
        }

        @Override
        public CompletableFuture<Void> publish(Verdict verdict) {
            published.add(verdict.placement().waiting().id());
            publishedTo.add(verdict.agentId());
            return publishing;
        }

        @Override
        public CompletableFuture<Payloads.Fetched> fetch(List<Position> positions) {
            fetched.add(positions);
            return fetching;
        }

        @Override
        public CompletableFuture<Void> failLost(Set<Position> positions) {
            lost.addAll(positions);
            return CompletableFuture.completedFuture(null);
        }

        @Override
        public CompletableFuture<Void> append(WaitingTask task) {
            throw new UnsupportedOperationException("see LaneBacklogTest");
        }

        @Override
        public CompletableFuture<List<Boolean>> recordQueued(List<WaitingTask> tasks) {
            tasks.forEach(task -> recorded.add(task.id()));
            return recording != null
                    ? recording
                    : CompletableFuture.completedFuture(tasks.stream()
                            .map(task -> endedBefore.contains(task.id()))
                            .toList());
        }

        @Override
        public Map<Id, Long> appendedEnds(Set<Id> partitions) {
            return partitions.stream()
                    .collect(
                            Collectors.toMap(id -> id, id -> appendedEnds.getOrDefault(id, ends.getOrDefault(id, 0L))));
        }

        @Override
        public long position(Id partition) {
            return positions.getOrDefault(partition, 0L);
        }

        @Override
        public void report(QueueCleared cleared) {
            reports.add(cleared);
        }

        @Override
        public void offerSlots(List<SlotOffer> places) {
            offered.addAll(places);
        }
    }
}
