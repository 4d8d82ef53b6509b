package io.aitbc.contracts;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/** Validation shared by several messages. A check returns the value, or throws with a one-sentence message. */
final class Checks {
    private static final int MAX_LIST = 1_000;
    private static final int MAX_TEXT = 500;
    private static final int MAX_METRICS = 200;
    private static final int MAX_NAMED = 16;
    private static final int MAX_LABEL = 256;
    static final long MAX_UNITS = 1_000_000_000_000L;
    /** Of limits that apply to a task although it does not name them. */
    private static final int MAX_APPLIED = 16;

    private static final Pattern NAME = Pattern.compile("[A-Za-z0-9._/:-]{1,100}");
    private static final Pattern LIMIT = Pattern.compile("[A-Za-z0-9._/:%-]{1,100}");
    /** A limit of a fairness key, in percent encoding. */
    private static final Pattern COMPLETED_LIMIT = Pattern.compile("[A-Za-z0-9._/:%-]{1,1000}");

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

    static Map<String, String> labels(@Nullable Map<String, String> labels) {
        for (Map.Entry<String, String> label : named("labels", labels).entrySet()) {
            String value = required("labels." + label.getKey(), label.getValue());
            if (value.length() > MAX_LABEL || value.codePoints().anyMatch(Ids::isUnprintable)) {
                throw new IllegalArgumentException("labels." + label.getKey() + " must have at most " + MAX_LABEL
                        + " characters, none of them a control character");
            }
        }
        return copy(labels);
    }

    static Map<String, Long> uses(@Nullable Map<String, Long> uses) {
        return units("uses", uses, LIMIT, MAX_NAMED, 1);
    }

    /** Of a task, with limits that apply to it. */
    static Map<String, Long> allUses(@Nullable Map<String, Long> uses) {
        return units("uses", uses, COMPLETED_LIMIT, MAX_NAMED + MAX_APPLIED, 1);
    }

    static Map<String, Long> usage(@Nullable Map<String, Long> usage) {
        return units("usage", usage, COMPLETED_LIMIT, MAX_NAMED + MAX_APPLIED, 0);
    }

    private static Map<String, Long> units(
            String field, @Nullable Map<String, Long> units, Pattern name, int most, long least) {
        if (units == null) {
            return Map.of();
        }
        if (units.size() > most) {
            throw new IllegalArgumentException(field + " must have at most " + most + " entries");
        }
        for (Map.Entry<String, Long> one : units.entrySet()) {
            if (!name.matcher(one.getKey()).matches()) {
                throw new IllegalArgumentException("each name in " + field
                        + " must be 1 to 100 characters of A-Z a-z 0-9 . _ / : % - but one was \""
                        + shortened(one.getKey())
                        + "\"");
            }
            long value = required(field + "." + one.getKey(), one.getValue());
            if (value < least || value > MAX_UNITS) {
                throw new IllegalArgumentException(field + "." + one.getKey() + " must be from " + least + " to "
                        + MAX_UNITS + " but was " + value);
            }
        }
        return copy(units);
    }

    /** Checks the number of entries, and their names. */
    static <T> Map<String, T> named(String field, @Nullable Map<String, T> values) {
        if (values == null) {
            return Map.of();
        }
        if (values.size() > MAX_NAMED) {
            throw new IllegalArgumentException(field + " must have at most " + MAX_NAMED + " entries");
        }
        for (String name : values.keySet()) {
            if (!NAME.matcher(name).matches()) {
                throw new IllegalArgumentException("each name in " + field
                        + " must be 1 to 100 characters of A-Z a-z 0-9 . _ / : - but one was \"" + shortened(name)
                        + "\"");
            }
        }
        return values;
    }

    /** In the order given, which JSON preserves. */
    static <T> Map<String, T> copy(@Nullable Map<String, T> values) {
        return values == null || values.isEmpty() ? Map.of() : Collections.unmodifiableMap(new LinkedHashMap<>(values));
    }

    static Map<String, JsonNode> unknown(@Nullable Map<String, JsonNode> fields) {
        return fields == null ? Map.of() : Map.copyOf(fields);
    }

    static String shortened(String value) {
        return value.length() <= 60 ? value : value.substring(0, 60) + "…";
    }
}
