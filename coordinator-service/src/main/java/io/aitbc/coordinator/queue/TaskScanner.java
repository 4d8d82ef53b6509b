package io.aitbc.coordinator.queue;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Requirements;
import java.nio.ByteBuffer;
import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/**
 * Reads the fields of a task that determine its turn, and only checks the syntax of the others: a million records are to be read within seconds.
 * Requirements are mostly equal, byte by byte, to those of an earlier task, and are then not parsed. Owned by one thread.
 */
final class TaskScanner {
    /** Then the cache starts over. */
    private static final int MAX_CACHED = 10_000;

    private static final int MAX_CACHED_BYTES = 1_024;

    private final Map<ByteBuffer, Requirements> cache = new HashMap<>();

    /** The fields; a null time was absent. */
    record Scanned(
            String taskId,
            Requirements requirements,
            @Nullable Instant notBefore,
            @Nullable Instant expiresAt,
            @Nullable Instant submittedAt) {}

    /** Returns null if the task has to be parsed in full: it is invalid, or has a form that is unusual. */
    @Nullable
    Scanned scan(byte[] json) {
        try (JsonParser parser = Json.MAPPER.createParser(json)) {
            return parser.nextToken() == JsonToken.START_OBJECT ? scan(parser, json) : null;
        } catch (JacksonException | UnusualException e) {
            return null;
        }
    }

    private @Nullable Scanned scan(JsonParser parser, byte[] json) throws UnusualException {
        String taskId = null;
        Requirements requirements = Requirements.NONE;
        Instant notBefore = null;
        Instant expiresAt = null;
        Instant submittedAt = null;
        for (String field = parser.nextName(); field != null; field = parser.nextName()) {
            JsonToken value = parser.nextToken();
            switch (field) {
                case "task_id" -> taskId = value == JsonToken.VALUE_STRING ? parser.getString() : null;
                case "requirements" -> requirements = requirements(parser, json);
                case "not_before" -> notBefore = time(parser);
                case "expires_at" -> expiresAt = time(parser);
                case "submitted_at" -> submittedAt = time(parser);
                // It is one of the requirements.
                case "chain_id" -> expect(value == JsonToken.VALUE_NULL);
                default -> parser.skipChildren();
            }
        }
        expect(parser.currentToken() == JsonToken.END_OBJECT && parser.nextToken() == null);
        return taskId == null ? null : new Scanned(taskId, requirements, notBefore, expiresAt, submittedAt);
    }

    private Requirements requirements(JsonParser parser, byte[] json) throws UnusualException {
        if (parser.currentToken() == JsonToken.VALUE_NULL) {
            return Requirements.NONE;
        }
        expect(parser.currentToken() == JsonToken.START_OBJECT);
        int start = (int) parser.currentTokenLocation().getByteOffset();
        parser.skipChildren();
        int end = (int) parser.currentLocation().getByteOffset();
        // Offsets are unknown if the text is UTF-16 or UTF-32, which the parser detects.
        expect(start >= 0 && end >= start && end <= json.length);
        Requirements known = cache.get(ByteBuffer.wrap(json, start, end - start));
        if (known != null) {
            return known;
        }
        byte[] text = Arrays.copyOfRange(json, start, end);
        Requirements read;
        try {
            read = Json.read(text, Requirements.class);
        } catch (Json.MalformedMessageException e) {
            throw new UnusualException();
        }
        if (cache.size() >= MAX_CACHED) {
            cache.clear();
        }
        if (text.length <= MAX_CACHED_BYTES) {
            cache.put(ByteBuffer.wrap(text), read);
        }
        return read;
    }

    private static @Nullable Instant time(JsonParser parser) throws UnusualException {
        if (parser.currentToken() == JsonToken.VALUE_NULL) {
            return null;
        }
        expect(parser.currentToken() == JsonToken.VALUE_STRING);
        String text = parser.getString();
        Instant time = Json.canonicalTime(text);
        try {
            return time == null ? Instant.parse(text) : time;
        } catch (DateTimeParseException e) {
            throw new UnusualException();
        }
    }

    private static void expect(boolean usual) throws UnusualException {
        if (!usual) {
            throw new UnusualException();
        }
    }

    private static final class UnusualException extends Exception {
        UnusualException() {
            super(null, null, false, false);
        }
    }
}
