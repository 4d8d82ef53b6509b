package io.aitbc.contracts;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonSubTypes;
import com.fasterxml.jackson.annotation.JsonTypeInfo;
import java.time.Instant;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Broadcast from one coordinator to all coordinators: the value on {@code coordinator.control}. */
@JsonTypeInfo(use = JsonTypeInfo.Id.NAME, property = "type")
@JsonSubTypes({
    @JsonSubTypes.Type(value = ControlMessage.ClearQueue.class, name = "clear_queue"),
    @JsonSubTypes.Type(value = ControlMessage.QueueCleared.class, name = "queue_cleared"),
    @JsonSubTypes.Type(value = ControlMessage.PauseQueue.class, name = "pause_queue"),
    @JsonSubTypes.Type(value = ControlMessage.SwitchStrategy.class, name = "switch_strategy"),
    @JsonSubTypes.Type(value = ControlMessage.SetFairnessWeight.class, name = "set_fairness_weight"),
    @JsonSubTypes.Type(value = ControlMessage.SetLimit.class, name = "set_limit"),
    @JsonSubTypes.Type(value = ControlMessage.NoteBudget.class, name = "note_budget"),
    @JsonSubTypes.Type(value = ControlMessage.Probe.class, name = "probe")
})
public sealed interface ControlMessage {

    /** The record key. The topic is compacted: only the last message per key is guaranteed to be retained. */
    String key();

    /**
     * Cancels the tasks that were in a queue when the command was issued.
     *
     * @param endOffsets partition → first offset that is not cleared
     */
    record ClearQueue(
            @JsonProperty("command_id") String commandId,
            @JsonProperty("priority") Priority priority,
            @JsonProperty("end_offsets") Map<Integer, Long> endOffsets,
            @JsonProperty("issued_at") Instant issuedAt)
            implements ControlMessage {
        public ClearQueue {
            Checks.required("command_id", commandId);
            Checks.required("priority", priority);
            Checks.required("end_offsets", endOffsets)
                    .forEach((partition, end) -> Checks.required("each entry of end_offsets", end));
        }

        @Override
        public String key() {
            return "clear." + priority.wireName();
        }
    }

    /** Reports that the owner of a partition has cancelled every task a {@link ClearQueue} covers there. */
    record QueueCleared(
            @JsonProperty("command_id") String commandId,
            @JsonProperty("priority") Priority priority,
            @JsonProperty("partition") Integer partition)
            implements ControlMessage {
        public QueueCleared {
            Checks.required("command_id", commandId);
            Checks.required("priority", priority);
            Checks.required("partition", partition);
        }

        @Override
        public String key() {
            return "cleared." + priority.wireName() + "." + partition;
        }
    }

    /**
     * Pauses or resumes assignment from a queue.
     *
     * @param commandId lets the sender recognise its own command when it is read back
     */
    record PauseQueue(
            @JsonProperty("command_id") String commandId,
            @JsonProperty("priority") Priority priority,
            @JsonProperty("paused") Boolean paused,
            @JsonProperty("issued_at") Instant issuedAt)
            implements ControlMessage {
        public PauseQueue {
            Checks.required("command_id", commandId);
            Checks.required("priority", priority);
            Checks.required("paused", paused);
        }

        @Override
        public String key() {
            return "pause." + priority.wireName();
        }
    }

    /** Switches every coordinator to this load-balancing strategy. */
    record SwitchStrategy(
            @JsonProperty("strategy") String strategy,
            @JsonProperty("issued_at") Instant issuedAt) implements ControlMessage {
        public SwitchStrategy {
            Checks.required("strategy", strategy);
        }

        @Override
        public String key() {
            return "strategy";
        }
    }

    /**
     * Sets the weight of a fairness key, which takes precedence over those of its tasks.
     *
     * @param commandId lets the sender recognise its own command when it is read back
     * @param weight 0.001 to 1,000; null: the weights of tasks apply again
     */
    record SetFairnessWeight(
            @JsonProperty("command_id") String commandId,
            @JsonProperty("fairness_key") String fairnessKey,
            @JsonProperty("weight") @Nullable Double weight,
            @JsonProperty("issued_at") Instant issuedAt)
            implements ControlMessage {
        public SetFairnessWeight {
            Checks.required("command_id", commandId);
            Ids.checkFairnessKey(Checks.required("fairness_key", fairnessKey));
            if (weight != null) {
                Checks.range("weight", weight, Task.MIN_FAIRNESS_WEIGHT, Task.MAX_FAIRNESS_WEIGHT);
            }
        }

        @Override
        public String key() {
            return "fairness_weight." + fairnessKey;
        }
    }

    /**
     * Defines a limit, or removes it.
     *
     * @param commandId lets the sender recognise its own command when it is read back
     * @param limit null: it is removed
     */
    record SetLimit(
            @JsonProperty("command_id") String commandId,
            @JsonProperty("name") String name,
            @JsonProperty("limit") @Nullable Limit limit,
            @JsonProperty("issued_at") Instant issuedAt)
            implements ControlMessage {
        public SetLimit {
            Checks.required("command_id", commandId);
            Limit.checkName(Checks.required("name", name));
            if (limit != null) {
                limit.check(name);
            }
        }

        @Override
        public String key() {
            return "limit." + name;
        }
    }

    /**
     * Notes an upper bound of what may be spent of a budget, before it is spent: if Redis is emptied, that much counts as spent.
     *
     * @param commandId lets the sender recognise its own command when it is read back
     * @param name of the limit, without {@code *}
     * @param period see {@link Limit.Budget#period}
     * @param units in this period, from its beginning
     */
    record NoteBudget(
            @JsonProperty("command_id") String commandId,
            @JsonProperty("name") String name,
            @JsonProperty("period") String period,
            @JsonProperty("units") Long units)
            implements ControlMessage {
        public NoteBudget {
            Checks.required("command_id", commandId);
            Checks.required("name", name);
            Checks.required("period", period);
            Checks.required("units", units);
        }

        @Override
        public String key() {
            return "budget." + name;
        }
    }

    /** A no-op: reading it back proves that Kafka accepts records and serves them. */
    record Probe(
            @JsonProperty("command_id") String commandId,
            @JsonProperty("issued_at") Instant issuedAt) implements ControlMessage {
        public Probe {
            Checks.required("command_id", commandId);
        }

        /** Shared by all coordinators, so that compaction retains a single record. */
        @Override
        public String key() {
            return "probe";
        }
    }
}
