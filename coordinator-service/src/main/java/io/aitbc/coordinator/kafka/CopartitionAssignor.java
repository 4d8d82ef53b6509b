package io.aitbc.coordinator.kafka;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor;
import org.apache.kafka.common.Cluster;
import org.apache.kafka.common.TopicPartition;
import org.jspecify.annotations.Nullable;

/**
 * Assigns the partitions with the same number, of all topics, to the same member, as the range assignor does. Unlike that one, it is
 * cooperative: a rebalance stops only the partitions that move. Members keep what they own, as far as their equal share allows. A
 * partition that moves is first revoked from its owner, which then rejoins, and assigned in the rebalance after that
 * (<a href="https://cwiki.apache.org/confluence/display/KAFKA/KIP-429">KIP-429</a>).
 *
 * <p>Example: of topics with four partitions each, the members a and b own the numbers 0, 1 and 2, 3. If b dies, a gets 2 and 3, and keeps
 * 0 and 1 meanwhile.
 */
public final class CopartitionAssignor implements ConsumerPartitionAssignor {
    @Override
    public String name() {
        return "copartition";
    }

    @Override
    public List<RebalanceProtocol> supportedProtocols() {
        return List.of(RebalanceProtocol.COOPERATIVE);
    }

    private record Member(String id, Set<String> topics, Set<TopicPartition> owned, int generation) {
        static Member of(String id, Subscription subscription) {
            return new Member(
                    id,
                    Set.copyOf(subscription.topics()),
                    Set.copyOf(subscription.ownedPartitions()),
                    subscription.generationId().orElse(-1));
        }
    }

    /** The same partition number of several topics. */
    private record Slice(int number, Set<TopicPartition> partitions) {}

    @Override
    public GroupAssignment assign(Cluster cluster, GroupSubscription group) {
        List<Member> members = group.groupSubscription().entrySet().stream()
                .map(one -> Member.of(one.getKey(), one.getValue()))
                .sorted(Comparator.comparing(Member::id))
                .toList();
        Map<Member, List<TopicPartition>> assigned = new HashMap<>();
        slices(cluster, members)
                .forEach((subscribers, slices) -> distribute(slices, subscribers)
                        .forEach((slice, member) -> {
                            for (TopicPartition partition : slice.partitions) {
                                if (members.stream()
                                        .noneMatch(other -> other != member && other.owned.contains(partition))) {
                                    assigned.computeIfAbsent(member, unknown -> new ArrayList<>())
                                            .add(partition);
                                }
                            }
                        }));
        return new GroupAssignment(members.stream()
                .collect(Collectors.toMap(
                        Member::id, member -> new Assignment(assigned.getOrDefault(member, List.of())))));
    }

    /** By subscribers: all of the members, except while a topic is missing for some of them. */
    private static Map<List<Member>, Collection<Slice>> slices(Cluster cluster, List<Member> members) {
        Map<List<Member>, SortedMap<Integer, Slice>> slices = new HashMap<>();
        Set<String> topics =
                members.stream().flatMap(one -> one.topics.stream()).collect(Collectors.toSet());
        for (String topic : topics) {
            List<Member> subscribers =
                    members.stream().filter(one -> one.topics.contains(topic)).toList();
            Integer count = cluster.partitionCountForTopic(topic);
            for (int number = 0; count != null && number < count; number++) {
                slices.computeIfAbsent(subscribers, unknown -> new TreeMap<>())
                        .computeIfAbsent(number, unknown -> new Slice(unknown, new HashSet<>()))
                        .partitions
                        .add(new TopicPartition(topic, number));
            }
        }
        return slices.entrySet().stream()
                .collect(Collectors.toMap(
                        Map.Entry::getKey, one -> one.getValue().values()));
    }

    /** Equal shares: none has two more than another. */
    private static Map<Slice, Member> distribute(Collection<Slice> slices, List<Member> subscribers) {
        int share = slices.size() / subscribers.size();
        int larger = slices.size() % subscribers.size();
        Map<Member, Integer> counts = new LinkedHashMap<>();
        subscribers.forEach(member -> counts.put(member, 0));
        Map<Slice, Member> distributed = new IdentityHashMap<>();
        for (Slice slice : slices) {
            Member owner = owner(slice, subscribers);
            int count = owner == null ? 0 : counts.getOrDefault(owner, 0);
            if (owner != null && (count < share || (count == share && larger > 0))) {
                larger -= count == share ? 1 : 0;
                counts.merge(owner, 1, Integer::sum);
                distributed.put(slice, owner);
            }
        }
        for (Slice slice : slices) {
            if (!distributed.containsKey(slice)) {
                Member least = counts.entrySet().stream()
                        .min(Map.Entry.comparingByValue())
                        .orElseThrow()
                        .getKey();
                counts.merge(least, 1, Integer::sum);
                distributed.put(slice, least);
            }
        }
        return distributed;
    }

    /** The member that owns most of a slice by its latest generation; null if there is none. */
    private static @Nullable Member owner(Slice slice, List<Member> subscribers) {
        return subscribers.stream()
                .filter(member -> owned(slice, member) > 0)
                .max(Comparator.comparingInt(Member::generation).thenComparing(member -> owned(slice, member)))
                .orElse(null);
    }

    private static long owned(Slice slice, Member member) {
        return slice.partitions.stream().filter(member.owned::contains).count();
    }
}
