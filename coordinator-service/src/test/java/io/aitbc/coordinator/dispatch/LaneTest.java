package io.aitbc.coordinator.dispatch;

import static io.aitbc.coordinator.agent.AnAgent.NOW;
import static java.util.stream.Collectors.toMap;
import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.contracts.ControlMessage.ClearQueue;
import io.aitbc.contracts.ControlMessage.QueueCleared;
import io.aitbc.contracts.Priority;
import io.aitbc.coordinator.agent.HealthPolicy;
import io.aitbc.coordinator.balance.LoadBalancingStrategy;
import io.aitbc.coordinator.dispatch.Lane.Commit;
import io.aitbc.coordinator.dispatch.Lane.Partition;
import io.aitbc.coordinator.match.ATask;
import io.aitbc.coordinator.match.Matcher;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.match.WaitingTask;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.LongStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class LaneTest {
    private static final int WINDOW = 3;
    private static final Partition NORMAL_0 = new Partition(Priority.NORMAL, 0);
    private static final Partition NORMAL_1 = new Partition(Priority.NORMAL, 1);
    private static final Partition LOW_0 = new Partition(Priority.LOW, 0);

    private final Matcher matcher = new Matcher(
            new HealthPolicy(Duration.ofSeconds(30), Duration.ofSeconds(300), 0.5, 0.9, 0.9),
            Duration.ofSeconds(60),
            LoadBalancingStrategy.LEAST_CONNECTIONS,
            new Random(1));
    private final Lane lane = new Lane(matcher, WINDOW);

    @BeforeEach
    void gainTwoPartitions() {
        lane.gained(NORMAL_0, 10, "");
        lane.gained(LOW_0, 0, "");
    }

    @Test
    void whatIsDoneOrForeignIsSkipped() {
        read(NORMAL_0, 10, 11, 12);
        finish(NORMAL_0, 11);
        Commit commit = lane.commits().get(NORMAL_0);

        lane.lost(Set.of(NORMAL_0));
        assertThat(lane.received(position(NORMAL_0, 12))).isFalse();

        lane.gained(NORMAL_0, commit.offset(), commit.metadata());
        assertThat(LongStream.range(10, 14).filter(offset -> lane.received(position(NORMAL_0, offset))))
                .containsExactly(10L, 12L, 13L);
    }

    @Test
    void onlyOwnedTasksWait() {
        lane.await(task(NORMAL_0, 10), NOW);
        lane.await(task(NORMAL_1, 10), NOW);

        assertThat(waiting()).containsExactly("NORMAL-0-10");
    }

    @Test
    void aLostPartitionTakesItsTasksAlong() {
        lane.await(task(NORMAL_0, 10), NOW);
        lane.await(task(LOW_0, 0), NOW);

        lane.lost(Set.of(NORMAL_0));
        lane.finished(position(NORMAL_0, 10));
        lane.readUpTo(NORMAL_0, 50);

        assertThat(waiting()).containsExactly("LOW-0-0");
        assertThat(lane.owns(position(NORMAL_0, 10))).isFalse();
        assertThat(lane.isFull(NORMAL_0)).isFalse();
        assertThat(lane.commits()).containsOnlyKeys(LOW_0);
    }

    @Test
    void onlyChangesAreCommitted() {
        read(NORMAL_0, 10, 11);
        read(LOW_0, 0, 1);
        lane.commits();
        assertThat(lane.commits()).isEmpty();

        finish(NORMAL_0, 10);
        assertThat(lane.commits()).isEqualTo(Map.of(NORMAL_0, new Commit(11, "")));

        finish(LOW_0, 1);
        Map<Partition, Commit> outOfOrder = lane.commits();
        assertThat(outOfOrder).containsOnlyKeys(LOW_0);
        assertThat(outOfOrder.get(LOW_0).offset()).isZero();
        assertThat(outOfOrder.get(LOW_0).metadata()).isNotEmpty();
        assertThat(lane.commits()).isEmpty();
    }

    @Test
    void failedCommitsAreRepeated() {
        finish(NORMAL_0, 10);
        Map<Partition, Commit> commits = lane.commits();

        lane.commitFailed();

        assertThat(lane.commits()).isEqualTo(commits).containsEntry(NORMAL_0, new Commit(11, ""));
    }

    @Test
    void aPartitionThatCameBackIsCommittedAfresh() {
        finish(NORMAL_0, 10);
        lane.commits();
        lane.lost(Set.of(NORMAL_0));

        lane.gained(NORMAL_0, 11, "");

        assertThat(lane.commits()).isEqualTo(Map.of(NORMAL_0, new Commit(11, "")));
    }

    @Test
    void aPartitionIsFullWithAWindowOfUnfinishedTasks() {
        read(NORMAL_0, 10, 11);
        assertThat(lane.isFull(NORMAL_0)).isFalse();
        read(NORMAL_0, 12);
        assertThat(lane.isFull(NORMAL_0)).isTrue();
        assertThat(lane.isFull(LOW_0)).isFalse();

        finish(NORMAL_0, 12);

        assertThat(lane.isFull(NORMAL_0)).isFalse();
    }

    @Test
    void aClearTakesWhatWasInTheQueueWhenAsked() {
        awaitAll(NORMAL_0, 10, 11, 12);
        awaitAll(LOW_0, 0, 1);

        lane.clear(clear("c", Priority.NORMAL, Map.of(0, 12L, 1, 50L)));

        assertThat(takeCleared()).isEqualTo(Map.of("c", Set.of("NORMAL-0-10", "NORMAL-0-11")));
        assertThat(takeCleared()).isEmpty();
        assertThat(waiting()).containsExactlyInAnyOrder("NORMAL-0-12", "LOW-0-0", "LOW-0-1");
    }

    @Test
    void whatIsReadOrPutBackDuringAClearIsTakenToo() {
        lane.clear(clear("c", Priority.NORMAL, Map.of(0, 12L)));
        awaitAll(NORMAL_0, 10);
        assertThat(takeCleared()).isEqualTo(Map.of("c", Set.of("NORMAL-0-10")));

        awaitAll(NORMAL_0, 11, 12);

        assertThat(takeCleared()).isEqualTo(Map.of("c", Set.of("NORMAL-0-11")));
    }

    @Test
    void aClearEndsWhenAllItMeansIsDone() {
        lane.clear(clear("c", Priority.NORMAL, Map.of(0, 12L)));
        read(NORMAL_0, 10, 11, 12);
        finish(NORMAL_0, 11, 12);
        assertThat(lane.takeFinishedClears()).isEmpty();
        assertThat(lane.clearing()).containsExactly(NORMAL_0);

        finish(NORMAL_0, 10);

        assertThat(lane.takeFinishedClears()).containsExactly(new QueueCleared("c", Priority.NORMAL, 0));
        assertThat(lane.takeFinishedClears()).isEmpty();
        assertThat(lane.clearing()).isEmpty();
    }

    @Test
    void aClearOfAnEndThatHoldsNoRecordEndsOnceThatIsKnown() {
        lane.clear(clear("c", Priority.NORMAL, Map.of(0, 12L)));
        assertThat(lane.takeFinishedClears()).isEmpty();

        lane.readUpTo(NORMAL_0, 12);

        assertThat(lane.takeFinishedClears()).hasSize(1);
    }

    @Test
    void anEmptyPartitionHasNothingToClear() {
        lane.clear(clear("c", Priority.LOW, Map.of(0, 0L)));

        assertThat(lane.clearing()).isEmpty();
    }

    @Test
    void aClearGoesOnInAPartitionThatIsGainedLater() {
        lane.clear(clear("c", Priority.NORMAL, Map.of(0, 12L, 1, 7L)));
        lane.lost(Set.of(NORMAL_0));
        assertThat(lane.clearing()).isEmpty();

        lane.gained(NORMAL_1, 5, "");
        awaitAll(NORMAL_1, 5, 6, 7);

        assertThat(takeCleared()).isEqualTo(Map.of("c", Set.of("NORMAL-1-5", "NORMAL-1-6")));
    }

    private void read(Partition partition, long... offsets) {
        LongStream.of(offsets).forEach(offset -> lane.received(position(partition, offset)));
    }

    private void finish(Partition partition, long... offsets) {
        LongStream.of(offsets).forEach(offset -> lane.finished(position(partition, offset)));
    }

    private void awaitAll(Partition partition, long... offsets) {
        LongStream.of(offsets).forEach(offset -> lane.await(task(partition, offset), NOW));
    }

    private static Position position(Partition partition, long offset) {
        return new Position(partition.priority(), partition.number(), offset);
    }

    private static WaitingTask task(Partition partition, long offset) {
        return ATask.named(partition.priority() + "-" + partition.number() + "-" + offset)
                .priority(partition.priority())
                .at(partition.number(), offset)
                .build();
    }

    private static ClearQueue clear(String id, Priority priority, Map<Integer, Long> ends) {
        return new ClearQueue(id, priority, ends, NOW);
    }

    private Map<String, Set<String>> takeCleared() {
        return lane.takeCleared().entrySet().stream()
                .collect(toMap(Map.Entry::getKey, entry -> Set.copyOf(ids(entry.getValue()))));
    }

    private static List<String> ids(List<WaitingTask> tasks) {
        return tasks.stream().map(WaitingTask::id).toList();
    }

    private List<String> waiting() {
        return ids(matcher.backlog().takeIf(task -> true));
    }
}
