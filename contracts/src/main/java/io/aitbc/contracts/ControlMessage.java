package io.aitbc.contracts;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonSubTypes;
import com.fasterxml.jackson.annotation.JsonTypeInfo;
import java.time.Instant;
import java.util.Map;

/** What one coordinator tells all others: the value on {@code coordinator.control}. */
@JsonTypeInfo(use = JsonTypeInfo.Id.NAME, property = "type")
@JsonSubTypes({
    @JsonSubTypes.Type(value = ControlMessage.ClearQueue.class, name = "clear_queue"),
    @JsonSubTypes.Type(value = ControlMessage.QueueCleared.class, name = "queue_cleared"),
    @JsonSubTypes.Type(value = ControlMessage.PauseQueue.class, name = "pause_queue"),
    @JsonSubTypes.Type(value = ControlMessage.SwitchStrategy.class, name = "switch_strategy"),
    @JsonSubTypes.Type(value = ControlMessage.Probe.class, name = "probe")
})
public sealed interface ControlMessage {

    /** The record key. The topic is compacted: of messages with one key only the last is sure to stay. */
    String key();

    /**
     * Cancel what was in a queue when this was asked.
     *
     * @param endOffsets partition → first offset that is no longer meant
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
                    .forEach((partition, end) -> Checks.required("each of end_offsets", end));
        }

        @Override
        public String key() {
            return "clear." + priority.wireName();
        }
    }

    /** The owner of a partition has cancelled all that a {@link ClearQueue} meant there. */
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
     * From now on nothing of a queue is assigned, or it is again.
     *
     * @param commandId so that whoever asked knows when it has come round
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

    /** From now on every coordinator balances by this strategy. */
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

    /** Asks for nothing: that it comes round proves that Kafka takes records, and that they can be read. */
    record Probe(
            @JsonProperty("command_id") String commandId,
            @JsonProperty("issued_at") Instant issuedAt) implements ControlMessage {
        public Probe {
            Checks.required("command_id", commandId);
        }

        /** The same for all coordinators, so that compaction leaves one. */
        @Override
        public String key() {
            return "probe";
        }
    }
}
