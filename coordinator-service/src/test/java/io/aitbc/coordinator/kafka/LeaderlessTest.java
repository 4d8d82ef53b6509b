package io.aitbc.coordinator.kafka;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.junit.jupiter.api.Test;

/** The local stack has a single broker, which cannot have a partition whose replicas are all offline. */
class LeaderlessTest {
    private static final Node BROKER = new Node(1, "broker", 9092);

    @Test
    void partitionsWithoutALeaderAreNamed() {
        TopicDescription topic = new TopicDescription(
                "tasks.high",
                false,
                List.of(
                        new TopicPartitionInfo(0, BROKER, List.of(BROKER), List.of(BROKER)),
                        new TopicPartitionInfo(1, null, List.of(BROKER), List.of())));
        assertThat(SharedTopics.leaderless(List.of(topic))).containsExactly(new TopicPartition("tasks.high", 1));
    }
}
