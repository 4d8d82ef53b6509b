package io.aitbc.agentctl;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import java.io.IOException;
import java.io.PrintWriter;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

@Command(name = "submit", description = "Submits one task (--data) or a file of tasks (--file).", sortOptions = false)
final class SubmitCommand implements Callable<Integer> {
    private static final Duration POLL_INTERVAL = Duration.ofSeconds(30);
    private static final int MAX_SENTENCES = 20;
    private static final Set<String> ALLOWED_WITH_FILE = Set.of("--file", "--wait", "--url", "--output");

    private final Agentctl agentctl;

    @Spec
    private CommandSpec spec;

    @Option(names = "--data", paramLabel = "JSON", description = "Payload for the agent (task_data)")
    private @Nullable String data;

    @Option(names = "--id", paramLabel = "ID", description = "Task id; a repeated id does not create a second task")
    private @Nullable String id;

    @Option(
            names = "--priority",
            paramLabel = "PRIORITY",
            completionCandidates = ArgumentTypes.Priorities.class,
            description = "Priority: ${COMPLETION-CANDIDATES}; default: normal")
    private @Nullable Priority priority;

    @Option(
            names = "--capability",
            paramLabel = "NAME",
            description = "Required capability, such as hash or hash>=2.1; may be repeated")
    private List<String> capabilities = List.of();

    @Option(
            names = "--resource",
            paramLabel = "NAME=AMOUNT",
            description = "What an attempt takes of its agent's resources, such as gpu=0.5; may be repeated")
    private Map<String, BigDecimal> resources = Map.of();

    @Option(names = "--agent-type", paramLabel = "TYPE", description = "Required agent type")
    private @Nullable String agentType;

    @Option(names = "--region", paramLabel = "REGION", description = "Required region")
    private @Nullable String region;

    @Option(names = "--agent", paramLabel = "ID", description = "Required agent id")
    private @Nullable String agentId;

    @Option(names = "--max-attempts", paramLabel = "N", description = "Maximum number of attempts; default: 3")
    private @Nullable Integer maxAttempts;

    @Option(names = "--timeout-seconds", paramLabel = "N", description = "Time limit of one attempt; default: 600")
    private @Nullable Integer timeoutSeconds;

    @Option(
            names = "--fairness-key",
            paramLabel = "KEY",
            description = "Groups tasks that belong together, such as a tenant's")
    private @Nullable String fairnessKey;

    @Option(
            names = "--fairness-weight",
            paramLabel = "W",
            description = "Share of the fairness key beside others, 0.001 to 1000; default: 1")
    private @Nullable Double fairnessWeight;

    @Option(
            names = "--label",
            paramLabel = "NAME=VALUE",
            description = "Label of the task, such as team=search; may be repeated")
    private Map<String, String> labels = Map.of();

    @Option(
            names = "--uses",
            paramLabel = "LIMIT=UNITS",
            description = "Units of a limit that an attempt uses, such as openai/gpt-5=1; may be repeated")
    private Map<String, Long> uses = Map.of();

    @Option(
            names = "--file",
            paramLabel = "FILE",
            description = "File with one task per line, in the format of POST /tasks/submit; - for standard input")
    private @Nullable Path file;

    @Option(
            names = "--wait",
            description = "Wait until all tasks have ended; exit code 1 if any task was refused or did not complete")
    private boolean wait;

    SubmitCommand(Agentctl agentctl) {
        this.agentctl = agentctl;
    }

    @Override
    public Integer call() throws InterruptedException {
        if (file != null) {
            submitAll(file);
        } else if (data != null) {
            submitOne(data);
        } else {
            throw usageError("One of --data and --file is required.");
        }
        return 0;
    }

    private void submitOne(String taskData) {
        Coordinator coordinator = agentctl.coordinator();
        JsonNode answer = coordinator.post("/tasks/submit", task(taskData));
        String taskId = answer.path("task_id").asString("");
        warn(answer.path("warnings")
                .valueStream()
                .map(warning -> warning.asString("") + ".")
                .toList());
        if (!wait) {
            agentctl.write(answer, sentence(answer));
            return;
        }
        TaskState task = awaitEnd(coordinator, taskId);
        agentctl.write(task.json(), TasksCommand.table(task)::print);
        task.requireCompleted();
    }

    private static String sentence(JsonNode answer) {
        String task = ": " + answer.path("task_id").asString("") + ", "
                + answer.path("priority").asString("");
        String existing = answer.path("existing_status").asString("");
        return existing.isEmpty()
                ? answer.path("message").asString("") + task
                : "Task was already submitted" + task + ", " + existing
                        + (TaskState.hasEnded(existing) ? "; it will not run again" : "");
    }

    private static TaskState awaitEnd(Coordinator coordinator, String taskId) {
        try {
            TaskState task = coordinator.task(taskId, POLL_INTERVAL);
            while (!task.hasEnded()) {
                task = coordinator.task(taskId, POLL_INTERVAL);
            }
            return task;
        } catch (CommandFailedException e) {
            throw new CommandFailedException(
                    e.getMessage() + System.lineSeparator() + "Task " + taskId + " was accepted and continues.");
        }
    }

    private ObjectNode task(String taskData) {
        ObjectNode task = Json.object();
        try {
            task.set("task_data", Json.read(taskData, ObjectNode.class));
        } catch (Json.MalformedMessageException e) {
            throw usageError("--data must be a JSON object: " + e.getMessage());
        }
        ObjectNode requirements = Json.object();
        put(requirements, "capabilities", capabilities.isEmpty() ? null : capabilities);
        put(requirements, "resources", resources.isEmpty() ? null : resources);
        put(requirements, "agent_type", agentType);
        put(requirements, "region", region);
        put(requirements, "agent_id", agentId);
        put(task, "task_id", id);
        put(task, "priority", priority);
        put(task, "max_attempts", maxAttempts);
        put(task, "timeout_seconds", timeoutSeconds);
        put(task, "fairness_key", fairnessKey);
        put(task, "fairness_weight", fairnessWeight);
        put(task, "labels", labels.isEmpty() ? null : labels);
        put(task, "uses", uses.isEmpty() ? null : uses);
        put(task, "requirements", requirements.isEmpty() ? null : requirements);
        return task;
    }

    private static void put(ObjectNode json, String field, @Nullable Object value) {
        if (value != null) {
            json.set(field, Json.tree(value));
        }
    }

    private void submitAll(Path tasks) throws InterruptedException {
        rejectOptionsWithFile();
        Coordinator coordinator = agentctl.coordinator();
        Submission submission = new Submission(coordinator);
        try (TaskFile lines = open(tasks);
                Progress progress = Progress.of(agentctl.terminal(), "Submitting", lines.count())) {
            submission.submit(lines, progress);
        } catch (IOException e) {
            throw new CommandFailedException(tasks + " cannot be read: " + e.getMessage());
        }
        warn(submission.warnings());
        CompletionTracker tracker = new CompletionTracker(coordinator);
        try {
            if (wait) {
                await(tracker, submission);
            }
        } finally {
            agentctl.write(json(submission, tracker), out -> print(submission, tracker, out));
        }
        requireAllCompleted(submission, tracker);
    }

    private void await(CompletionTracker tracker, Submission submission) throws InterruptedException {
        try (Progress progress =
                Progress.of(agentctl.terminal(), "Waiting", submission.ids().size())) {
            tracker.await(submission.ids(), progress);
        }
    }

    private static void print(Submission submission, CompletionTracker tracker, PrintWriter out) {
        out.println(submission.sentence());
        if (!tracker.counts().isEmpty()) {
            Table table = new Table(Table.left("OUTCOME"), Table.right("TASKS"));
            tracker.counts().forEach(table::row);
            table.print(out);
        }
    }

    private ObjectNode json(Submission submission, CompletionTracker tracker) {
        ObjectNode json = Json.object()
                .put("accepted", submission.accepted())
                .put("repeated", submission.repeated())
                .put("refused", submission.refusals().size());
        json.set("existing", Json.tree(submission.existing()));
        json.set("refusals", Json.tree(submission.refusals()));
        json.set("warnings", Json.tree(submission.warnings()));
        json.set("task_ids", Json.tree(submission.ids()));
        if (wait) {
            json.set("ended", Json.tree(tracker.counts()));
            json.set(
                    "not_completed",
                    Json.tree(
                            tracker.notCompleted().stream().map(TaskState::json).toList()));
        }
        return json;
    }

    private static void requireAllCompleted(Submission submission, CompletionTracker tracker) {
        List<String> sentences = Stream.concat(
                        submission.refusals().stream().map(Submission.Refusal::sentence),
                        tracker.notCompleted().stream().map(TaskState::outcome))
                .toList();
        if (!sentences.isEmpty()) {
            throw new CommandFailedException(shown(sentences));
        }
    }

    /** Prints warnings about accepted input that has no effect, such as misspelt fields. */
    private void warn(List<String> warnings) {
        if (!warnings.isEmpty()) {
            PrintWriter err = spec.commandLine().getErr();
            err.println(shown(
                    warnings.stream().map(warning -> "Warning: " + warning).toList()));
            err.flush();
        }
    }

    private static String shown(List<String> sentences) {
        int more = sentences.size() - MAX_SENTENCES;
        return String.join(System.lineSeparator(), sentences.subList(0, Math.min(MAX_SENTENCES, sentences.size())))
                + (more > 0 ? System.lineSeparator() + "and " + more + " more" : "");
    }

    /** Rejects single-task options in combination with --file. */
    private void rejectOptionsWithFile() {
        String ofOne = spec.commandLine().getParseResult().matchedOptions().stream()
                .map(OptionSpec::longestName)
                .filter(option -> !ALLOWED_WITH_FILE.contains(option))
                .distinct()
                .collect(Collectors.joining(", "));
        if (!ofOne.isEmpty()) {
            throw usageError(ofOne + " cannot be combined with --file: the file describes its tasks completely.");
        }
    }

    private TaskFile open(Path tasks) throws IOException {
        if (tasks.toString().equals("-")) {
            return TaskFile.of(agentctl.terminal().in());
        }
        if (!Files.isReadable(tasks) || Files.isDirectory(tasks)) {
            throw usageError(tasks + " is not a readable file.");
        }
        return TaskFile.of(tasks);
    }

    private ParameterException usageError(String sentence) {
        return new ParameterException(spec.commandLine(), sentence);
    }
}
