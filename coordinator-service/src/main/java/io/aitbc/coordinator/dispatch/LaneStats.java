package io.aitbc.coordinator.dispatch;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.coordinator.match.BlockedGroup;
import io.aitbc.coordinator.match.KeptAgent;
import io.aitbc.coordinator.match.WaitingKey;
import io.aitbc.coordinator.match.WaitingLimit;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;

/**
 * Statistics of a coordinator's lane, published once a second and aggregated by every coordinator.
 *
 * @param partitions number of partitions owned
 * @param waiting number of tasks held that have no agent
 * @param yieldsTo the priority of tasks in other lanes for which agents are left free; null if there are none
 * @param oldest time since which the longest-waiting task has waited, by priority; absent where none waits
 * @param receivedPerSecond by priority, over the last ten seconds
 * @param assignedPerSecond by priority, over the last ten seconds
 * @param scheduled number of waiting tasks that are not due yet, by priority; absent where there are none
 * @param blocked the largest groups of waiting tasks that lack a free agent, at most {@value #MAX_BLOCKED}, see {@link #blockedGroups}
 * @param waitingKeys the fairness keys with the most waiting tasks, at most {@value #MAX_KEYS}; empty if no task has a key
 * @param waitingLimits the limits that keep most tasks back, at most {@value #MAX_LIMITS}
 * @param keptAgents the agents that are kept free for tasks that have waited long for resources
 * @param backlogFull whether it has no memory for more waiting tasks, so that it reads no further
 */
public record LaneStats(
        @JsonProperty("at") Instant at,
        @JsonProperty("partitions") int partitions,
        @JsonProperty("waiting") int waiting,
        @JsonProperty("yields_to") @Nullable Priority yieldsTo,
        @JsonProperty("oldest") Map<Priority, Instant> oldest,
        @JsonProperty("received_per_second") Map<Priority, Double> receivedPerSecond,
        @JsonProperty("assigned_per_second") Map<Priority, Double> assignedPerSecond,
        @JsonProperty("scheduled") Map<Priority, Integer> scheduled,

        @JsonProperty("blocked") @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable
        JsonNode blocked,

        @JsonProperty("waiting_keys") @JsonInclude(JsonInclude.Include.NON_EMPTY)
        List<WaitingKey> waitingKeys,

        @JsonProperty("waiting_limits") @JsonInclude(JsonInclude.Include.NON_EMPTY)
        List<WaitingLimit> waitingLimits,

        @JsonProperty("kept_agents") @JsonInclude(JsonInclude.Include.NON_EMPTY)
        List<KeptAgent> keptAgents,

        @JsonProperty("backlog_full") Boolean backlogFull) {
    static final int MAX_BLOCKED = 100;
    public static final int MAX_KEYS = 100;
    static final int MAX_LIMITS = 100;
    private static final Logger log = LoggerFactory.getLogger(LaneStats.class);

    public LaneStats {
        // Absent from an earlier version.
        waitingKeys = waitingKeys == null ? List.of() : waitingKeys;
        waitingLimits = waitingLimits == null ? List.of() : waitingLimits;
        keptAgents = keptAgents == null ? List.of() : keptAgents;
        scheduled = scheduled == null ? Map.of() : scheduled;
        backlogFull = Boolean.TRUE.equals(backlogFull);
    }

    /** The largest groups of waiting tasks that lack a free agent. Those that another version reports in another way are left out. */
    public List<BlockedGroup> blockedGroups() {
        List<BlockedGroup> groups = new ArrayList<>();
        if (blocked != null) {
            for (JsonNode one : blocked) {
                try {
                    groups.add(Json.MAPPER.treeToValue(one, BlockedGroup.class));
                } catch (JacksonException e) {
                    log.atDebug().log("Unreadable group of blocked tasks: {}", e.getMessage());
                }
            }
        }
        return groups;
    }

    /** What clients get: groups and keys have endpoints of their own. */
    public LaneStats withoutDetails() {
        return new LaneStats(
                at,
                partitions,
                waiting,
                yieldsTo,
                oldest,
                receivedPerSecond,
                assignedPerSecond,
                scheduled,
                null,
                List.of(),
                List.of(),
                List.of(),
                backlogFull);
    }
}
