package io.aitbc.coordinator.dispatch;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.aitbc.contracts.Priority;
import java.time.Instant;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What a coordinator says of its lane, once a second, for all others to add up.
 *
 * @param partitions how many partitions it owns
 * @param waiting how many tasks it holds that no agent has
 * @param yieldsTo the priority of tasks in other lanes to which agents are left; null when there are none
 * @param oldest since when the longest waiting task of each priority has waited; absent where none waits
 * @param receivedPerSecond by priority, an average over about the last ten seconds
 * @param assignedPerSecond likewise
 * @param scheduled how many of those that wait do so for a time that is still to come; absent where none does
 */
public record LaneFigures(
        @JsonProperty("at") Instant at,
        @JsonProperty("partitions") int partitions,
        @JsonProperty("waiting") int waiting,
        @JsonProperty("yields_to") @Nullable Priority yieldsTo,
        @JsonProperty("oldest") Map<Priority, Instant> oldest,
        @JsonProperty("received_per_second") Map<Priority, Double> receivedPerSecond,
        @JsonProperty("assigned_per_second") Map<Priority, Double> assignedPerSecond,
        @JsonProperty("scheduled") Map<Priority, Integer> scheduled) {
    public LaneFigures {
        // A coordinator of an earlier version does not tell.
        scheduled = scheduled == null ? Map.of() : scheduled;
    }
}
