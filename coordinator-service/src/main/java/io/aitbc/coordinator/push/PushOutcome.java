package io.aitbc.coordinator.push;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.TaskResult;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * What an agent's reply means for an assignment posted to it.
 *
 * @param result for ENDED
 * @param why for NOT_DELIVERED and UNCERTAIN; continues a sentence about the agent
 * @param retryAfter delay that the agent requested; null if it requested none
 * @param isReached whether the agent has responded
 */
record PushOutcome(
        Kind kind,
        @Nullable TaskResult result,
        String why,
        @Nullable Duration retryAfter,
        boolean isReached) {
    enum Kind {
        /** The agent has returned a result. */
        ENDED,
        /** The agent has accepted the assignment, and will report a result later. */
        ACCEPTED,
        /** The agent does not have the assignment. */
        NOT_DELIVERED,
        /** Nothing was sent to the agent, for a reason of this coordinator. */
        NOT_SENT,
        /** The agent may be working on the assignment: it is repeated, and stays live until its deadline. */
        UNCERTAIN
    }

    /** Statuses that say: the request was not processed, and may be repeated. */
    static final Set<Integer> OVERLOADED = Set.of(429, 503);

    private static final Set<String> ENDINGS = Set.of("completed", "failed", "rejected");

    /** Statuses that say nothing about the progress of the task. */
    private static final Set<String> GENERAL = Set.of("", "success", "ok", "error");

    static PushOutcome of(Assignment assignment, Reply reply, Instant now) {
        if (reply instanceof Reply.NotSent notSent) {
            return new PushOutcome(Kind.NOT_DELIVERED, null, notSent.why(), null, false);
        } else if (reply instanceof Reply.NoConnection) {
            return new PushOutcome(Kind.NOT_SENT, null, "", null, false);
        } else if (reply instanceof Reply.NoResponse none) {
            return new PushOutcome(Kind.UNCERTAIN, null, none.why(), null, false);
        }
        Reply.Response response = (Reply.Response) reply;
        String why = "it responds with status " + response.status();
        if (OVERLOADED.contains(response.status())) {
            return new PushOutcome(Kind.NOT_DELIVERED, null, why, response.retryAfter(), true);
        } else if (!response.isSuccess()) {
            return new PushOutcome(Kind.UNCERTAIN, null, why, null, true);
        } else if (response.tooLarge()) {
            return ended(failure(
                    assignment, "the agent's response is larger than " + AgentHttp.MAX_RESPONSE_BYTES + " bytes", now));
        }
        try {
            return result(response.body())
                    .map(result -> ended(complete(assignment, result, now)))
                    .orElseGet(() -> new PushOutcome(Kind.ACCEPTED, null, "", null, true));
        } catch (JacksonException e) {
            return ended(failure(assignment, "the agent's response cannot be read: " + Json.reason(e), now));
        }
    }

    private static PushOutcome ended(TaskResult result) {
        return new PushOutcome(Kind.ENDED, result, "", null, true);
    }

    private static TaskResult failure(Assignment assignment, String why, Instant now) {
        return TaskResult.of(assignment, TaskResult.Status.FAILED, null, Json.tree(why), null, now);
    }

    /** The body, if it is a result: it has a final status; or no other one than success or error, and an error or a result. */
    private static Optional<ObjectNode> result(byte[] body) {
        if (!new String(body, StandardCharsets.ISO_8859_1).stripLeading().startsWith("{")) {
            // An acknowledgement in words.
            return Optional.empty();
        }
        JsonNode json = Json.MAPPER.readTree(body);
        if (!(json instanceof ObjectNode object)) {
            return Optional.empty();
        }
        String status = object.path("status").asString("").toLowerCase(Locale.ROOT);
        if (ENDINGS.contains(status)) {
            return Optional.of(object.put("status", status));
        } else if (!GENERAL.contains(status)) {
            return Optional.empty();
        } else if (isGiven(object.path("error"))) {
            return Optional.of(object.put("status", "failed"));
        }
        object.remove("error");
        return object.hasNonNull("result") ? Optional.of(object.put("status", "completed")) : Optional.empty();
    }

    /** Some libraries write absent errors as empty text or as false. */
    private static boolean isGiven(JsonNode error) {
        return !error.isMissingNode()
                && !error.isNull()
                && !(error.isString() && error.asString().isEmpty())
                && !(error.isBoolean() && !error.asBoolean());
    }

    private static TaskResult complete(Assignment assignment, ObjectNode result, Instant now) {
        result.put("assignment_id", assignment.assignmentId())
                .put("task_id", assignment.taskId())
                .put("attempt", assignment.attempt())
                .put("agent_id", assignment.agentId());
        if (!result.hasNonNull("finished_at")) {
            result.put("finished_at", now.toString());
        }
        try {
            return Json.read(result, TaskResult.class);
        } catch (Json.MalformedMessageException e) {
            return failure(assignment, "the agent's response is not a valid result: " + e.getMessage(), now);
        }
    }
}
