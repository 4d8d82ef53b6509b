package io.aitbc.coordinator.push;

import io.aitbc.contracts.Assignment;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ObjectNode;

/** An assignment that is being pushed: from its claim until the agent has accepted or ended it, or it is given back. */
final class Push {
    enum State {
        /** Its request is sent, or its result is reported. */
        BUSY,
        /** Its request is repeated at {@link #dueNanos}. */
        WAITING
    }

    final Assignment assignment;
    /** As stored, with fields that this version does not know. */
    final ObjectNode json;

    final int size;
    State state = State.BUSY;
    long dueNanos;
    /** How many requests were certainly not processed. */
    int undelivered;
    /** How many requests may have been processed. */
    int uncertain;

    @Nullable
    CompletableFuture<Reply> request;

    Push(Assignment assignment, ObjectNode json, int size) {
        this.assignment = assignment;
        this.json = json;
        this.size = size;
    }

    String id() {
        return assignment.assignmentId();
    }

    void repeatAt(long nanos) {
        state = State.WAITING;
        dueNanos = nanos;
    }
}
