package io.aitbc.coordinator.match;

import io.aitbc.contracts.Limit;
import io.aitbc.coordinator.limit.LimitState;
import java.time.Instant;
import java.util.LinkedHashSet;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** What one limit gives, as far as a lane knows. The reservation decides; a gate only keeps tasks back that it would refuse. */
final class Gate {

    final String name;
    /** The groups whose next tasks wait for it. */
    final Set<TaskGroup> waiting = new LinkedHashSet<>();
    /** The groups whose tasks use it. */
    final Set<TaskGroup> groups = new LinkedHashSet<>();

    /** Null if there is no definition. */
    @Nullable
    Limit limit;

    /** Null if unknown: then one placement is made to find out. */
    private @Nullable LimitState state;
    /** Of placements that have not been answered. */
    private long pendingUnits;

    private int pending;
    /** Until when nothing is placed, because a reservation was refused. */
    private Instant refusedUntil = Instant.EPOCH;
    /** The round in which a task was kept back: no other overtakes it in that round. */
    long blockedIn;
    /** The round in which the groups that wait were compared with others. */
    long comparedIn;
    /** The level of the most urgent task in other lanes that it keeps back; above all levels if there is none. */
    int mostUrgentElsewhere = Integer.MAX_VALUE;
    /** When its state was learned. */
    Instant learnedAt = Instant.EPOCH;
    /** When it is looked at again; {@link Instant#MAX} if that is not scheduled. */
    Instant scheduledAt = Instant.MAX;

    Gate(String name) {
        this.name = name;
    }

    void placed(long units) {
        pendingUnits += units;
        pending++;
    }

    void answered(long units) {
        pendingUnits = Math.max(0, pendingUnits - units);
        pending = Math.max(0, pending - 1);
    }

    void forgetPlacements() {
        pendingUnits = 0;
        pending = 0;
    }

    /** @param state null if unknown */
    void update(@Nullable LimitState state) {
        this.state = state;
        refusedUntil = Instant.EPOCH;
    }

    void refused(Instant until) {
        refusedUntil = until;
    }

    /** Whether nothing is known, and no placement is about to find out. */
    boolean isUnknown() {
        return state == null && pending == 0;
    }

    boolean isUsed() {
        return pending > 0 || !groups.isEmpty();
    }

    /** How many units an attempt may use now. */
    long room(Instant now) {
        if (limit == null) {
            return Long.MAX_VALUE;
        }
        if (now.isBefore(refusedUntil) || Objects.equals(limit.concurrency(), 0L)) {
            return 0;
        }
        if (state == null) {
            return pending == 0 ? Long.MAX_VALUE : 0;
        }
        long room = state.room(limit, pendingUnits, now);
        if (limit.budget() == null || pending == 0) {
            // More of a budget is noted once a reservation has been refused.
            return room;
        }
        long noted = state.period().equals(limit.budget().period(now)) ? state.noted() - state.spent() : 0;
        return Math.max(0, Math.min(room, noted - pendingUnits));
    }

    /** When units are available, unless others use them; {@link Instant#MAX} if an attempt has to end first. */
    Instant dueAt(long units, Instant now) {
        Instant due = now.isBefore(refusedUntil) ? refusedUntil : now;
        if (limit == null) {
            return due;
        }
        if (state == null) {
            // The answer of the placement that finds out releases what waits.
            return pending > 0 || Objects.equals(limit.concurrency(), 0L) ? Instant.MAX : due;
        }
        Instant given = state.dueAt(limit, units, pendingUnits, now);
        return given.isAfter(due) ? given : due;
    }
}
