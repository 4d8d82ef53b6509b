package io.aitbc.agentctl.conformance;

import java.util.Arrays;
import java.util.Iterator;
import java.util.Locale;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** What is checked, in this order. */
public enum Check {
    /** It registers, and completes a task. */
    COMPLETES,
    /** It ignores fields and messages that it does not know. */
    UNKNOWN_FIELDS,
    /** A task that it cannot do is reported, and the next one completes. */
    BAD_ASSIGNMENT,
    /** An assignment that is delivered again is not run again. */
    REPEATED_ASSIGNMENT,
    /** A cancelled task is not completed. */
    CANCELLATION,
    /** It runs no more tasks at once than its capacity. */
    CAPACITY,
    /** It sends heartbeats while it is busy. */
    HEARTBEATS,
    /** Over Kafka: it commits an offset only once the assignment is reported. */
    COMMIT,
    /** Over Kafka: its report repeats the signature of the assignment. */
    SIGNATURE,
    /** It reports or gives back its tasks when it is stopped. */
    SIGTERM;

    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    /** As on the command line. */
    static final class Names implements ITypeConverter<Check>, Iterable<String> {
        @Override
        public Check convert(String word) {
            return Arrays.stream(values())
                    .filter(check -> check.toString().equalsIgnoreCase(word))
                    .findFirst()
                    .orElseThrow(() -> new TypeConversionException(
                            "\"" + word + "\" is no check (one of " + String.join(", ", this) + ")"));
        }

        @Override
        public Iterator<String> iterator() {
            return Arrays.stream(values()).map(Check::toString).iterator();
        }
    }

    /** The outcome of a check. */
    enum Verdict {
        PASSED,
        FAILED,
        SKIPPED;

        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** @param what one sentence; empty if it passed without a remark */
    record Finding(Check check, Verdict verdict, String what) {}
}
