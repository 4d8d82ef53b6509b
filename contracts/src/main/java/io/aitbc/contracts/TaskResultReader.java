package io.aitbc.contracts;

import java.time.Instant;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.databind.DeserializationContext;
import tools.jackson.databind.JsonNode;

/** Reads results. */
final class TaskResultReader extends MessageReader<TaskResult, TaskResultReader.Fields> {
    TaskResultReader() {
        super(TaskResult.class);
    }

    static final class Fields {
        private @Nullable String assignmentId;
        private @Nullable String taskId;
        private @Nullable Integer attempt;
        private @Nullable String agentId;
        private TaskResult.@Nullable Status status;
        private @Nullable JsonNode result;
        private @Nullable JsonNode error;
        private @Nullable Instant startedAt;
        private @Nullable Instant finishedAt;
        private @Nullable Boolean retryable;
        private @Nullable Double retryAfterSeconds;
        private @Nullable String limit;
        private @Nullable Map<String, Long> usage;
        private @Nullable String signature;
    }

    @Override
    Fields begin() {
        return new Fields();
    }

    @Override
    void read(String name, Fields result, JsonParser parser, DeserializationContext context) {
        switch (name) {
            case "assignment_id" -> result.assignmentId = text(parser, context);
            case "task_id" -> result.taskId = text(parser, context);
            case "attempt" -> result.attempt = integer(parser, context);
            case "agent_id" -> result.agentId = text(parser, context);
            case "status" -> result.status = status(parser, context);
            case "result" -> result.result = tree(parser, context);
            case "error" -> result.error = tree(parser, context);
            case "started_at" -> result.startedAt = time(parser, context);
            case "finished_at" -> result.finishedAt = time(parser, context);
            case "retryable" -> result.retryable = value(parser, context, Boolean.class);
            case "retry_after_seconds" -> result.retryAfterSeconds = value(parser, context, Double.class);
            case "limit" -> result.limit = text(parser, context);
            case "usage" -> result.usage = map(parser, context, UNITS);
            case "signature" -> result.signature = text(parser, context);
            default -> parser.skipChildren();
        }
    }

    private static TaskResult.@Nullable Status status(JsonParser parser, DeserializationContext context) {
        // What most are.
        return parser.hasToken(JsonToken.VALUE_STRING) && parser.getString().equals("completed")
                ? TaskResult.Status.COMPLETED
                : value(parser, context, TaskResult.Status.class);
    }

    @Override
    @SuppressWarnings("NullAway") // The constructor checks what is required.
    TaskResult end(Fields result) {
        return new TaskResult(
                result.assignmentId,
                result.taskId,
                result.attempt,
                result.agentId,
                result.status,
                result.result,
                result.error,
                result.startedAt,
                result.finishedAt,
                result.retryable,
                result.retryAfterSeconds,
                result.limit,
                result.usage,
                result.signature);
    }
}
