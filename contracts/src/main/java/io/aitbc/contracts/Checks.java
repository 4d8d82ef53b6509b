package io.aitbc.contracts;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/** Validation shared by several messages. A check returns the value, or throws with a one-sentence message. */
final class Checks {
    private static final int MAX_LIST = 1_000;
    private static final int MAX_TEXT = 500;
    private static final int MAX_METRICS = 200;

    private Checks() {}

    static <T> T required(String field, @Nullable T value) {
        if (value == null) {
            throw new IllegalArgumentException(field + " is required");
        }
        return value;
    }

    static String text(String field, @Nullable String value) {
        if (value == null || value.isBlank()) {
            throw new IllegalArgumentException(field + " is required");
        }
        return boundedText(field, value);
    }

    static @Nullable String optionalText(String field, @Nullable String value) {
        return value == null ? null : boundedText(field, value);
    }

    private static String boundedText(String field, String value) {
        if (value.length() > MAX_TEXT) {
            throw new IllegalArgumentException(field + " must have at most " + MAX_TEXT + " characters");
        }
        return value;
    }

    static List<String> texts(String field, @Nullable List<String> values) {
        if (values == null) {
            return List.of();
        }
        if (values.size() > MAX_LIST) {
            throw new IllegalArgumentException(field + " must have at most " + MAX_LIST + " entries");
        }
        for (String value : values) {
            text("each entry of " + field, value);
        }
        return List.copyOf(values);
    }

    static int range(String field, int value, int min, int max) {
        if (value < min || value > max) {
            throw new IllegalArgumentException(field + " must be from " + min + " to " + max + " but was " + value);
        }
        return value;
    }

    static double range(String field, double value, double min, double max) {
        if (!(value >= min && value <= max)) {
            throw new IllegalArgumentException(field + " must be from " + min + " to " + max + " but was " + value);
        }
        return value;
    }

    static Map<String, Double> metrics(String field, Map<String, Double> metrics) {
        if (metrics.size() > MAX_METRICS) {
            throw new IllegalArgumentException(field + " must have at most " + MAX_METRICS + " entries");
        }
        metrics.forEach((name, value) -> {
            text("each name in " + field, name);
            if (value == null || !Double.isFinite(value) || value < 0 || value > 1e15) {
                throw new IllegalArgumentException(
                        field + "." + name + " must be a number from 0 to 1e15 but was " + value);
            }
        });
        return Map.copyOf(metrics);
    }

    static Map<String, JsonNode> unknown(@Nullable Map<String, JsonNode> fields) {
        return fields == null ? Map.of() : Map.copyOf(fields);
    }

    static String shortened(String value) {
        return value.length() <= 60 ? value : value.substring(0, 60) + "…";
    }
}
