package io.aitbc.coordinator.balance;

import io.aitbc.contracts.Task;
import org.jspecify.annotations.Nullable;

/**
 * The agents that can take a task of one kind right now, in the order that a strategy wants. Owned by one thread.
 *
 * <p>Whoever changes a {@link Candidate} calls {@link #put} or {@link #remove} afterwards, so that the order follows.
 */
public interface Selection {
    /** The agent that a task should go to, which stays in the selection; null when there is none. */
    @Nullable
    Candidate next(Task task);

    /**
     * The agent, which is in, gets a task: where the strategy takes turns, it has had its turn. {@link #put} or {@link #remove} follows
     * before anything else.
     */
    default void chosen(Candidate candidate) {}

    /** Adds an agent, or finds it a new place after a change. It must have room. */
    void put(Candidate candidate);

    /** Takes an agent out, if it is in, because it cannot take a task now. */
    void remove(Candidate candidate);

    /** Takes an agent out for good. */
    default void forget(Candidate candidate) {
        remove(candidate);
    }

    boolean isEmpty();
}
