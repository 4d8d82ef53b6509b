package io.aitbc.coordinator.live;

import io.aitbc.contracts.Json;
import java.time.Instant;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** The newest of a topic, written once for all who want it. One thread publishes, any may read. */
final class Channel {
    /** Of the shape of messages; one that clients cannot read as before would have another. */
    static final int VERSION = 1;

    private final String topic;
    private volatile Edition newest = new Edition(0, null, null);
    /** What was published last; null while that is not known. */
    private @Nullable JsonNode before;

    private boolean unavailable;

    Channel(String topic) {
        this.topic = topic;
    }

    /**
     * @param number counts up from 1
     * @param whole for who knows nothing yet; null while nothing is known
     * @param change for who has the edition before; null where only the whole will do
     */
    record Edition(
            long number, @Nullable String whole, @Nullable String change) {}

    Edition newest() {
        return newest;
    }

    /** Whether nothing is known, or it is not known any more. */
    boolean isForgotten() {
        return newest.whole() == null || unavailable;
    }

    /** Says how things are; nothing new if they are as before. */
    void publish(JsonNode data, Instant at) {
        if (!data.equals(before)) {
            before = data;
            publish(data, null, at);
        }
    }

    /** Says how things are, and what of that is new. */
    void publish(JsonNode data, @Nullable JsonNode change, Instant at) {
        // Who has heard nothing but that it was not known has nothing that could change.
        boolean hasBase = !isForgotten();
        unavailable = false;
        long number = newest.number() + 1;
        newest = new Edition(
                number,
                message("whole", number, at).set("data", data).toString(),
                change == null || !hasBase
                        ? null
                        : message("change", number, at).set("data", change).toString());
    }

    /** Says that it is not known how things are; said once, until it is known again. */
    void unavailable(String why, Instant at) {
        if (!unavailable) {
            unavailable = true;
            before = null;
            long number = newest.number() + 1;
            newest = new Edition(
                    number,
                    message("unavailable", number, at).put("detail", why).toString(),
                    null);
        }
    }

    /** Forgets how things are, when nobody looks any more. */
    void forget() {
        unavailable = false;
        before = null;
        newest = new Edition(newest.number(), null, null);
    }

    private ObjectNode message(String kind, long number, Instant at) {
        ObjectNode message = Json.object()
                .put("v", VERSION)
                .put("topic", topic)
                .put("kind", kind)
                .put("number", number);
        message.set("at", Json.tree(at));
        return message;
    }
}
