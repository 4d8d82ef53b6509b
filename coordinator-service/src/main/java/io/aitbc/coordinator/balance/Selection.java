package io.aitbc.coordinator.balance;

import org.jspecify.annotations.Nullable;

/**
 * The agents that can take a task of one kind right now, in the order that a strategy wants. Owned by one thread.
 *
 * <p>Whoever changes a {@link Candidate} calls {@link #put} or {@link #remove} afterwards, so that the order follows.
 */
public interface Selection {
    /** The next agent, which stays in the selection; null when there is none. */
    @Nullable
    Candidate next();

    /** Adds an agent, or finds it a new place after a change. It must have room. */
    void put(Candidate candidate);

    /** Takes an agent out, if it is in. */
    void remove(Candidate candidate);

    boolean isEmpty();
}
