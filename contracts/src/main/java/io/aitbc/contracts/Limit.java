package io.aitbc.contracts;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonValue;
import java.time.DateTimeException;
import java.time.Instant;
import java.time.LocalDate;
import java.time.ZoneId;
import java.util.Locale;
import java.util.Objects;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A limit on what attempts use together, in the whole cluster. If it has several parts, an attempt must satisfy each of them. Example: {@code
 * {"concurrency": 8, "rate": {"units": 100, "per_seconds": 60, "burst": 20}}}.
 *
 * @param concurrency units that live attempts may hold at the same time, 0 to 10<sup>12</sup>; 0 holds all tasks back
 * @param rate how many units may be granted over time
 * @param budget how many units may be spent in a calendar period
 * @param appliesTo tasks that use one unit of it, whether they name it or not
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record Limit(
        @JsonProperty("concurrency") @Nullable Long concurrency,
        @JsonProperty("rate") @Nullable Rate rate,
        @JsonProperty("budget") @Nullable Budget budget,
        @JsonProperty("applies_to") @Nullable AppliesTo appliesTo) {
    /** In {@link AppliesTo}, of a limit whose name ends in the same: any value, each with a limit of its own. */
    public static final String ANY = "*";

    private static final Pattern NAME = Pattern.compile("[A-Za-z0-9._/:%-]{1,99}[*]?|[A-Za-z0-9._/:%-]{100}");

    public Limit {
        if (concurrency == null && rate == null && budget == null) {
            throw new IllegalArgumentException("a limit needs a concurrency, a rate or a budget");
        }
        if (concurrency != null) {
            checkUnits("concurrency", concurrency, 0);
        }
    }

    /** @throws IllegalArgumentException unless it is a name that a limit may have; the last character may be {@code *} */
    public static String checkName(String name) {
        if (!NAME.matcher(name).matches()) {
            throw new IllegalArgumentException(
                    "the name of a limit must be 1 to 100 characters of A-Z a-z 0-9 . _ / : % - and may end in *, but was \""
                            + Checks.shortened(name) + "\"");
        }
        return name;
    }

    /**
     * Checks that a limit fits its name.
     *
     * @throws IllegalArgumentException if {@code applies_to} does not say which of many limits a task uses
     */
    public void check(String name) {
        checkName(name);
        if (appliesTo == null) {
            return;
        }
        long wildcards = appliesTo.values().filter(ANY::equals).count();
        if (isFamily(name) && wildcards != 1) {
            throw new IllegalArgumentException(
                    "applies_to of a limit whose name ends in * must have one * of its own, whose value completes the name");
        }
        if (!isFamily(name) && wildcards > 0) {
            throw new IllegalArgumentException("applies_to may have * only if the name of the limit ends in *");
        }
        if (ANY.equals(appliesTo.capability)) {
            throw new IllegalArgumentException("applies_to.capability must name one: a task may require several");
        }
    }

    /** Whether each matching name has a limit of its own. */
    public static boolean isFamily(String name) {
        return name.endsWith(ANY);
    }

    private static void checkUnits(String field, @Nullable Long units, long least) {
        if (units == null || units < least || units > Checks.MAX_UNITS) {
            throw new IllegalArgumentException(
                    field + " must be a whole number from " + least + " to " + Checks.MAX_UNITS + " but was " + units);
        }
    }

    /**
     * In any interval t, at most {@code burst} + {@code units} × t / {@code per_seconds} units are granted.
     *
     * @param units 1 to 10<sup>12</sup>
     * @param perSeconds 0.001 to 31,622,400, a year
     * @param burst units that may be granted at once after a pause, 1 to 10<sup>12</sup>; 1 when absent. An attempt can use no more
     */
    public record Rate(
            @JsonProperty("units") Long units,
            @JsonProperty("per_seconds") Double perSeconds,
            @JsonProperty("burst") Long burst) {
        private static final double MAX_SECONDS = 31_622_400;

        public Rate {
            checkUnits("rate.units", units, 1);
            Checks.range("rate.per_seconds", Checks.required("rate.per_seconds", perSeconds), 0.001, MAX_SECONDS);
            burst = Objects.requireNonNullElse(burst, 1L);
            checkUnits("rate.burst", burst, 1);
        }

        /** Microseconds that it takes until one more unit may be granted. */
        public double intervalMicros() {
            return perSeconds * 1_000_000 / units;
        }
    }

    /**
     * Units that may be spent in a calendar period.
     *
     * @param units 1 to 10<sup>12</sup>
     * @param timeZone in which the period begins, such as {@code Europe/Amsterdam}; UTC when absent
     */
    public record Budget(
            @JsonProperty("units") Long units,
            @JsonProperty("per") Period per,
            @JsonProperty("time_zone") String timeZone) {
        public Budget {
            checkUnits("budget.units", units, 1);
            Checks.required("budget.per", per);
            timeZone = Objects.requireNonNullElse(timeZone, "UTC");
            try {
                ZoneId.of(timeZone);
            } catch (DateTimeException e) {
                throw new IllegalArgumentException(
                        "budget.time_zone must be a time zone such as Europe/Amsterdam but was \""
                                + Checks.shortened(timeZone) + "\"");
            }
        }

        /** The period of a time, as text: {@code 2026-11-29} or {@code 2026-11}. Later periods are later in alphabetical order. */
        public String period(Instant time) {
            String day = LocalDate.ofInstant(time, ZoneId.of(timeZone)).toString();
            return per == Period.DAY ? day : day.substring(0, day.lastIndexOf('-'));
        }

        /** When the period of a time ends. */
        public Instant end(Instant time) {
            LocalDate day = LocalDate.ofInstant(time, ZoneId.of(timeZone));
            LocalDate next =
                    per == Period.DAY ? day.plusDays(1) : day.withDayOfMonth(1).plusMonths(1);
            return next.atStartOfDay(ZoneId.of(timeZone)).toInstant();
        }
    }

    /** A calendar period. */
    public enum Period {
        DAY,
        MONTH;

        @JsonValue
        public String wireName() {
            return name().toLowerCase(Locale.ROOT);
        }

        @JsonCreator
        public static Period parse(String text) {
            for (Period period : values()) {
                if (period.wireName().equals(text)) {
                    return period;
                }
            }
            throw new IllegalArgumentException(
                    "budget.per must be day or month but was \"" + Checks.shortened(text) + "\"");
        }
    }

    /**
     * Conditions on tasks, all of which must hold. {@link #ANY} stands for any value, which completes the name of the limit.
     *
     * @param capability that the task requires, without a version
     * @param agentType that the task requires
     * @param taskType {@code task_type} in the task's data
     * @param fairnessKey of the task
     */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record AppliesTo(
            @JsonProperty("capability") @Nullable String capability,
            @JsonProperty("agent_type") @Nullable String agentType,
            @JsonProperty("task_type") @Nullable String taskType,
            @JsonProperty("fairness_key") @Nullable String fairnessKey) {
        public AppliesTo {
            capability = Checks.optionalText("applies_to.capability", capability);
            agentType = Checks.optionalText("applies_to.agent_type", agentType);
            taskType = Checks.optionalText("applies_to.task_type", taskType);
            fairnessKey = Checks.optionalText("applies_to.fairness_key", fairnessKey);
            if (Stream.of(capability, agentType, taskType, fairnessKey).allMatch(Objects::isNull)) {
                throw new IllegalArgumentException(
                        "applies_to needs a capability, an agent_type, a task_type or a fairness_key");
            }
            if (Stream.of(capability, agentType, taskType, fairnessKey)
                    .anyMatch(value -> value != null && value.isBlank())) {
                throw new IllegalArgumentException("applies_to must not have a blank value");
            }
            if (capability != null && capability.contains(">=")) {
                throw new IllegalArgumentException(
                        "applies_to.capability is the name alone: it applies to tasks that require any version of it");
            }
            if (fairnessKey != null) {
                try {
                    Ids.checkFairnessKey(fairnessKey);
                } catch (IllegalArgumentException e) {
                    throw new IllegalArgumentException("applies_to." + e.getMessage());
                }
            }
        }

        private Stream<String> values() {
            return Stream.of(capability, agentType, taskType, fairnessKey).filter(Objects::nonNull);
        }
    }
}
