package io.aitbc.agentctl;

import static io.aitbc.agentctl.Table.left;
import static io.aitbc.agentctl.Table.right;

import io.aitbc.contracts.Json;
import java.io.PrintWriter;
import java.time.Duration;
import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

@Command(name = "tasks", description = "Submits, lists, shows, watches, explains, cancels and redrives tasks.")
final class TasksCommand {
    /**
     * The coordinator completes a long poll when a task ends, but not on other changes. Those are detected at this interval.
     */
    private static final Duration POLL_INTERVAL = Duration.ofSeconds(1);

    private final Agentctl agentctl;

    TasksCommand(Agentctl agentctl) {
        this.agentctl = agentctl;
    }

    @Command(description = "Shows a task.")
    int get(@Parameters(paramLabel = "ID", description = "Task id") String id) {
        TaskState task = agentctl.coordinator().task(id, Duration.ZERO);
        agentctl.write(task.json(), out -> {
            table(task).print(out);
            printAttempts(task, out);
        });
        return 0;
    }

    private static void printAttempts(TaskState task, PrintWriter out) {
        JsonNode attempts = task.json().path("attempts");
        if (attempts.isEmpty()) {
            return;
        }
        Instant now = Instant.parse(task.text("timestamp"));
        Table table = new Table(
                right("ATTEMPT"), left("AGENT"), left("OUTCOME"), left("ASSIGNED"), right("TOOK"), left("ERROR"));
        for (JsonNode attempt : attempts) {
            table.row(
                    attempt.path("attempt").asInt(),
                    attempt.path("agent_id").asString(""),
                    attempt.path("outcome").asString("running"),
                    attempt.hasNonNull("assigned_at")
                            ? Ages.between(
                                    Instant.parse(attempt.path("assigned_at").asString()), now)
                            : "",
                    TaskListCommand.took(attempt),
                    TaskListCommand.error(attempt.path("error")));
        }
        out.println();
        table.print(out);
    }

    @Command(
            description = "Shows each change of a task until it ends. States that last less than 1 s may be missed."
                    + " Exit code 0 if the task completed.")
    int watch(@Parameters(paramLabel = "ID", description = "Task id") String id) {
        Coordinator coordinator = agentctl.coordinator();
        TaskState task = coordinator.task(id, Duration.ZERO);
        agentctl.write(task.json(), change(task));
        while (!task.hasEnded()) {
            String before = change(task);
            task = coordinator.task(id, POLL_INTERVAL);
            if (!change(task).equals(before)) {
                agentctl.write(task.json(), change(task));
            }
        }
        task.requireCompleted();
        return 0;
    }

    @Command(description = "Explains why a task is waiting, and what rules out each agent.")
    int explain(@Parameters(paramLabel = "ID", description = "Task id") String id) {
        JsonNode answer = agentctl.coordinator().get("/tasks/" + Coordinator.segment(id) + "/explain");
        agentctl.write(answer, out -> printExplanation(answer, out));
        return 0;
    }

    static Table table(TaskState task) {
        Instant now = Instant.parse(task.text("timestamp"));
        Table table = Table.ofOne();
        task.json().propertyNames().stream()
                .filter(field -> !field.equals("timestamp") && !field.equals("attempts"))
                .forEach(field -> table.row(
                        field.replace('_', ' '),
                        field.equals("requirements")
                                ? constraints(task.json().path(field))
                                : withAge(task.text(field), now)));
        return table;
    }

    /** Returns the line that watch prints for a state. A state with the same line as the previous one is not printed. */
    private static String change(TaskState task) {
        String status = String.format("%-9s", task.status());
        String attempt = "  attempt " + task.text("attempt")
                + (task.text("max_attempts").isEmpty() ? "" : " of " + task.text("max_attempts"));
        String agent = task.text("agent_id");
        String more = switch (task.status()) {
            case "assigned" -> detail(" by " + agent, task.text("progress"));
            case "completed" -> detail(" by " + agent, task.text("result"));
            default -> detail("", task.text("error"));
        };
        return Json.sentence(status + attempt + more);
    }

    private static String detail(String by, String what) {
        return by + (what.isEmpty() ? "" : ": " + what);
    }

    private static void printExplanation(JsonNode answer, PrintWriter out) {
        out.println(Json.sentence(answer.path("task_status").asString("") + ": "
                + answer.path("explanation").asString("")));
        JsonNode waiting = answer.path("waiting");
        if (waiting.isObject()) {
            out.println();
            Table.ofOne()
                    .row("waiting for", Ages.of(Duration.ofSeconds((long)
                            waiting.path("waiting_seconds").asDouble())))
                    .row(
                            "queue",
                            waiting.path("priority").asString("") + ", position "
                                    + waiting.path("place_in_queue").asLong() + " of "
                                    + waiting.path("queue_size").asLong()
                                    + (waiting.path("queue_paused").asBoolean() ? ", paused" : ""))
                    .row(
                            "priority",
                            waiting.path("priority").asString("")
                                    + (waiting.path("aged").asBoolean() ? ", aged" : ""))
                    .row("requirements", constraints(waiting.path("requirements")))
                    .row(
                            "agents",
                            waiting.path("agents").path("eligible").asLong() + " of "
                                    + waiting.path("agents").path("total").asLong() + " can take it"
                                    + (waiting.path("agents").path("busy").asLong() == 0
                                            ? ""
                                            : ", "
                                                    + waiting.path("agents")
                                                            .path("busy")
                                                            .asLong()
                                                    + " more once capacity is free"))
                    .print(out);
            printAgents(waiting.path("agents"), out);
        }
    }

    private static void printAgents(JsonNode agents, PrintWriter out) {
        if (!agents.path("ruled_out").isEmpty()) {
            Table reasons = new Table(left("RULED OUT BY"), right("AGENTS"));
            agents.path("ruled_out")
                    .properties()
                    .forEach(reason -> reasons.row(
                            reason.getKey().replace('_', ' '), reason.getValue().asLong()));
            out.println();
            reasons.print(out);
        }
        if (!agents.path("closest").isEmpty()) {
            Table closest = new Table(left("CLOSEST AGENTS"), left("WHY NOT"));
            agents.path("closest")
                    .forEach(agent -> closest.row(
                            agent.path("agent_id").asString(""),
                            agent.path("obstacles")
                                    .valueStream()
                                    .map(obstacle -> obstacle.path("detail").asString(""))
                                    .collect(Collectors.joining("; "))));
            out.println();
            closest.print(out);
        }
    }

    /** Returns the requirements that are set, as JSON. */
    private static String constraints(JsonNode requirements) {
        ObjectNode constraints = Json.object();
        requirements.properties().stream()
                .filter(one -> !one.getValue().isNull()
                        && !(one.getValue().isContainer() && one.getValue().isEmpty()))
                .forEach(one -> constraints.set(one.getKey(), one.getValue()));
        return constraints.isEmpty() ? "" : Json.text(constraints);
    }

    private static String withAge(String text, Instant now) {
        try {
            return text + " (" + Ages.between(Instant.parse(text), now) + ")";
        } catch (DateTimeParseException e) {
            return text;
        }
    }
}
