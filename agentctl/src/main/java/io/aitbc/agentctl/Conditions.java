package io.aitbc.agentctl;

import io.aitbc.contracts.Json;
import java.time.Instant;
import java.util.List;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Which tasks a command is about: the parameters of {@code GET /tasks}. */
final class Conditions {
    static final String NAMES =
            "Conditions are the parameters of GET /tasks: status, priority, agent_id, agent_type, capability, task_type,"
                    + " fairness_key, label.<key>, submitted_after, submitted_before, finished_after, finished_before,"
                    + " min_duration, reason, error, id.";

    @Spec(Spec.Target.MIXEE)
    private CommandSpec spec;

    @Option(
            names = "--where",
            paramLabel = "NAME=VALUE",
            description =
                    "Only tasks that meet this condition, such as status=failed, error=timeout or finished_after=12h,"
                            + " which is twelve hours ago; may be repeated")
    private List<String> conditions = List.of();

    boolean isEmpty() {
        return conditions.isEmpty();
    }

    /**
     * The conditions by name.
     *
     * @throws ParameterException if one has no name
     */
    ObjectNode filter() {
        Instant now = Instant.now();
        ObjectNode filter = Json.object();
        for (String condition : conditions) {
            int equals = condition.indexOf('=');
            if (equals <= 0) {
                throw new ParameterException(
                        spec.commandLine(), "\"" + condition + "\" is not a condition such as status=failed");
            }
            String name = condition.substring(0, equals);
            String value = value(name, condition.substring(equals + 1), now);
            JsonNode before = filter.get(name);
            if (before == null) {
                filter.put(name, value);
            } else {
                ArrayNode both = before.isArray()
                        ? (ArrayNode) before
                        : Json.MAPPER.createArrayNode().add(before);
                filter.set(name, both.add(value));
            }
        }
        return filter;
    }

    /** An age, such as 12h, is a time before now. */
    private static String value(String name, String value, Instant now) {
        return (name.endsWith("_after") || name.endsWith("_before")) && value.matches("\\d+[smhd]")
                ? now.minus(ArgumentTypes.age(value)).toString()
                : value;
    }
}
