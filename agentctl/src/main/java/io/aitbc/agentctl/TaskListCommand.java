package io.aitbc.agentctl;

import static io.aitbc.agentctl.Table.left;
import static io.aitbc.agentctl.Table.right;

import java.io.PrintWriter;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import tools.jackson.databind.JsonNode;

@Command(
        name = "list",
        sortOptions = false,
        description = {"Lists tasks, also those that ended in the last 30 days. Requires a history.", Conditions.NAMES})
final class TaskListCommand implements Callable<Integer> {
    private final Agentctl agentctl;

    @Mixin
    private Conditions conditions = new Conditions();

    @Option(
            names = "--sort",
            paramLabel = "FIELD",
            defaultValue = "-submitted_at",
            description = "submitted_at or finished_at; with a - in front, latest first; default: -submitted_at")
    private String sort = "";

    @Option(
            names = "--limit",
            paramLabel = "N",
            defaultValue = "50",
            description = "Maximum number of tasks, up to 1000; default: 50")
    private int limit;

    @Option(
            names = "--cursor",
            paramLabel = "CURSOR",
            description = "The next page, as the last line of a page names it")
    private @Nullable String cursor;

    TaskListCommand(Agentctl agentctl) {
        this.agentctl = agentctl;
    }

    @Override
    public Integer call() {
        StringBuilder query = new StringBuilder("/tasks?limit=" + limit + "&sort=" + encoded(sort));
        conditions.filter().properties().forEach(condition -> {
            JsonNode value = condition.getValue();
            if (value.isArray()) {
                value.forEach(one -> add(condition.getKey(), one.asString(), query));
            } else {
                add(condition.getKey(), value.asString(), query);
            }
        });
        if (cursor != null) {
            query.append("&cursor=").append(encoded(cursor));
        }
        JsonNode page = agentctl.coordinator().get(query.toString());
        agentctl.write(page, out -> print(page, out));
        return 0;
    }

    private static void add(String name, String value, StringBuilder query) {
        query.append('&').append(encoded(name)).append('=').append(encoded(value));
    }

    private static String encoded(String text) {
        return URLEncoder.encode(text, StandardCharsets.UTF_8);
    }

    private static void print(JsonNode page, PrintWriter out) {
        Instant now = Instant.parse(page.path("timestamp").asString());
        Table table = new Table(
                left("TASK"),
                left("STATUS"),
                right("ATTEMPT"),
                left("AGENT"),
                left("TYPE"),
                left("SUBMITTED"),
                right("TOOK"),
                left("ERROR"));
        for (JsonNode task : page.path("tasks")) {
            table.row(
                    task.path("task_id").asString(""),
                    task.path("status").asString(""),
                    task.path("attempt").asInt(),
                    task.path("agent_id").asString(""),
                    task.path("task_type").asString(""),
                    task.hasNonNull("submitted_at")
                            ? Ages.between(
                                    Instant.parse(task.path("submitted_at").asString()), now)
                            : "",
                    took(task),
                    error(task.path("error")));
        }
        table.print(out);
        List<String> last = new ArrayList<>();
        last.add((page.path("count_exact").asBoolean() ? "" : "about ")
                + String.format(Locale.ROOT, "%,d", page.path("count").asLong())
                + (page.path("count").asLong() == 1 ? " task" : " tasks"));
        if (page.hasNonNull("next_cursor")) {
            last.add("next page: --cursor " + page.path("next_cursor").asString());
        }
        out.println();
        out.println(String.join("; ", last));
    }

    /** How long an attempt took; the last one of a task. */
    static String took(JsonNode task) {
        if (!task.hasNonNull("assigned_at") || !task.hasNonNull("finished_at")) {
            return "";
        }
        Duration took = Duration.between(
                Instant.parse(task.path("assigned_at").asString()),
                Instant.parse(task.path("finished_at").asString()));
        return took.toMinutes() < 1 ? String.format(Locale.ROOT, "%.1f s", took.toMillis() / 1_000.0) : Ages.of(took);
    }

    static String error(JsonNode error) {
        return error.isMissingNode() ? "" : error.isString() ? error.asString() : error.toString();
    }
}
