package io.aitbc.coordinator.kafka;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.function.Predicate;

/**
 * The settings of a topic that decide whether an acknowledged record survives: the loss of a broker, and until it is needed.
 *
 * @param replicas the smallest number of replicas of any partition
 * @param minInSyncReplicas how many replicas must have a record before it is acknowledged
 * @param uncleanElection whether a replica that lacks acknowledged records may become the leader
 * @param deviations from how coordinators create it, each with its consequence, such as
 *     {@code 3 partitions: only the records of the first are found}
 */
record TopicDurability(
        String topic, int replicas, int minInSyncReplicas, boolean uncleanElection, List<String> deviations) {
    /**
     * What can be lost, one sentence for each setting.
     *
     * @param brokers how many there are
     */
    static List<String> problems(int brokers, Collection<TopicDurability> topics) {
        List<String> problems = new ArrayList<>();
        add(
                problems,
                topics,
                topic -> topic.replicas == 1 && brokers > 1,
                "one replica on " + brokers + " brokers: the loss of a broker loses records"
                        + " (AITBC_TOPICS_REPLICATION is for new topics, kafka-reassign-partitions for existing ones)");
        add(
                problems,
                topics,
                topic -> topic.replicas > 1 && topic.minInSyncReplicas == 1,
                "min.insync.replicas=1: the loss of a broker can lose acknowledged records");
        add(
                problems,
                topics,
                topic -> topic.replicas > 1 && topic.uncleanElection,
                "unclean.leader.election.enable=true: a replica without acknowledged records can become the leader");
        topics.stream()
                .flatMap(topic -> topic.deviations.stream())
                .distinct()
                .sorted()
                .forEach(deviation -> add(problems, topics, topic -> topic.deviations.contains(deviation), deviation));
        return problems;
    }

    private static void add(
            List<String> problems,
            Collection<TopicDurability> topics,
            Predicate<TopicDurability> isUnsafe,
            String problem) {
        List<String> unsafe = topics.stream()
                .filter(isUnsafe)
                .map(TopicDurability::topic)
                .sorted()
                .toList();
        if (!unsafe.isEmpty()) {
            String subject = switch (unsafe.size()) {
                case 1 -> " has ";
                case 2 -> " and 1 other topic have ";
                default -> " and " + (unsafe.size() - 1) + " other topics have ";
            };
            problems.add(unsafe.get(0) + subject + problem + ".");
        }
    }
}
