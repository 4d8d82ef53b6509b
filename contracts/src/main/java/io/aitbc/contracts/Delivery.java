package io.aitbc.contracts;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonValue;
import java.util.Locale;

/** How an agent receives its assignments. */
public enum Delivery {
    /** From its own topic, {@link Topics#assignments}. */
    KAFKA,
    /** It claims them over HTTP. They are stored in {@link Topics#sharedAssignments}. */
    PULL,
    /** A coordinator posts them to its {@link Registration#httpEndpoint}. They are stored in {@link Topics#sharedAssignments}. */
    PUSH;

    /** Whether its agents have no topic of their own. */
    public boolean isShared() {
        return this != KAFKA;
    }

    @JsonValue
    public String wireName() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** @throws IllegalArgumentException naming the known deliveries */
    @JsonCreator
    public static Delivery parse(String text) {
        for (Delivery delivery : values()) {
            if (delivery.wireName().equals(text)) {
                return delivery;
            }
        }
        throw new IllegalArgumentException("Invalid delivery: " + text + " (one of kafka, pull, push)");
    }
}
