package io.aitbc.coordinator.api;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.TaskStatus;
import io.aitbc.coordinator.history.TaskFilter;
import io.aitbc.coordinator.security.Caller;
import java.time.Duration;
import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.convert.DurationStyle;
import org.springframework.security.access.AccessDeniedException;
import org.springframework.util.LinkedMultiValueMap;
import org.springframework.util.MultiValueMap;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Reads the query parameters of {@code GET /tasks}. A parameter that is unknown is refused: a misspelt filter that is ignored would find everything.
 */
final class TaskQuery {
    private static final String LABEL = "label.";
    private static final int MAX_LENGTH = 1_000;

    private final MultiValueMap<String, String> parameters;
    private final Set<String> known = new HashSet<>();

    private TaskQuery(MultiValueMap<String, String> parameters) {
        this.parameters = parameters;
    }

    /** The filter of a bulk operation: an object with the same names, whose values are texts, or lists of them. */
    static TaskFilter filter(ObjectNode json, Caller caller) {
        MultiValueMap<String, String> parameters = new LinkedMultiValueMap<>();
        json.properties().forEach(entry -> {
            List<JsonNode> values =
                    entry.getValue().isArray() ? entry.getValue().valueStream().toList() : List.of(entry.getValue());
            for (JsonNode value : values) {
                if (!value.isString()) {
                    throw Problems.unprocessable(
                            "filter." + Json.sentence(entry.getKey()) + " must be a text, or a list of texts");
                }
                parameters.add(entry.getKey(), value.asString());
            }
        });
        return filter(parameters, Set.of(), caller);
    }

    /** @param others parameters that are not part of the filter */
    static TaskFilter filter(MultiValueMap<String, String> parameters, Set<String> others, Caller caller) {
        TaskQuery query = new TaskQuery(parameters);
        query.known.addAll(others);
        TaskFilter filter = new TaskFilter(
                query.list("status", TaskQuery::status),
                query.list("priority", Priority::parse),
                query.text("agent_id"),
                query.text("agent_type"),
                query.text("capability"),
                query.text("task_type"),
                scope(query.text("fairness_key"), caller),
                query.labels(),
                query.time("submitted_after"),
                query.time("submitted_before"),
                query.time("finished_after"),
                query.time("finished_before"),
                query.duration("min_duration"),
                query.list("reason", TaskQuery::reason),
                query.text("error"),
                query.text("id"));
        query.requireKnown();
        if (caller.isScoped() && filter.agentId() != null) {
            throw new AccessDeniedException("this credential may not search by agent");
        }
        return filter;
    }

    private static @Nullable String scope(@Nullable String asked, Caller caller) {
        if (caller.fairnessKey() == null) {
            return asked;
        }
        if (asked != null && !asked.equals(caller.fairnessKey())) {
            throw new AccessDeniedException("this credential is for another fairness_key");
        }
        return caller.fairnessKey();
    }

    private void requireKnown() {
        for (String name : parameters.keySet()) {
            if (!known.contains(name) && !name.startsWith(LABEL)) {
                throw Problems.unprocessable("unknown parameter " + Json.sentence(name));
            }
        }
    }

    private @Nullable String text(String name) {
        known.add(name);
        List<String> values = parameters.getOrDefault(name, List.of());
        if (values.size() > 1) {
            throw Problems.unprocessable(name + " must be given once");
        }
        return values.isEmpty() || values.get(0).isEmpty() ? null : checked(name, values.get(0));
    }

    private static String checked(String name, String value) {
        if (value.length() > MAX_LENGTH || value.indexOf('\0') >= 0) {
            throw Problems.unprocessable(
                    name + " must have at most " + MAX_LENGTH + " characters, and none of them NUL");
        }
        return value;
    }

    private <T> List<T> list(String name, Function<String, T> parse) {
        known.add(name);
        return parameters.getOrDefault(name, List.of()).stream()
                .flatMap(value -> Stream.of(value.split(",")))
                .map(String::trim)
                .filter(value -> !value.isEmpty())
                .map(parse)
                .distinct()
                .toList();
    }

    private static TaskStatus status(String text) {
        return Arrays.stream(TaskStatus.values())
                .filter(status -> status.wireName().equals(text.toLowerCase(Locale.ROOT)))
                .findFirst()
                .orElseThrow(() -> Problems.unprocessable("status must be one of "
                        + Arrays.stream(TaskStatus.values())
                                .map(TaskStatus::wireName)
                                .collect(Collectors.joining(", "))));
    }

    private static String reason(String text) {
        String reason = text.toLowerCase(Locale.ROOT);
        if (!TaskFilter.REASONS.contains(reason)) {
            throw Problems.unprocessable("reason must be one of " + String.join(", ", TaskFilter.REASONS));
        }
        return reason;
    }

    private Map<String, String> labels() {
        Map<String, String> labels = new TreeMap<>();
        parameters.forEach((name, values) -> {
            if (name.startsWith(LABEL)) {
                if (values.size() > 1) {
                    throw Problems.unprocessable(Json.sentence(name) + " must be given once");
                }
                labels.put(checked(name, name.substring(LABEL.length())), checked(name, values.get(0)));
            }
        });
        return labels;
    }

    private @Nullable Instant time(String name) {
        String text = text(name);
        if (text == null) {
            return null;
        }
        try {
            Instant time = Instant.parse(text);
            if (time.getEpochSecond() < Instant.parse("0001-01-01T00:00:00Z").getEpochSecond()
                    || time.getEpochSecond()
                            > Instant.parse("9999-12-31T00:00:00Z").getEpochSecond()) {
                throw Problems.unprocessable(name + " must be in the years 1 to 9999");
            }
            return time;
        } catch (DateTimeParseException e) {
            throw Problems.unprocessable(name + " must be a time such as 2026-01-31T12:00:00Z");
        }
    }

    private @Nullable Duration duration(String name) {
        String text = text(name);
        if (text == null) {
            return null;
        }
        try {
            Duration duration = DurationStyle.detectAndParse(text, java.time.temporal.ChronoUnit.SECONDS);
            if (duration.isNegative() || duration.toDays() > 36_500) {
                throw Problems.unprocessable(name + " must be from 0s to 100 years");
            }
            return duration;
        } catch (IllegalArgumentException | ArithmeticException e) {
            throw Problems.unprocessable(name + " must be a duration such as 90s or 5m");
        }
    }
}
