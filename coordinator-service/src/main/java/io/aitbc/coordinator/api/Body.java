package io.aitbc.coordinator.api;

import io.aitbc.contracts.Json;
import java.util.ArrayList;
import java.util.List;
import tools.jackson.databind.JsonNode;

/**
 * Reads a request body and warns the client of unknown fields. Otherwise a misspelt {@code requirments}, after which any agent may get the
 * task, would go unnoticed. Unknown fields are not an error, because clients of other versions and implementations send more fields, unless
 * the caller sets {@code strict=true}.
 *
 * @param warnings one sentence per unknown field
 */
record Body<T>(T message, List<String> warnings) {
    private static final int MAX_NAMED = 20;

    /** @throws Json.MalformedMessageException if the body is malformed, or has unknown fields and the caller is strict */
    static <T> Body<T> read(JsonNode json, Class<T> type, boolean strict) {
        Json.Parsed<T> read = Json.readReportingUnknownFields(json, type);
        List<String> unknown = read.unknownFields();
        if (strict && !unknown.isEmpty()) {
            throw new Json.MalformedMessageException(
                    (unknown.size() == 1 ? "unknown field " : "unknown fields ") + String.join(", ", unknown));
        }
        return new Body<>(read.message(), warnings(unknown));
    }

    private static List<String> warnings(List<String> unknown) {
        List<String> warnings = new ArrayList<>();
        unknown.stream()
                .limit(MAX_NAMED)
                .forEach(field -> warnings.add(Json.sentence("unknown field " + field + " has no effect here")));
        if (unknown.size() > MAX_NAMED) {
            warnings.add((unknown.size() - MAX_NAMED) + " more unknown fields");
        }
        return warnings;
    }

    Body<T> withWarning(String warning) {
        List<String> more = new ArrayList<>(warnings);
        more.add(Json.sentence(warning));
        return new Body<>(message, more);
    }
}
