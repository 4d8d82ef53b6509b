package io.aitbc.contracts;

import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.type.TypeReference;
import tools.jackson.databind.DeserializationContext;
import tools.jackson.databind.JsonNode;

/** Reads tasks. */
final class TaskReader extends MessageReader<Task, TaskReader.Fields> {
    private static final PayloadDeserializer PAYLOAD = new PayloadDeserializer();
    private static final TypeReference<Map<String, String>> LABELS = new TypeReference<>() {};

    TaskReader() {
        super(Task.class);
    }

    static final class Fields {
        private @Nullable String taskId;
        private @Nullable Payload payload;
        private @Nullable Priority priority;
        private @Nullable Requirements requirements;
        private @Nullable Integer maxAttempts;
        private @Nullable Integer timeoutSeconds;
        private @Nullable Instant notBefore;
        private @Nullable Instant expiresAt;
        private @Nullable Instant submittedAt;
        private @Nullable Integer attempt;
        private @Nullable String rejectedBy;
        private @Nullable String chainId;
        private @Nullable String fairnessKey;
        private @Nullable Double fairnessWeight;
        private @Nullable Map<String, String> labels;
        private @Nullable Map<String, Long> uses;
        private Map<String, JsonNode> unknown = Map.of();
    }

    @Override
    Fields begin() {
        return new Fields();
    }

    @Override
    void read(String name, Fields task, JsonParser parser, DeserializationContext context) {
        switch (name) {
            case "task_id" -> task.taskId = text(parser, context);
            case "task_data" -> task.payload = payload(parser, context);
            case "priority" -> task.priority = value(parser, context, Priority.class);
            case "requirements" -> task.requirements = value(parser, context, Requirements.class);
            case "max_attempts" -> task.maxAttempts = integer(parser, context);
            case "timeout_seconds" -> task.timeoutSeconds = integer(parser, context);
            case "not_before" -> task.notBefore = time(parser, context);
            case "expires_at" -> task.expiresAt = time(parser, context);
            case "submitted_at" -> task.submittedAt = time(parser, context);
            case "attempt" -> task.attempt = integer(parser, context);
            case "rejected_by" -> task.rejectedBy = text(parser, context);
            case "chain_id" -> task.chainId = text(parser, context);
            case "fairness_key" -> task.fairnessKey = text(parser, context);
            case "fairness_weight" -> task.fairnessWeight = value(parser, context, Double.class);
            case "labels" -> task.labels = map(parser, context, LABELS);
            case "uses" -> task.uses = map(parser, context, UNITS);
            default -> {
                if (task.unknown.isEmpty()) {
                    task.unknown = new HashMap<>();
                }
                task.unknown.put(name, tree(parser, context));
            }
        }
    }

    private static @Nullable Payload payload(JsonParser parser, DeserializationContext context) {
        return parser.hasToken(JsonToken.VALUE_NULL) ? null : PAYLOAD.deserialize(parser, context);
    }

    @Override
    @SuppressWarnings("NullAway") // The constructor checks what is required.
    Task end(Fields task) {
        return new Task(
                task.taskId,
                task.payload,
                task.priority,
                task.requirements,
                task.maxAttempts,
                task.timeoutSeconds,
                task.notBefore,
                task.expiresAt,
                task.submittedAt,
                task.attempt,
                task.rejectedBy,
                task.chainId,
                task.fairnessKey,
                task.fairnessWeight,
                task.labels,
                task.uses,
                task.unknown);
    }
}
