package io.aitbc.coordinator.match;

import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.contracts.Requirements;
import java.lang.reflect.RecordComponent;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

class BacklogTest {
    /** Requirements that rule no agent out, and only influence the choice. */
    private static final Set<String> PREFERENCES = Set.of("location", "affinityKey", "unknown");

    /** Tasks of a group are interchangeable: a condition missing here would be ignored for all but the first task of a group. */
    @Test
    void everyConditionDistinguishesGroups() {
        assertThat(components(Backlog.Conditions.class))
                .filteredOn(name -> !name.equals("limits"))
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
