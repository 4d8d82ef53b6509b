package io.aitbc.coordinator.dispatch;

import static io.aitbc.coordinator.agent.AnAgent.NOW;
import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.contracts.ControlMessage.ClearQueue;
import io.aitbc.contracts.ControlMessage.QueueCleared;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.TaskStatus;
import io.aitbc.coordinator.agent.AnAgent;
import io.aitbc.coordinator.agent.HealthPolicy;
import io.aitbc.coordinator.assign.Judgement;
import io.aitbc.coordinator.assign.Verdict;
import io.aitbc.coordinator.assign.Verdict.Ruling;
import io.aitbc.coordinator.balance.LoadBalancingStrategy;
import io.aitbc.coordinator.dispatch.OwnedPartition.Commit;
import io.aitbc.coordinator.dispatch.OwnedPartition.Id;
import io.aitbc.coordinator.limit.LimitBook;
import io.aitbc.coordinator.match.ATask;
import io.aitbc.coordinator.match.Aging;
import io.aitbc.coordinator.match.Matcher;
import io.aitbc.coordinator.match.Placement;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.match.SlotOffer;
import io.aitbc.coordinator.match.TaskSummary;
import io.aitbc.coordinator.match.WaitingTask;
import io.aitbc.coordinator.queue.OffsetLedger;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.stream.LongStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A lane with more waiting tasks than it may keep payloads of. */
class LaneBacklogTest {
    private static final int BATCH = 100;
    private static final int MAX_WAITING = 200;
    private static final int PAYLOADS = 4;
    private static final Id NORMAL = new Id(Priority.NORMAL, 0);
    private static final Id URGENT = new Id(Priority.URGENT, 0);

    private final Log log = new Log();
    private final Matcher matcher = new Matcher(
            new HealthPolicy(Duration.ofSeconds(30), Duration.ofSeconds(300), 0.5, 0.9, 0.9),
            new Aging(Duration.ofSeconds(60), 0.1),
            LoadBalancingStrategy.LEAST_CONNECTIONS,
            new Random(1),
            PAYLOADS * ATask.named("t").build().heap());
    private final Lane lane = new Lane(matcher, log, MAX_WAITING, BATCH);

    @BeforeEach
    void gainPartitions() {
        lane.gained(NORMAL, new OffsetLedger(0), Set.of());
        lane.gained(URGENT, new OffsetLedger(0), Set.of());
    }

    @Test
    void payloadsAreKeptWhileThereIsRoomAndFetchedInSequenceBeforeTheirTurn() {
        append(NORMAL, 10, "able");
        assertThat(matcher.backlog().withoutPayload()).isEqualTo(10 - PAYLOADS);
        round(NOW);
        assertThat(log.fetched).as("no agent suits them").isEmpty();

        agent("a", 100, "able");
        round(NOW);

        assertThat(log.published).containsExactlyElementsOf(ids(NORMAL, 0, 10));
        assertThat(log.fetched.stream().flatMap(List::stream)).isSorted().hasSize(10 - PAYLOADS);
        assertThat(commit(NORMAL).offset()).isEqualTo(10);
    }

    /** P4: they may be a million. */
    @Test
    void tasksBehindBlockedOnesAreAssignedAndTheirPayloadsReplaceThoseOfTheBlocked() {
        agent("a", 100, "able");
        append(NORMAL, 50, "of-nobody");
        append(NORMAL, 3, "able");

        round(NOW);

        assertThat(log.published).containsExactlyElementsOf(ids(NORMAL, 50, 53));
        assertThat(matcher.backlog().withoutPayload()).isEqualTo(50);
        assertThat(commit(NORMAL).offset()).isZero();
    }

    /** However many others wait without one. */
    @Test
    void aTaskThatIsNextInItsQueueIsNotReadTwice() {
        agent("a", 100, "able");
        append(NORMAL, 50, "of-nobody");
        append(NORMAL, 1, "able");
        round(NOW);
        log.fetched.clear();

        append(NORMAL, 3, "able");
        round(NOW);

        assertThat(log.published).containsExactlyElementsOf(ids(NORMAL, 50, 54));
        assertThat(log.fetched).isEmpty();
    }

    /** P3: not even while its payload is being fetched. */
    @Test
    void anAgentIsLeftToAMoreUrgentTaskWhosePayloadIsAwaitedForASecond() {
        append(NORMAL, PAYLOADS, "able");
        append(URGENT, 1, "able");
        log.isAway = true;
        agent("a", 100, "able");

        round(NOW);
        round(NOW.plusMillis(999));
        assertThat(log.published).isEmpty();

        // Its partition may be offline.
        round(NOW.plusMillis(1_000));
        assertThat(log.published).isEqualTo(ids(NORMAL, 0, PAYLOADS / 2));

        log.isAway = false;
        round(NOW.plusMillis(2_000));
        assertThat(log.published).contains(id(URGENT, 0));
    }

    /** An idle coordinator with a backlog must not poll as a busy one does. */
    @Test
    void aLaneIsBusyOnlyWhileItAssignsTasks() {
        append(NORMAL, BATCH + 1, "of-nobody");
        round(NOW);
        assertThat(lane.isBusy()).isFalse();

        append(NORMAL, 1, "able");
        agent("a", 1, "able");
        round(NOW);
        assertThat(lane.isBusy()).isTrue();

        round(NOW.plusSeconds(1));
        assertThat(lane.isBusy()).isFalse();
    }

    /** P3: tasks with other requirements are not handed to it either. */
    @Test
    void anAgentThatSuitsAnAwaitedTaskIsLeftFreeByOtherGroups() {
        append(NORMAL, PAYLOADS, "able");
        append(URGENT, 1, "fast");
        log.isAway = true;
        agent("a", 100, "able", "fast");

        round(NOW);
        assertThat(log.published).isEmpty();
        agent("b", 1, "able");
        round(NOW.plusMillis(1));
        assertThat(log.published).as("it does not suit the urgent task").isEqualTo(ids(NORMAL, 0, 1));

        round(NOW.plusMillis(1_000));
        assertThat(log.published).hasSizeGreaterThan(1).doesNotContain(id(URGENT, 0));
    }

    /** P4: one second in all, not one for each of its tasks. */
    @Test
    void tasksOfAnOfflinePartitionDelayTheOthersByASecond() {
        append(NORMAL, 200, "able");
        LongStream.range(0, 200).filter(offset -> offset % 4 == 3).forEach(offset -> {
            Id offline = new Id(Priority.NORMAL, 1);
            if (offset == 3) {
                lane.gained(offline, new OffsetLedger(0), Set.of());
            }
            append(offline, 1, "able");
        });
        log.offline.add(new Id(Priority.NORMAL, 1));
        agent("a", 1_000, "able");

        for (int ms = 0; ms <= 2_000; ms += 100) {
            round(NOW.plusMillis(ms));
        }
        assertThat(log.published).hasSize(200);

        log.offline.clear();
        round(NOW.plusSeconds(3));
        assertThat(log.published).hasSize(250);
    }

    @Test
    void requestsForOtherPurposesDoNotDelayThoseOfTheNextTasks() {
        append(NORMAL, 50, "of-nobody");
        log.isAway = true;
        lane.clear(new ClearQueue("c", Priority.NORMAL, Map.of(0, 50L), NOW));
        lane.round(NOW);
        append(URGENT, PAYLOADS + 2, "able");
        agent("a", 100, "able");
        log.isAway = false;
        log.fetched.clear();

        lane.round(NOW.plusSeconds(2));

        assertThat(log.fetched.get(0)).contains(position(URGENT, PAYLOADS + 1));
    }

    /** Otherwise the heap would fill with tasks that are being ended. */
    @Test
    void aClearReadsOnWithinABound() {
        append(NORMAL, MAX_WAITING, "of-nobody");
        log.isAway = true;
        lane.clear(new ClearQueue("c", Priority.URGENT, Map.of(0, 1_000L), NOW));
        int read = 0;
        while (!lane.isFull(URGENT)) {
            append(URGENT, 1, "of-nobody");
            read++;
        }

        assertThat(read).isEqualTo(MAX_WAITING / 4 + 100);
    }

    @Test
    void aTaskThatIsReadLateTakesItsTurnByTheTimeItHasWaited() {
        append(NORMAL, 8, "able");
        WaitingTask older = task(NORMAL, 8, "able", NOW.minusSeconds(60));
        log.tasks.put(older.position(), older);
        read(older);
        agent("a", 1, "able");

        round(NOW);

        assertThat(log.published).containsExactly(id(NORMAL, 8));
    }

    @Test
    void tasksOfRecordsThatAreGoneFail() {
        append(NORMAL, 6, "able");
        log.gone.add(position(NORMAL, 4));
        log.poison.add(position(NORMAL, 5));
        agent("a", 100, "able");

        round(NOW);

        assertThat(log.lost).containsExactly(position(NORMAL, 4));
        assertThat(log.published).containsExactlyElementsOf(ids(NORMAL, 0, 4));
        assertThat(commit(NORMAL).offset()).isEqualTo(6);
        assertThat(matcher.backlog().size()).isZero();
    }

    @Test
    void deletedRecordsAreNoticedWhileTheirTasksWait() {
        append(NORMAL, 6, "of-nobody");

        lane.deletedBelow(NORMAL, 8);
        round(NOW);

        assertThat(log.lost)
                .as("those without a payload, and those that had not been read")
                .containsExactlyInAnyOrder(
                        position(NORMAL, 4), position(NORMAL, 5), position(NORMAL, 6), position(NORMAL, 7));
        assertThat(matcher.backlog().size()).isEqualTo(PAYLOADS);
        agent("a", 100, "of-nobody");
        round(NOW);
        assertThat(log.published).containsExactlyElementsOf(ids(NORMAL, 0, PAYLOADS));
        assertThat(commit(NORMAL).offset()).isEqualTo(8);
    }

    @Test
    void aLossThatCouldNotBeRecordedIsRecordedLater() {
        append(NORMAL, 6, "of-nobody");
        log.isAway = true;
        lane.deletedBelow(NORMAL, 6);
        round(NOW);
        log.isAway = false;

        round(NOW.plusMillis(999));
        assertThat(log.lost).isEmpty();
        round(NOW.plusMillis(1_000));

        assertThat(log.lost).containsExactlyInAnyOrder(position(NORMAL, 4), position(NORMAL, 5));
    }

    @Test
    void aCancelledTaskWithoutAPayloadLeavesTheBacklogAndOneWithTheSameHashStays() {
        append(NORMAL, PAYLOADS, "of-nobody");
        // These ids have the same hash code.
        WaitingTask cancelled = named("Aa", NORMAL, PAYLOADS);
        WaitingTask other = named("BB", NORMAL, PAYLOADS + 1);
        read(cancelled);
        read(other);

        lane.cancelled(Set.of("Aa"));
        round(NOW);

        assertThat(matcher.backlog().contains(cancelled.position())).isFalse();
        assertThat(matcher.backlog().contains(other.position())).isTrue();
        agent("a", 100, "of-nobody");
        round(NOW);
        assertThat(log.published).contains("BB").doesNotContain("Aa");
    }

    @Test
    void aClearEndsTasksWithoutPayloadsInBatches() {
        append(NORMAL, 6 * BATCH, "of-nobody");

        lane.clear(new ClearQueue("c", Priority.NORMAL, Map.of(0, 6L * BATCH), NOW));
        round(NOW);

        assertThat(log.ended).hasSize(6 * BATCH);
        assertThat(log.reports).containsExactly(new QueueCleared("c", Priority.NORMAL, 0));
        assertThat(matcher.backlog().size()).isZero();
        assertThat(log.fetched).allSatisfy(positions -> assertThat(positions).hasSizeLessThanOrEqualTo(4 * BATCH));
    }

    @Test
    void expiredTasksEndWithoutAPayloadToo() {
        append(NORMAL, PAYLOADS, "of-nobody");
        WaitingTask expiring = ATask.named("expiring")
                .at(0, PAYLOADS)
                .requires("of-nobody")
                .expiresAt(NOW.plusSeconds(10))
                .build();
        log.tasks.put(expiring.position(), expiring);
        read(expiring);
        round(NOW);
        assertThat(log.ended).isEmpty();

        round(NOW.plusSeconds(10));

        assertThat(log.ended).containsExactly("expiring");
    }

    @Test
    void aTaskThatIsNotDueCostsNoPayloadWithoutRoomAndIsAssignedWhenItIsDue() {
        append(NORMAL, PAYLOADS, "of-nobody");
        WaitingTask later = ATask.named("later")
                .at(0, PAYLOADS)
                .requires("able")
                .notBefore(NOW.plusSeconds(10))
                .build();
        log.tasks.put(later.position(), later);
        read(later);
        agent("a", 100, "able");
        round(NOW);
        assertThat(log.fetched).isEmpty();
        assertThat(matcher.backlog().scheduled(Priority.NORMAL)).isEqualTo(1);

        round(NOW.plusSeconds(10));

        assertThat(log.published).containsExactly("later");
    }

    @Test
    void answersForALostPartitionAreIgnored() {
        append(NORMAL, 6, "able");
        log.held = new CompletableFuture<>();
        agent("a", 100, "able");
        lane.round(NOW);
        lane.lost(Set.of(NORMAL));
        lane.gained(NORMAL, new OffsetLedger(0), Set.of());

        log.held.complete(null);
        round(NOW);

        assertThat(matcher.backlog().size()).isZero();
        assertThat(lane.received(position(NORMAL, 5))).isTrue();
    }

    @Test
    void aFullBacklogIsReadNoFurtherButForAClearAndForWhatAnAgentHolds() {
        append(NORMAL, MAX_WAITING, "of-nobody");
        assertThat(lane.isFull(NORMAL)).isTrue();
        assertThat(lane.isFull(URGENT)).isTrue();
        assertThat(lane.isBacklogFull()).isTrue();

        lane.clear(new ClearQueue("c", Priority.URGENT, Map.of(0, 1L), NOW));
        assertThat(lane.isFull(URGENT)).isFalse();
        assertThat(lane.isFull(NORMAL)).isTrue();

        Id low = new Id(Priority.LOW, 0);
        lane.gained(low, new OffsetLedger(0), Set.of(1L));
        assertThat(lane.isFull(low)).isFalse();
        lane.received(position(low, 0));
        lane.received(position(low, 1));
        assertThat(lane.isFull(low)).isTrue();

        lane.lost(Set.of(NORMAL));
        assertThat(lane.isFull(URGENT)).isFalse();
    }

    /** It may fill the agent that all known tasks wait for. */
    @Test
    void aFullBacklogIsReadOnForATaskThatAnAgentHoldsAccordingToRedis() {
        append(NORMAL, MAX_WAITING, "of-nobody");

        lane.unpublished(Set.of("unread"));
        round(NOW);
        assertThat(lane.isFull(NORMAL)).isFalse();

        round(NOW.plusSeconds(1));
        assertThat(lane.isFull(NORMAL)).isTrue();
    }

    /** Otherwise one task that no agent takes would hold back for ever what is done behind it. */
    @Test
    void oldTasksAreAppendedAgainWhereMoreIsDoneBehindThem() {
        append(NORMAL, 6, "of-nobody");
        append(NORMAL, 5, "able");
        agent("a", 5, "able");
        round(NOW);
        assertThat(log.published).hasSize(5);

        lane.relocate(NORMAL, 6);
        round(NOW);
        assertThat(log.appended).as("six for five").isEmpty();

        lane.relocate(NORMAL, 5);
        round(NOW);
        assertThat(log.appended).containsExactlyInAnyOrderElementsOf(ids(NORMAL, 0, 5));
        assertThat(commit(NORMAL).offset()).isEqualTo(5);
        assertThat(matcher.backlog().size()).isEqualTo(1);
    }

    @Test
    void aTaskThatCouldNotBeAppendedAgainKeepsWaiting() {
        oneIsDoneBehindTheFirst();
        log.appending = CompletableFuture.failedFuture(new IllegalStateException("Kafka is away"));

        lane.relocate(NORMAL, 1);
        round(NOW);

        assertThat(log.appended).hasSize(1);
        assertThat(matcher.backlog().contains(position(NORMAL, 0))).isTrue();
        assertThat(lane.commits(NORMAL::equals)
                        .getOrDefault(NORMAL, new Commit(0, "", null))
                        .offset())
                .isZero();
    }

    /** The clear does not cover the new record. */
    @Test
    void aTaskThatIsClearedWhileItIsAppendedAgainIsCancelled() {
        oneIsDoneBehindTheFirst();
        log.appending = new CompletableFuture<>();
        lane.relocate(NORMAL, 1);
        round(NOW);

        lane.clear(new ClearQueue("c", Priority.NORMAL, Map.of(0, 2L), NOW));
        log.appending.complete(null);
        round(NOW);

        assertThat(log.ended).containsExactly(id(NORMAL, 0));
        assertThat(log.reports).hasSize(1);
    }

    private void oneIsDoneBehindTheFirst() {
        append(NORMAL, 1, "of-nobody");
        append(NORMAL, 1, "able");
        agent("a", 5, "able");
        round(NOW);
        assertThat(log.published).containsExactly(id(NORMAL, 1));
    }

    @Test
    void whatDoesNotFitIntoACommitIsToldInFull() {
        Random random = new Random(1);
        Set<Long> done = new HashSet<>();
        for (long offset = 0; offset < 60_000; offset++) {
            lane.received(position(NORMAL, offset));
            if (offset > 0 && random.nextBoolean()) {
                lane.finished(position(NORMAL, offset));
                done.add(offset);
            }
        }

        Commit commit = commit(NORMAL);

        assertThat(commit.offset()).isZero();
        assertThat(commit.full()).isNotNull();
        assertThat(commit.full().done().stream().asLongStream().boxed()).containsExactlyInAnyOrderElementsOf(done);
        lane.finished(position(URGENT, 1));
        assertThat(commit(URGENT).full()).isNull();
    }

    /** Rounds until nothing more happens at this time. */
    private void round(Instant now) {
        int before;
        do {
            before = log.requests;
            lane.round(now);
        } while (log.requests > before);
    }

    private Commit commit(Id partition) {
        return lane.commits(partition::equals).get(partition);
    }

    private void agent(String id, int capacity, String... capabilities) {
        matcher.agents()
                .addOrUpdate(
                        AnAgent.named(id)
                                .capacity(capacity)
                                .capabilities(capabilities)
                                .build(),
                        NOW);
    }

    /** Appends tasks to the log, and reads them. */
    private void append(Id partition, int count, String capability) {
        long end = log.tasks.keySet().stream()
                .filter(position -> Id.of(position).equals(partition))
                .count();
        for (long offset = end; offset < end + count; offset++) {
            WaitingTask task = task(partition, offset, capability, NOW);
            log.tasks.put(task.position(), task);
            read(task);
        }
    }

    private WaitingTask named(String id, Id partition, long offset) {
        WaitingTask task = ATask.named(id)
                .priority(partition.priority())
                .at(partition.number(), offset)
                .requires("of-nobody")
                .build();
        log.tasks.put(task.position(), task);
        return task;
    }

    private static WaitingTask task(Id partition, long offset, String capability, Instant since) {
        return ATask.named(id(partition, offset))
                .priority(partition.priority())
                .at(partition.number(), offset)
                .requires(capability)
                .since(since)
                .build();
    }

    private void read(WaitingTask task) {
        assertThat(lane.received(task.position())).isTrue();
        if (lane.needsPayload(task.position()) || lane.needsPayload(TaskSummary.of(task))) {
            lane.addWaiting(task, NOW);
        } else {
            lane.addWaiting(TaskSummary.of(task), NOW);
        }
    }

    private static String id(Id partition, long offset) {
        return partition.priority() + "-" + offset;
    }

    private static List<String> ids(Id partition, long from, long to) {
        List<String> ids = new ArrayList<>();
        for (long offset = from; offset < to; offset++) {
            ids.add(id(partition, offset));
        }
        return ids;
    }

    private static Position position(Id partition, long offset) {
        return new Position(partition.priority(), partition.number(), offset);
    }

    /** Topics and a store that grants everything, and answers at once unless they are away. */
    private static final class Log implements SideEffects {
        final Map<Position, WaitingTask> tasks = new HashMap<>();
        final Set<Position> gone = new HashSet<>();
        final Set<Position> poison = new HashSet<>();
        final Set<Id> offline = new HashSet<>();
        final List<String> published = new ArrayList<>();
        final List<String> ended = new ArrayList<>();
        final List<List<Position>> fetched = new ArrayList<>();
        final List<Position> lost = new ArrayList<>();
        final List<QueueCleared> reports = new ArrayList<>();
        final List<String> appended = new ArrayList<>();
        boolean isAway;
        CompletableFuture<Void> appending = CompletableFuture.completedFuture(null);
        CompletableFuture<Void> held = CompletableFuture.completedFuture(null);
        int requests;

        private <T> CompletableFuture<T> answer(T value) {
            requests++;
            return CompletableFuture.completedFuture(value);
        }

        @Override
        public CompletableFuture<Payloads.Fetched> fetch(List<Position> positions) {
            requests++;
            if (isAway) {
                return CompletableFuture.failedFuture(new IllegalStateException("Kafka is away"));
            }
            fetched.add(positions);
            Map<Position, WaitingTask> found = new HashMap<>();
            Set<Position> goneNow = new HashSet<>(positions);
            goneNow.retainAll(gone);
            Set<Position> poisonNow = new HashSet<>(positions);
            poisonNow.retainAll(poison);
            positions.stream()
                    .filter(position -> !gone.contains(position) && !poison.contains(position))
                    .filter(position -> !offline.contains(Id.of(position)))
                    .forEach(position -> found.put(position, tasks.get(position)));
            return held.thenApply(now -> new Payloads.Fetched(found, goneNow, poisonNow));
        }

        @Override
        public CompletableFuture<Void> failLost(Set<Position> positions) {
            requests++;
            if (isAway) {
                return CompletableFuture.failedFuture(new IllegalStateException("Redis is away"));
            }
            lost.addAll(positions);
            return CompletableFuture.completedFuture(null);
        }

        @Override
        public CompletableFuture<Judgement> reserve(List<Placement> placements, LimitBook limits, Instant now) {
            return answer(Judgement.of(placements.stream()
                    .map(placement -> new Verdict(
                            placement,
                            // Asked without an agent only because it was cancelled.
                            placement.agentId().isEmpty() ? Ruling.CANCELLED : Ruling.GRANTED,
                            placement.agentId(),
                            false,
                            1,
                            now))
                    .toList()));
        }

        @Override
        public CompletableFuture<List<Boolean>> endWaiting(
                List<WaitingTask> ending, TaskStatus status, String clearId, LimitBook limits, Instant now) {
            ending.forEach(task -> ended.add(task.id()));
            return answer(ending.stream().map(task -> true).toList());
        }

        @Override
        public CompletableFuture<Void> publish(Verdict verdict) {
            published.add(verdict.placement().waiting().id());
            return CompletableFuture.completedFuture(null);
        }

        @Override
        public CompletableFuture<Void> append(WaitingTask task) {
            requests++;
            appended.add(task.id());
            return appending;
        }

        @Override
        public CompletableFuture<List<Boolean>> recordQueued(List<WaitingTask> waiting) {
            return CompletableFuture.completedFuture(
                    waiting.stream().map(task -> false).toList());
        }

        @Override
        public Map<Id, Long> appendedEnds(Set<Id> partitions) {
            Map<Id, Long> ends = new HashMap<>();
            partitions.forEach(id -> ends.put(
                    id,
                    tasks.keySet().stream()
                            .filter(position -> Id.of(position).equals(id))
                            .count()));
            return ends;
        }

        @Override
        public long position(Id partition) {
            return 0;
        }

        @Override
        public void report(QueueCleared cleared) {
            reports.add(cleared);
        }

        @Override
        public void offerSlots(List<SlotOffer> offers) {
            throw new UnsupportedOperationException("no other coordinator is here");
        }
    }
}
