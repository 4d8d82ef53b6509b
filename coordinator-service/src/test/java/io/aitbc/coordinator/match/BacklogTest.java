package io.aitbc.coordinator.match;

import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.contracts.Requirements;
import java.lang.reflect.RecordComponent;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

class BacklogTest {
    /** What makes one agent a better choice than another, and does not rule any out. */
    private static final Set<String> PREFERENCES = Set.of("location", "affinityKey", "unknown");

    /** Tasks of one group go to the same agents: a condition that does not tell groups apart is ignored for all but the first task. */
    @Test
    void everyConditionTellsGroupsApart() {
        assertThat(components(Backlog.Conditions.class))
                .containsExactlyInAnyOrderElementsOf(components(Requirements.class).stream()
                        .filter(name -> !PREFERENCES.contains(name))
                        .toList());
    }

    private static List<String> components(Class<? extends Record> type) {
        return Arrays.stream(type.getRecordComponents())
                .map(RecordComponent::getName)
                .toList();
    }
}
