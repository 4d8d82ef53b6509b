package io.aitbc.coordinator.push;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.PushMessage;
import io.aitbc.contracts.TaskHeaders;
import io.aitbc.contracts.TaskResult;
import java.time.Instant;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ObjectNode;

/** An assignment that is being pushed: from its claim until the agent has accepted or ended it, or it is given back. */
final class Push {
    enum State {
        /** A request or a report is in progress. */
        BUSY,
        /** Its request is to be repeated at {@link #dueNanos}. */
        WAITING,
        /** Its report is to be repeated at {@link #dueNanos}. */
        UNREPORTED
    }

    /** Without task data, of which {@link #body} holds a copy. */
    final Assignment assignment;

    /** The request's body: the same for each repetition. */
    final byte[] body;

    final @Nullable String trace;
    State state = State.BUSY;
    long dueNanos;
    /** How many requests were certainly not processed. */
    int undelivered;
    /** How many requests may have been processed. */
    int uncertain;
    /** How many requests to the agent had succeeded when one for this assignment failed last; -1 if none has failed. */
    long failedAfter = -1;
    /** Why the last request failed; null if none has. */
    @Nullable
    String failure;

    long failedNanos;

    @Nullable
    CompletableFuture<Reply> request;
    /** To be reported on behalf of the agent. */
    @Nullable
    TaskResult result;

    /** @param json the assignment as stored, which may hold more fields than this version knows */
    Push(ObjectNode json, Instant now) {
        Assignment whole = Json.read(json, Assignment.class);
        this.body = Json.bytes(PushMessage.of(whole, json, now));
        this.trace = json.path(TaskHeaders.TRACEPARENT).asString(null);
        this.assignment = whole.withoutPayload();
    }

    String id() {
        return assignment.assignmentId();
    }

    /** @param successes how many requests to the agent have succeeded so far */
    void failed(long now, String why, long successes) {
        failedNanos = now;
        failure = why;
        failedAfter = successes;
    }

    void waitUntil(State next, long nanos) {
        state = next;
        dueNanos = nanos;
    }
}
