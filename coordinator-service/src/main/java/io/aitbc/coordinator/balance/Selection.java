package io.aitbc.coordinator.balance;

import io.aitbc.contracts.Task;
import org.jspecify.annotations.Nullable;

/**
 * The agents that can currently take tasks of one kind, in a strategy's order. Owned by one thread.
 *
 * <p>After changing a {@link Candidate}, the caller must call {@link #put} or {@link #remove} to update the order.
 */
public interface Selection {
    /** The agent that should get the task; it stays in the selection. Null if there is none. */
    @Nullable
    Candidate next(Task task);

    /**
     * Records that a contained agent gets a task: with strategies that take turns, it has had its turn. The next call must be
     * {@link #put} or {@link #remove}.
     */
    default void chosen(Candidate candidate) {}

    /** Adds an agent, or updates its position after a change. It must not be full. */
    void put(Candidate candidate);

    /** Removes an agent, if present, because it cannot take a task now. */
    void remove(Candidate candidate);

    /** Removes an agent permanently. */
    default void forget(Candidate candidate) {
        remove(candidate);
    }

    boolean isEmpty();
}
