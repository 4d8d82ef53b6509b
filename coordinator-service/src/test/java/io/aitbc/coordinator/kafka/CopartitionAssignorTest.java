package io.aitbc.coordinator.kafka;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.Assignment;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.GroupSubscription;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.Subscription;
import org.apache.kafka.common.Cluster;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CopartitionAssignorTest {
    private static final List<String> TOPICS = List.of("urgent", "normal", "low");

    private final CopartitionAssignor assignor = new CopartitionAssignor();
    private final Map<String, List<String>> topics = new TreeMap<>();
    private final Map<String, Set<TopicPartition>> owned = new TreeMap<>();
    private Map<String, Integer> partitions = counts(12);

    private static Map<String, Integer> counts(int number) {
        return TOPICS.stream().collect(Collectors.toMap(topic -> topic, topic -> number));
    }

    private void join(String member) {
        topics.put(member, TOPICS);
        owned.put(member, Set.of());
    }

    private void leave(String member) {
        topics.remove(member);
        owned.remove(member);
    }

    /** One round: each member owns what it is assigned then. */
    private boolean rebalance(int generation) {
        Map<String, Subscription> subscriptions = new HashMap<>();
        topics.forEach((member, its) -> subscriptions.put(
                member,
                new Subscription(
                        its, ByteBuffer.allocate(0), List.copyOf(owned.get(member)), generation, Optional.empty())));
        Map<String, Assignment> assigned =
                assignor.assign(cluster(), new GroupSubscription(subscriptions)).groupAssignment();
        assertThat(assigned.keySet()).isEqualTo(topics.keySet());
        Set<TopicPartition> added = new HashSet<>();
        boolean hasRevoked = false;
        Set<TopicPartition> before =
                owned.values().stream().flatMap(Set::stream).collect(Collectors.toSet());
        for (String member : topics.keySet()) {
            Set<TopicPartition> now = Set.copyOf(assigned.get(member).partitions());
            assertThat(now).as("each once").hasSameSizeAs(assigned.get(member).partitions());
            for (TopicPartition partition : now) {
                if (!owned.get(member).contains(partition)) {
                    assertThat(added.add(partition)).isTrue();
                    assertThat(before).as("revoked before it is assigned").doesNotContain(partition);
                }
            }
            hasRevoked |= !now.containsAll(owned.get(member));
            owned.put(member, now);
        }
        return hasRevoked;
    }

    private void rebalanceUntilStable() {
        if (rebalance(1)) {
            assertThat(rebalance(2)).as("a second round revokes nothing").isFalse();
        }
    }

    private Cluster cluster() {
        Node node = new Node(1, "localhost", 9092);
        List<PartitionInfo> infos = new ArrayList<>();
        partitions.forEach((topic, count) -> IntStream.range(0, count)
                .forEach(i -> infos.add(new PartitionInfo(topic, i, node, new Node[] {node}, new Node[] {node}))));
        return new Cluster("test", List.of(node), infos, Set.of(), Set.of());
    }

    private Set<Integer> numbers(String member) {
        return owned.get(member).stream().map(TopicPartition::partition).collect(Collectors.toSet());
    }

    private void assertComplete() {
        Set<TopicPartition> all = partitions.entrySet().stream()
                .flatMap(topic ->
                        IntStream.range(0, topic.getValue()).mapToObj(i -> new TopicPartition(topic.getKey(), i)))
                .collect(Collectors.toSet());
        assertThat(owned.values().stream().flatMap(Set::stream)).containsExactlyInAnyOrderElementsOf(all);
        for (Set<TopicPartition> one : owned.values()) {
            for (TopicPartition partition : one) {
                for (String topic : TOPICS) {
                    if (partitions.get(topic) > partition.partition()) {
                        assertThat(one).as("co-partitioned").contains(new TopicPartition(topic, partition.partition()));
                    }
                }
            }
        }
    }

    @Test
    void aSingleMemberGetsEverythingAtOnce() {
        join("a");
        assertThat(rebalance(1)).isFalse();
        assertThat(owned.get("a")).hasSize(36);
        assertComplete();
    }

    @Test
    void theSecondGetsHalfOnceTheFirstHasGivenItUp() {
        join("a");
        rebalance(1);
        join("b");
        assertThat(rebalance(2)).isTrue();
        assertThat(numbers("a")).hasSize(6);
        assertThat(owned.get("b")).isEmpty();
        assertThat(rebalance(3)).isFalse();
        assertThat(numbers("b")).hasSize(6);
        assertComplete();
    }

    @Test
    void theOthersTakeOverFromTheDeadInOneRoundAndKeepTheirs() {
        List.of("a", "b", "c").forEach(this::join);
        rebalanceUntilStable();
        Set<Integer> ofA = numbers("a");
        Set<Integer> ofB = numbers("b");
        leave("c");
        assertThat(rebalance(3)).isFalse();
        assertThat(numbers("a")).containsAll(ofA).hasSize(6);
        assertThat(numbers("b")).containsAll(ofB).hasSize(6);
        assertComplete();
    }

    @Test
    void aMemberThatDoesNotKnowATopicYetGetsOnlyItsOwn() {
        join("a");
        join("b");
        topics.put("b", List.of("normal", "low"));
        rebalanceUntilStable();
        assertThat(owned.get("b")).noneMatch(partition -> partition.topic().equals("urgent"));
        assertThat(owned.values().stream().mapToInt(Set::size).sum()).isEqualTo(36);
    }

    @Test
    void aTopicWithoutPartitionsIsLeftOut() {
        join("a");
        partitions = Map.of("normal", 3);
        rebalance(1);
        assertThat(owned.get("a")).hasSize(3);
    }

    @Test
    void ofTwoClaimsTheLaterGenerationCountsAndTheEarlierIsRevokedFirst() {
        partitions = Map.of("normal", 1);
        TopicPartition only = new TopicPartition("normal", 0);
        Map<String, Subscription> claims = Map.of(
                "stale",
                        new Subscription(List.of("normal"), ByteBuffer.allocate(0), List.of(only), 3, Optional.empty()),
                "owner",
                        new Subscription(
                                List.of("normal"), ByteBuffer.allocate(0), List.of(only), 4, Optional.empty()));
        Map<String, Assignment> assigned =
                assignor.assign(cluster(), new GroupSubscription(claims)).groupAssignment();
        assertThat(assigned.get("stale").partitions()).isEmpty();
        assertThat(assigned.get("owner").partitions()).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
    void sharesAreEqualAndAsFewAsPossibleMoveWhoeverComesAndGoes(long seed) {
        Random random = new Random(seed);
        partitions = Map.of("urgent", 1 + random.nextInt(30), "normal", 1 + random.nextInt(30), "low", 5);
        int slices = partitions.values().stream().mapToInt(i -> i).max().orElseThrow();
        int next = 0;
        for (int step = 0; step < 200; step++) {
            Map<String, Set<Integer>> before = new HashMap<>();
            owned.keySet().forEach(member -> before.put(member, numbers(member)));
            boolean joins = topics.isEmpty() || random.nextInt(topics.size() + 3) < 3;
            if (joins) {
                join("member-" + random.nextInt(100) + "-" + next++);
            } else {
                leave(List.copyOf(topics.keySet()).get(random.nextInt(topics.size())));
            }
            if (topics.isEmpty()) {
                continue;
            }
            rebalanceUntilStable();
            assertComplete();
            int share = slices / topics.size();
            for (String member : topics.keySet()) {
                assertThat(numbers(member).size()).isBetween(share, share + (slices % topics.size() == 0 ? 0 : 1));
                if (!joins) {
                    assertThat(numbers(member))
                            .as("nothing moves between the living")
                            .containsAll(before.get(member));
                }
            }
            long moved = before.entrySet().stream()
                    .filter(one -> topics.containsKey(one.getKey()))
                    .flatMap(one -> one.getValue().stream()
                            .filter(number -> !numbers(one.getKey()).contains(number)))
                    .count();
            assertThat(moved).isLessThanOrEqualTo(share + 1);
        }
    }
}
