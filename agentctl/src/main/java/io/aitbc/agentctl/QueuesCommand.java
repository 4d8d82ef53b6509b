package io.aitbc.agentctl;

import static io.aitbc.agentctl.Table.left;
import static io.aitbc.agentctl.Table.right;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import java.time.Duration;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

@Command(name = "queues", description = "Shows the queues, and pauses, resumes or clears one.")
final class QueuesCommand implements Callable<Integer> {
    private final Agentctl agentctl;

    @Spec
    private CommandSpec spec;

    QueuesCommand(Agentctl agentctl) {
        this.agentctl = agentctl;
    }

    @Override
    public Integer call() {
        Coordinator coordinator = agentctl.coordinator();
        JsonNode queues = coordinator.get("/tasks/queues/stats").path("queues");
        JsonNode paused = coordinator.get("/tasks/queues").path("paused");
        queues.properties()
                .forEach(queue -> ((ObjectNode) queue.getValue())
                        .put(
                                "paused",
                                paused.valueStream()
                                        .anyMatch(one -> one.asString().equals(queue.getKey()))));
        agentctl.write(Json.object().set("queues", queues), table(queues)::print);
        return 0;
    }

    private static Table table(JsonNode queues) {
        Table table = new Table(
                left("QUEUE"), right("WAITING"), right("OLDEST"), right("IN/S"), right("OUT/S"), left("STATE"));
        queues.properties().forEach(entry -> {
            JsonNode queue = entry.getValue();
            JsonNode oldest = queue.path("oldest_age_seconds");
            table.row(
                    entry.getKey(),
                    queue.path("size").asLong(),
                    oldest.isNumber() ? Ages.of(Duration.ofSeconds((long) oldest.asDouble())) : Table.EMPTY_CELL,
                    rate(queue.path("received_per_second")),
                    rate(queue.path("assigned_per_second")),
                    queue.path("paused").asBoolean() ? "paused" : "open");
        });
        return table;
    }

    private static String rate(JsonNode perSecond) {
        return String.format(Locale.ROOT, "%.1f", perSecond.asDouble());
    }

    @Command(description = "Pauses dispatch of a queue until it is resumed; submissions are still accepted.")
    int pause(
            @Parameters(
                            paramLabel = "PRIORITY",
                            description = "${COMPLETION-CANDIDATES}",
                            completionCandidates = ArgumentTypes.Priorities.class)
                    Priority priority) {
        return change(priority, "pause");
    }

    @Command(description = "Resumes dispatch of a queue.")
    int resume(
            @Parameters(
                            paramLabel = "PRIORITY",
                            description = "${COMPLETION-CANDIDATES}",
                            completionCandidates = ArgumentTypes.Priorities.class)
                    Priority priority) {
        return change(priority, "resume");
    }

    @Command(description = "Cancels all queued tasks of a priority, after a confirmation that states their number.")
    int clear(
            @Parameters(
                            paramLabel = "PRIORITY",
                            description = "${COMPLETION-CANDIDATES}",
                            completionCandidates = ArgumentTypes.Priorities.class)
                    Priority priority,
            @Option(names = "--yes", description = "Skip the confirmation") boolean yes) {
        if (!yes) {
            confirmClearing(priority);
        }
        return change(priority, "clear");
    }

    private void confirmClearing(Priority priority) {
        long size = agentctl.coordinator()
                .get("/tasks/queues")
                .path("queue_sizes")
                .path(priority.wireName())
                .asLong();
        String tasks = size + (size == 1 ? " task" : " tasks") + " in the " + priority.wireName() + " queue";
        if (!agentctl.terminal().canAsk().getAsBoolean()) {
            throw new ParameterException(
                    spec.commandLine(),
                    "Cannot ask for confirmation to cancel " + tasks + " without a terminal: use --yes.");
        }
        if (!agentctl.terminal().confirms("Cancel " + tasks + "?")) {
            throw new CommandFailedException("Nothing was cancelled.");
        }
    }

    private int change(Priority priority, String how) {
        JsonNode answer = agentctl.coordinator().post("/tasks/queues/" + priority.wireName() + "/" + how);
        agentctl.write(answer, answer.path("message").asString(""));
        return 0;
    }
}
