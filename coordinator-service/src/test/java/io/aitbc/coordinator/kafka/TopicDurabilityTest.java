package io.aitbc.coordinator.kafka;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class TopicDurabilityTest {
    @Test
    void replicatedTopicsAreFine() {
        assertThat(TopicDurability.problems(3, List.of(new TopicDurability("tasks.normal", 3, 2, false, List.of()))))
                .isEmpty();
    }

    @Test
    void topicsWithOneReplicaAreNamedOnce() {
        assertThat(TopicDurability.problems(
                        3,
                        List.of(
                                new TopicDurability("tasks.results", 1, 1, false, List.of()),
                                new TopicDurability("tasks.normal", 1, 1, false, List.of()),
                                new TopicDurability("tasks.low", 3, 2, false, List.of()))))
                .singleElement()
                .asString()
                .startsWith(
                        "tasks.normal and 1 other topic have one replica on 3 brokers: the loss of a broker loses records");
    }

    @Test
    void eachSettingHasItsSentence() {
        assertThat(TopicDurability.problems(
                        3,
                        List.of(
                                new TopicDurability("a", 2, 1, false, List.of()),
                                new TopicDurability("b", 2, 2, true, List.of()),
                                new TopicDurability("c", 3, 2, false, List.of()))))
                .containsExactly(
                        "a has min.insync.replicas=1: the loss of a broker can lose acknowledged records.",
                        "b has unclean.leader.election.enable=true: a replica without acknowledged records can become the leader.");
    }

    @Test
    void deviationsAreNamedOnceForAllTopicsThatHaveThem() {
        assertThat(TopicDurability.problems(
                        1,
                        List.of(
                                new TopicDurability("low", 1, 1, false, List.of("a: b")),
                                new TopicDurability("high", 1, 1, false, List.of("a: b")),
                                new TopicDurability("keys", 1, 1, false, List.of("c: d")))))
                .containsExactly("high and 1 other topic have a: b.", "keys has c: d.");
    }
}
