package io.aitbc.agentctl;

import io.aitbc.contracts.Json;
import java.util.List;
import java.util.Locale;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** Does something to one task, or to all that meet conditions. */
@Command(sortOptions = false)
final class BulkCommand implements Callable<Integer> {
    private static final long POLL_INTERVAL_MS = 500;

    private final Agentctl agentctl;
    private final Kind kind;

    @Spec
    private CommandSpec spec;

    @Parameters(paramLabel = "ID", arity = "0..1", description = "Task id")
    private @Nullable String id;

    @Mixin
    private Conditions conditions = new Conditions();

    @Option(
            names = "--rate",
            paramLabel = "N",
            description = "With --where: at most so many tasks per second, up to 2000; default: 200")
    private @Nullable Integer rate;

    @Option(names = "--yes", description = "Skip the confirmation")
    private boolean yes;

    private enum Kind {
        CANCEL(
                "Cancels a task, or all that meet conditions, after a confirmation that states their number. A waiting task is not"
                        + " assigned; if an agent runs it, the agent is notified.",
                "cancelled",
                "had ended before"),
        REDRIVE(
                "Redrives a failed task, or all that meet conditions, after a confirmation that states their number: they are"
                        + " queued again with a fresh set of attempts.",
                "redriven",
                "were not failed any more, or have no dead letter");

        private final String description;
        private final String past;
        private final String skipped;

        Kind(String description, String past, String skipped) {
            this.description = description;
            this.past = past;
            this.skipped = skipped;
        }

        String word() {
            return name().toLowerCase(Locale.ROOT);
        }

        String path(String task) {
            return this == CANCEL ? "/tasks/" + task + "/cancel" : "/tasks/dead-letter/" + task + "/redrive";
        }
    }

    private BulkCommand(Agentctl agentctl, Kind kind) {
        this.agentctl = agentctl;
        this.kind = kind;
    }

    /** Adds the commands to those for tasks. */
    static void addTo(CommandLine tasks, Agentctl agentctl) {
        for (Kind kind : Kind.values()) {
            CommandLine command = new CommandLine(new BulkCommand(agentctl, kind));
            command.getCommandSpec().usageMessage().description(kind.description, Conditions.NAMES);
            tasks.addSubcommand(kind.word(), command);
        }
    }

    @Override
    public Integer call() throws InterruptedException {
        if ((id == null) == conditions.isEmpty()) {
            throw new ParameterException(spec.commandLine(), "Give either a task id or conditions with --where.");
        }
        Coordinator coordinator = agentctl.coordinator();
        if (id != null) {
            JsonNode answer = coordinator.post(kind.path(Coordinator.segment(id)));
            agentctl.write(answer, answer.path("message").asString(""));
            return 0;
        }
        ObjectNode request = Json.object().set("filter", conditions.filter());
        JsonNode preview = coordinator.post(
                "/tasks/bulk/" + kind.word(), request.deepCopy().put("dry_run", true));
        if (preview.path("count").asLong() == 0) {
            agentctl.write(preview, "No tasks match.");
            return 0;
        }
        if (!yes) {
            confirm(preview);
        }
        request.put("bulk_id", UUID.randomUUID().toString());
        if (rate != null) {
            request.put("rate", rate);
        }
        JsonNode done = await(
                coordinator,
                coordinator.post("/tasks/bulk/" + kind.word(), request),
                preview.path("count").asLong());
        agentctl.write(done, said(done));
        return 0;
    }

    private void confirm(JsonNode preview) {
        String message = preview.path("message").asString("");
        if (!agentctl.terminal().canAsk().getAsBoolean()) {
            throw new ParameterException(
                    spec.commandLine(), message + ". Cannot ask for confirmation without a terminal: use --yes.");
        }
        if (!agentctl.terminal().confirms(message + ". Continue?")) {
            throw new CommandFailedException("No task was " + kind.past + ".");
        }
    }

    private JsonNode await(Coordinator coordinator, JsonNode begun, long count) throws InterruptedException {
        JsonNode now = begun;
        try (Progress progress = Progress.of(agentctl.terminal(), kind.word(), count)) {
            while (List.of("waiting", "running").contains(now.path("state").asString(""))) {
                TimeUnit.MILLISECONDS.sleep(POLL_INTERVAL_MS);
                now = coordinator.get("/tasks/bulk/" + begun.path("bulk_id").asString());
                progress.to(now.path("done").asLong() + now.path("skipped").asLong());
            }
        }
        return now;
    }

    private String said(JsonNode done) {
        long skipped = done.path("skipped").asLong();
        return String.format(Locale.ROOT, "%,d tasks %s", done.path("done").asLong(), kind.past)
                + (skipped == 0 ? "" : String.format(Locale.ROOT, "; %,d %s", skipped, kind.skipped));
    }
}
