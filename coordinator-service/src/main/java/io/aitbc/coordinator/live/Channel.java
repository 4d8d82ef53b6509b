package io.aitbc.coordinator.live;

import io.aitbc.contracts.Json;
import java.time.Instant;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** The latest message of a topic, serialized once for all subscribers. One thread publishes; any thread may read. */
final class Channel {
    /** Version of the message format; an incompatible change gets a new one. */
    static final int VERSION = 1;

    private final String topic;
    private volatile Revision newest = new Revision(0, null, null);
    /** The last data published; null while unknown. */
    private @Nullable JsonNode lastData;

    private boolean unavailable;

    Channel(String topic) {
        this.topic = topic;
    }

    /**
     * @param number counts up from 1
     * @param whole message for new subscribers; null while the data is unknown
     * @param change message for subscribers that have the previous revision; null if they need the whole
     */
    record Revision(
            long number, @Nullable String whole, @Nullable String change) {}

    Revision newest() {
        return newest;
    }

    /** Whether the data is unknown, or no longer known. */
    boolean isUnknown() {
        return newest.whole() == null || unavailable;
    }

    /** Publishes the current data; does nothing if it is unchanged. */
    void publish(JsonNode data, Instant at) {
        if (!data.equals(lastData)) {
            lastData = data;
            publish(data, null, at);
        }
    }

    /** Publishes the current data and the change since the last revision. */
    void publish(JsonNode data, @Nullable JsonNode change, Instant at) {
        // Subscribers that were notified of unavailability have no base for a change.
        boolean hasBase = !isUnknown();
        unavailable = false;
        long number = newest.number() + 1;
        newest = new Revision(
                number,
                message("whole", number, at).set("data", data).toString(),
                change == null || !hasBase
                        ? null
                        : message("change", number, at).set("data", change).toString());
    }

    /** Announces that the data is unavailable; once, until it is available again. */
    void unavailable(String why, Instant at) {
        if (!unavailable) {
            unavailable = true;
            lastData = null;
            long number = newest.number() + 1;
            newest = new Revision(
                    number,
                    message("unavailable", number, at).put("detail", why).toString(),
                    null);
        }
    }

    /** Drops the data when nobody subscribes any more. */
    void forget() {
        unavailable = false;
        lastData = null;
        newest = new Revision(newest.number(), null, null);
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
