package io.aitbc.coordinator.queue;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Requirements;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Finds the fields of a task that determine its turn, in one pass: a million records are to be read within seconds, and a JSON parser takes
 * several times as long as this, see {@code docs/rationale.md}. It only skips the other fields, which a parser reads before the task is
 * assigned. Requirements are mostly equal, character by character, to those of an earlier task. What has an unusual form, such as an
 * escaped name, is left to the parser. Owned by one thread.
 */
final class TaskScanner {
    /** Then the cache starts over. */
    private static final int MAX_CACHED = 10_000;

    private static final int MAX_CACHED_LENGTH = 1_024;

    private final Map<String, Requirements> cache = new HashMap<>();
    /** The requirements of the last task, and how they were written. */
    private String lastText = "null";

    private Requirements last = Requirements.NONE;
    private String lastKey = "";

    /** One character per byte (Latin-1): JSON's structure is ASCII, and a string is searched faster than an array. */
    private String json = "";
    /** Index of the next character. */
    private int at;

    /** The fields; a null time and an empty key were absent. */
    record Scanned(
            String taskId,
            Requirements requirements,
            Set<String> uses,
            String fairnessKey,
            @Nullable Instant notBefore,
            @Nullable Instant expiresAt,
            @Nullable Instant submittedAt) {}

    /** Returns null if the task has to be parsed in full: it is invalid, or has a form that is unusual. */
    @Nullable
    Scanned scan(byte[] task) {
        json = new String(task, StandardCharsets.ISO_8859_1);
        at = 0;
        try {
            return scan();
        } catch (UnusualException e) {
            return null;
        }
    }

    private @Nullable Scanned scan() throws UnusualException {
        String taskId = null;
        Requirements requirements = Requirements.NONE;
        Set<String> uses = Set.of();
        String fairnessKey = "";
        Instant notBefore = null;
        Instant expiresAt = null;
        Instant submittedAt = null;
        take('{');
        do {
            skipSpace();
            int name = at + 1;
            skipString();
            int nameEnd = at - 1;
            take(':');
            skipSpace();
            int start = at;
            skipValue();
            switch (json.substring(name, nameEnd)) {
                case "task_id" -> taskId = string(start);
                case "requirements" -> requirements = requirements(start);
                case "uses" -> uses = uses(start);
                case "fairness_key" -> fairnessKey = fairnessKey(start);
                case "not_before" -> notBefore = time(start);
                case "expires_at" -> expiresAt = time(start);
                case "submitted_at" -> submittedAt = time(start);
                // It is one of the requirements.
                case "chain_id" -> expect(isNull(start));
                default -> expectPlain(name, nameEnd);
            }
            skipSpace();
        } while (takeIf(','));
        take('}');
        skipSpace();
        expect(at == json.length());
        return taskId == null
                ? null
                : new Scanned(taskId, requirements, uses, fairnessKey, notBefore, expiresAt, submittedAt);
    }

    // The value that ends before the next character

    private boolean isNull(int start) {
        return at - start == 4 && json.startsWith("null", start);
    }

    /** A string of ASCII without escapes. */
    private String string(int start) throws UnusualException {
        expect(json.charAt(start) == '"');
        expectPlain(start + 1, at - 1);
        return json.substring(start + 1, at - 1);
    }

    private void expectPlain(int start, int end) throws UnusualException {
        for (int i = start; i < end; i++) {
            expect(json.charAt(i) != '\\' && json.charAt(i) < 0x80);
        }
    }

    private String fairnessKey(int start) throws UnusualException {
        if (isNull(start)) {
            return "";
        }
        if (at - start != lastKey.length() + 2 || !json.startsWith(lastKey, start + 1)) {
            lastKey = string(start);
        }
        return lastKey;
    }

    /** The names in an object of numbers. */
    private Set<String> uses(int start) throws UnusualException {
        if (isNull(start)) {
            return Set.of();
        }
        int end = at;
        Set<String> names = new LinkedHashSet<>();
        at = start;
        take('{');
        skipSpace();
        if (current() != '}') {
            do {
                skipSpace();
                int name = at;
                skipString();
                names.add(string(name));
                take(':');
                skipSpace();
                skipLiteral();
                skipSpace();
            } while (takeIf(','));
        }
        take('}');
        expect(at == end);
        return names;
    }

    private @Nullable Instant time(int start) throws UnusualException {
        if (isNull(start)) {
            return null;
        }
        String text = string(start);
        Instant time = Json.canonicalTime(text);
        try {
            return time == null ? Instant.parse(text) : time;
        } catch (DateTimeParseException e) {
            throw new UnusualException();
        }
    }

    private Requirements requirements(int start) throws UnusualException {
        if (at - start == lastText.length() && json.startsWith(lastText, start)) {
            return last;
        }
        String text = json.substring(start, at);
        Requirements requirements = cache.get(text);
        if (requirements == null) {
            requirements = isNull(start) ? Requirements.NONE : parsed(text);
            if (cache.size() >= MAX_CACHED) {
                cache.clear();
            }
            if (text.length() <= MAX_CACHED_LENGTH) {
                cache.put(text, requirements);
            }
        }
        lastText = text;
        last = requirements;
        return requirements;
    }

    private static Requirements parsed(String text) throws UnusualException {
        try {
            return Json.read(text.getBytes(StandardCharsets.ISO_8859_1), Requirements.class);
        } catch (Json.MalformedMessageException e) {
            throw new UnusualException();
        }
    }

    // Steps

    private void skipValue() throws UnusualException {
        switch (current()) {
            case '"' -> skipString();
            case '{', '[' -> skipNested();
            default -> skipLiteral();
        }
    }

    private void skipNested() throws UnusualException {
        int depth = 0;
        do {
            switch (current()) {
                case '"' -> {
                    skipString();
                    continue;
                }
                case '{', '[' -> depth++;
                case '}', ']' -> depth--;
                default -> {}
            }
            at++;
        } while (depth > 0);
    }

    private void skipString() throws UnusualException {
        expect(current() == '"');
        do {
            at = json.indexOf('"', at + 1);
            expect(at > 0);
        } while (isEscaped(at));
        at++;
    }

    /** Whether an odd number of backslashes precedes. */
    private boolean isEscaped(int quote) {
        int first = quote;
        while (json.charAt(first - 1) == '\\') {
            first--;
        }
        return (quote - first) % 2 != 0;
    }

    /** A number, true, false or null. */
    private void skipLiteral() throws UnusualException {
        int start = at;
        while (isLiteral(current())) {
            at++;
        }
        expect(at > start);
    }

    private static boolean isLiteral(char next) {
        return next >= 'a' && next <= 'z'
                || next >= '0' && next <= '9'
                || next == '-'
                || next == '+'
                || next == '.'
                || next == 'E';
    }

    private void skipSpace() {
        while (at < json.length() && isSpace(json.charAt(at))) {
            at++;
        }
    }

    private static boolean isSpace(char next) {
        return next == ' ' || next == '\n' || next == '\r' || next == '\t';
    }

    private void take(char expected) throws UnusualException {
        skipSpace();
        expect(takeIf(expected));
    }

    private boolean takeIf(char expected) {
        boolean is = at < json.length() && json.charAt(at) == expected;
        at += is ? 1 : 0;
        return is;
    }

    private char current() throws UnusualException {
        expect(at < json.length());
        return json.charAt(at);
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
