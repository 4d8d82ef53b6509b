package io.aitbc.agentctl;

import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Priority;
import java.time.Duration;
import java.time.format.DateTimeParseException;
import java.util.Iterator;
import java.util.List;
import java.util.function.Function;
import java.util.stream.Stream;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Enumerated argument types with the same names as in JSON: parsers and shell completion candidates. */
final class ArgumentTypes {
    static final class Priorities extends Candidates {
        Priorities() {
            super(Stream.of(Priority.values()).map(Priority::wireName).toList());
        }
    }

    static final class Statuses extends Candidates {
        Statuses() {
            super(Stream.of(AgentStatus.values()).map(AgentStatus::wireName).toList());
        }
    }

    private ArgumentTypes() {}

    static <T> ITypeConverter<T> of(Function<String, T> parse) {
        return word -> {
            try {
                return parse.apply(word);
            } catch (IllegalArgumentException e) {
                throw new TypeConversionException(e.getMessage());
            }
        };
    }

    static Duration age(String word) {
        try {
            return word.endsWith("d") ? Duration.parse("P" + word) : Duration.parse("PT" + word);
        } catch (DateTimeParseException e) {
            throw new IllegalArgumentException("\"" + word + "\" is not a duration such as 90s, 15m, 12h or 7d", e);
        }
    }

    static Priority priority(String word) {
        try {
            return Priority.parse(word);
        } catch (Priority.InvalidPriorityException e) {
            throw new IllegalArgumentException(
                    e.getMessage() + " (one of " + String.join(", ", new Priorities().words) + ")");
        }
    }

    private abstract static class Candidates implements Iterable<String> {
        final List<String> words;

        Candidates(List<String> words) {
            this.words = words;
        }

        @Override
        public Iterator<String> iterator() {
            return words.iterator();
        }
    }
}
