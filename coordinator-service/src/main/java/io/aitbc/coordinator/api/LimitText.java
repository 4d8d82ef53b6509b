package io.aitbc.coordinator.api;

import io.aitbc.contracts.Limit;
import io.aitbc.coordinator.limit.LimitState;
import java.time.Duration;
import java.time.Instant;

/** Says in words what a limit lacks. */
final class LimitText {
    private LimitText() {}

    /**
     * Why a task that uses units of a limit waits, and when it may start: one clause.
     *
     * @param used what is used of the limit
     */
    static String clause(String name, Limit limit, LimitState used, long units, Instant now) {
        if (now.isBefore(used.closedUntil())) {
            return name + " gives nothing until " + used.closedUntil()
                    + ", because an agent reported retry_after_seconds for it";
        }
        if (limit.concurrency() != null && used.used() + units > limit.concurrency()) {
            return limit.concurrency() == 0
                    ? name + " has a concurrency of 0"
                    : used.used() + " of " + limit.concurrency() + " units of " + name + " are in use"
                            + (units == 1 ? "" : ", and it needs " + units)
                            + "; attempts that hold them must end first";
        }
        if (limit.budget() != null
                && used.spent(limit.budget(), now) + units > limit.budget().units()) {
            return used.spent(limit.budget(), now) + " of the " + limit.budget().units() + " units of " + name + " per "
                    + limit.budget().per().wireName() + " are spent"
                    + (units == 1 ? "" : ", and it needs " + units) + "; the next "
                    + limit.budget().per().wireName() + " begins at "
                    + limit.budget().end(now);
        }
        Duration wait = Duration.between(now, used.dueAt(limit, units, 0, now));
        return "the rate of " + name + " gives " + (units == 1 ? "the next unit" : "the next " + units + " units")
                + " in " + Math.max(0, wait.toMillis()) / 1_000.0 + " s";
    }
}
