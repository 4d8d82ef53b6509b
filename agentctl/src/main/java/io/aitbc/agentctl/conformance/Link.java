package io.aitbc.agentctl.conformance;

import java.time.Duration;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ObjectNode;

/** The way in which assignments reach an agent. */
interface Link extends AutoCloseable {
    /** Delivers an assignment; again, if it was delivered before. */
    void give(ObjectNode assignment);

    void cancel(ObjectNode cancellation);

    /** Delivers a message that no agent of today knows. */
    void giveUnknownMessage();

    /** Delivers what is no assignment; false if no coordinator can do that over this link. */
    boolean giveGarbage();

    /** Whether the agent has confirmed an assignment for which it has not reported a result, so that it would be lost with the agent. */
    boolean isCommitted(String assignmentId);

    /** Checks whether the agent answers; null if it does, or if it cannot be asked. */
    @Nullable
    String silence(Duration timeout);

    @Override
    void close();
}
