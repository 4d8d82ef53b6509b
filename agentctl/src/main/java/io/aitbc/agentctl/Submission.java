package io.aitbc.agentctl;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.aitbc.agentctl.TaskFile.Line;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/** Submits the tasks of a file in batches, and collects the outcome of each task. */
final class Submission {
    private final Coordinator coordinator;
    private final Set<String> ids = new LinkedHashSet<>();
    private final List<Refusal> refusals = new ArrayList<>();
    private final List<String> warnings = new ArrayList<>();
    private long accepted;
    /** Number of tasks that had already been submitted, by current status. */
    private final Map<String, Long> existing = new TreeMap<>();

    record Refusal(
            @JsonProperty("line") int line,
            @JsonProperty("detail") String detail) {
        String sentence() {
            return "Line " + line + " was refused: " + detail;
        }
    }

    Submission(Coordinator coordinator) {
        this.coordinator = coordinator;
    }

    void submit(TaskFile file, Progress progress) throws IOException {
        for (List<Line> batch = file.nextBatch(); !batch.isEmpty(); batch = file.nextBatch()) {
            submit(batch);
            progress.by(batch.size());
        }
    }

    private void submit(List<Line> batch) {
        try {
            coordinator
                    .submitLines(batch.stream().map(Line::text).collect(Collectors.joining("\n")))
                    .path("results")
                    .forEach(result -> recordOutcome(batch, result));
        } catch (CommandFailedException e) {
            String refusal = ofOneTask(e, batch);
            if (refusal == null) {
                throw broken(e, batch.get(0));
            }
            refusals.add(new Refusal(batch.get(0).number(), refusal));
        }
    }

    private void recordOutcome(List<Line> batch, JsonNode result) {
        String status = result.path("status").asString("");
        int line = batch.get(result.path("index").asInt()).number();
        result.path("warnings").forEach(warning -> warnings.add("line " + line + ": " + warning.asString("") + "."));
        if (status.equals("refused")) {
            refusals.add(new Refusal(line, result.path("detail").asString("")));
        } else {
            ids.add(result.path("task_id").asString());
            if (status.equals("repeated")) {
                existing.merge(result.path("existing_status").asString("unknown"), 1L, Long::sum);
            } else {
                accepted++;
            }
        }
    }

    /** Returns the ids of the tasks known to the coordinator, whether submitted now or earlier. */
    Set<String> ids() {
        return ids;
    }

    long accepted() {
        return accepted;
    }

    long repeated() {
        return existing.values().stream().mapToLong(Long::longValue).sum();
    }

    Map<String, Long> existing() {
        return existing;
    }

    /** Returns warnings about accepted input that has no effect, one sentence each. */
    List<String> warnings() {
        return warnings;
    }

    List<Refusal> refusals() {
        return refusals;
    }

    String sentence() {
        return String.format(Locale.ROOT, "%,d %s accepted", accepted, accepted == 1 ? "task" : "tasks")
                + (existing.isEmpty()
                        ? ""
                        : String.format(Locale.ROOT, ", %,d already submitted (%s)", repeated(), statuses()))
                + (refusals.isEmpty() ? "" : String.format(Locale.ROOT, ", %,d refused", refusals.size()));
    }

    private String statuses() {
        return existing.entrySet().stream()
                .map(status -> String.format(Locale.ROOT, "%,d %s", status.getValue(), status.getKey()))
                .collect(Collectors.joining(", "));
    }

    /** Returns why a single task, such as one too large to share a batch, was refused; null if the error is not specific to the task. */
    private static @Nullable String ofOneTask(CommandFailedException e, List<Line> batch) {
        return batch.size() == 1 && e instanceof Coordinator.RefusedException refused && refused.status() < 500
                ? refused.getMessage()
                : null;
    }

    private CommandFailedException broken(CommandFailedException e, Line from) {
        return new CommandFailedException(e.getMessage() + System.lineSeparator() + sentence()
                + " before the error: resubmit from line " + from.number()
                + ", or the whole file if each task has a task_id.");
    }
}
