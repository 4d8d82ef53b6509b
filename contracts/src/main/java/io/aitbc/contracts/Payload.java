package io.aitbc.contracts;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ObjectNode;

/**
 * What a task is about: a JSON object, opaque to the coordinator. One that is only passed on is never parsed: it keeps the bytes it came
 * in. Thread-safe, as long as nobody changes the tree.
 */
public final class Payload {
    /** In UTF-8; null if it was made as a tree. */
    private final byte @Nullable [] json;
    /** Null until it is asked for. */
    private volatile @Nullable ObjectNode tree;

    private Payload(byte @Nullable [] json, @Nullable ObjectNode tree) {
        this.json = json;
        this.tree = tree;
    }

    public static Payload of(ObjectNode tree) {
        return new Payload(null, tree);
    }

    /** @param json a valid object in UTF-8, without duplicate names */
    static Payload of(byte[] json) {
        return new Payload(json, null);
    }

    public ObjectNode tree() {
        ObjectNode known = tree;
        if (known == null) {
            known = Json.read(bytes(), ObjectNode.class);
            tree = known;
        }
        return known;
    }

    /** In UTF-8, as it was received. */
    public byte[] bytes() {
        return json != null ? json : Json.bytes(tree());
    }

    @Override
    public boolean equals(@Nullable Object other) {
        return other instanceof Payload that
                && (json != null && Arrays.equals(json, that.json) || tree().equals(that.tree()));
    }

    @Override
    public int hashCode() {
        return tree().hashCode();
    }

    @Override
    public String toString() {
        return tree().toString();
    }
}
