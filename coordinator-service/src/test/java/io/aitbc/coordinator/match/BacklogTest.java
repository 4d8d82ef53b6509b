package io.aitbc.coordinator.match;

import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.contracts.Requirements;
import java.lang.reflect.RecordComponent;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

class BacklogTest {
    /** Requirements that influence the choice of an agent without ruling any out. */
    private static final Set<String> PREFERENCES = Set.of("location", "affinityKey", "unknown");

    /** Tasks of a group are interchangeable: a condition missing here would be ignored for all but the first task of a group. */
    @Test
    void everyConditionDistinguishesGroups() {
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
