package io.aitbc.contracts;

import java.time.Instant;
import java.util.Collection;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JsonGenerator;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.SerializationContext;
import tools.jackson.databind.ser.std.StdSerializer;

/** Writes events in a third of the time that Jackson takes with the properties of records, and leaves out what is absent. */
final class TaskEventWriter extends StdSerializer<TaskEvent> {
    TaskEventWriter() {
        super(TaskEvent.class);
    }

    @Override
    public void serialize(TaskEvent event, JsonGenerator json, SerializationContext context) {
        json.writeStartObject(event);
        json.writeStringProperty("specversion", event.specversion());
        json.writeStringProperty("id", event.id());
        json.writeStringProperty("source", event.source());
        json.writeStringProperty("type", event.kind().type());
        json.writeStringProperty("subject", event.taskId());
        write("time", event.time(), json);
        write("datacontenttype", event.contentType(), json);
        json.writeStringProperty("sequence", event.sequence());
        json.writeName("data");
        write(event.change(), json, context);
        json.writeEndObject();
    }

    private static void write(TaskEvent.Change change, JsonGenerator json, SerializationContext context) {
        json.writeStartObject(change);
        json.writeNumberProperty("attempt", change.attempt());
        write("priority", change.priority(), json);
        if (change.task() != null) {
            json.writeName("task");
            write(change.task(), json, context);
        }
        write("agent_id", change.agentId(), json);
        write("assigned_at", change.assignedAt(), json);
        write("result", change.result(), json);
        write("started_at", change.startedAt(), json);
        write("finished_at", change.finishedAt(), json);
        write("reason", change.reason(), json);
        write("error", change.error(), json);
        if (change.nextAttempt() != null) {
            json.writeNumberProperty("next_attempt", change.nextAttempt());
        }
        write("not_before", change.notBefore(), json);
        if (change.progressReports() != null) {
            json.writeNumberProperty("progress_reports", change.progressReports());
        }
        if (change.truncated() != null) {
            json.writeBooleanProperty("truncated", change.truncated());
        }
        json.writeEndObject();
    }

    private static void write(Task task, JsonGenerator json, SerializationContext context) {
        json.writeStartObject(task);
        write("task_id", task.taskId(), json);
        json.writeName("task_data");
        context.writeValue(json, task.payload());
        write("priority", task.priority(), json);
        if (!task.requirements().equals(Requirements.NONE)) {
            json.writeName("requirements");
            write(task.requirements(), json);
        }
        json.writeNumberProperty("max_attempts", task.maxAttempts());
        json.writeNumberProperty("timeout_seconds", task.timeoutSeconds());
        write("not_before", task.notBefore(), json);
        write("expires_at", task.expiresAt(), json);
        write("submitted_at", task.submittedAt(), json);
        json.writeNumberProperty("attempt", task.attempt());
        write("rejected_by", task.rejectedBy(), json);
        write("chain_id", task.chainId(), json);
        write("fairness_key", task.fairnessKey(), json);
        if (task.fairnessWeight() != null) {
            json.writeNumberProperty("fairness_weight", task.fairnessWeight());
        }
        write("labels", task.labels(), json);
        write("uses", task.uses(), json);
        writeUnknown(task.unknown(), json);
        json.writeEndObject();
    }

    private static void write(Requirements requirements, JsonGenerator json) {
        json.writeStartObject(requirements);
        write("agent_type", requirements.agentType(), json);
        write("capabilities", requirements.capabilities(), json);
        write("services", requirements.services(), json);
        write("tags", requirements.tags(), json);
        if (requirements.minHealthScore() != null) {
            json.writeNumberProperty("min_health_score", requirements.minHealthScore());
        }
        write("region", requirements.region(), json);
        if (requirements.location() != null) {
            json.writePOJOProperty("location", requirements.location());
        }
        write("agent_id", requirements.agentId(), json);
        write("affinity_key", requirements.affinityKey(), json);
        write("chain_id", requirements.chainId(), json);
        if (!requirements.resources().equals(Resources.NONE)) {
            json.writePOJOProperty("resources", requirements.resources());
        }
        writeUnknown(requirements.unknown(), json);
        json.writeEndObject();
    }

    private static void writeUnknown(Map<String, JsonNode> unknown, JsonGenerator json) {
        unknown.forEach((name, value) -> {
            json.writeName(name);
            json.writeTree(value);
        });
    }

    private static void write(String name, @Nullable String text, JsonGenerator json) {
        if (text != null) {
            json.writeStringProperty(name, text);
        }
    }

    private static void write(String name, @Nullable Instant time, JsonGenerator json) {
        if (time != null) {
            json.writeStringProperty(name, TimeSerializer.text(time));
        }
    }

    private static void write(String name, @Nullable Priority priority, JsonGenerator json) {
        if (priority != null) {
            json.writeStringProperty(name, priority.wireName());
        }
    }

    private static void write(String name, @Nullable JsonNode tree, JsonGenerator json) {
        if (tree != null) {
            json.writeName(name);
            json.writeTree(tree);
        }
    }

    private static void write(String name, Collection<String> texts, JsonGenerator json) {
        if (!texts.isEmpty()) {
            json.writePOJOProperty(name, texts);
        }
    }

    private static void write(String name, Map<String, ?> entries, JsonGenerator json) {
        if (!entries.isEmpty()) {
            json.writePOJOProperty(name, entries);
        }
    }
}
