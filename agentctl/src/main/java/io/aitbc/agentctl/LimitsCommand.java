package io.aitbc.agentctl;

import static io.aitbc.agentctl.Table.left;
import static io.aitbc.agentctl.Table.right;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Limit;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;
import tools.jackson.databind.JsonNode;

@Command(
        name = "limits",
        description = "Lists limits, such as of a provider's API, and what is used of them, and defines them.",
        sortOptions = false)
final class LimitsCommand implements Callable<Integer> {
    private static final String NAME = "Name of the limit, such as openai/gpt-5";

    private final Agentctl agentctl;

    LimitsCommand(Agentctl agentctl) {
        this.agentctl = agentctl;
    }

    @Override
    public Integer call() {
        JsonNode response = agentctl.coordinator().get("/limits");
        Table table = new Table(
                left("LIMIT"),
                left("ALLOWS"),
                right("IN USE"),
                right("ROOM"),
                right("SPENT"),
                right("WAITING"),
                right("OLDEST"));
        for (JsonNode limit : response.path("limits")) {
            table.row(
                    limit.path("name").asString(""),
                    allows(limit.path("limit")),
                    limit.path("in_use").asString(""),
                    limit.path("room").asString(""),
                    limit.at("/budget/spent").asString(""),
                    limit.path("waiting").asString(""),
                    limit.has("oldest_age_seconds")
                            ? Ages.of(Duration.ofSeconds(
                                    (long) limit.get("oldest_age_seconds").asDouble()))
                            : "");
        }
        agentctl.write(response, table::print);
        return 0;
    }

    private static String allows(JsonNode limit) {
        List<String> parts = new ArrayList<>();
        if (limit.hasNonNull("concurrency")) {
            parts.add(limit.get("concurrency").asString() + " at once");
        }
        JsonNode rate = limit.path("rate");
        if (rate.isObject()) {
            parts.add(rate.path("units").asString() + " per "
                    + seconds(rate.path("per_seconds").asDouble()) + " s, burst "
                    + rate.path("burst").asString());
        }
        JsonNode budget = limit.path("budget");
        if (budget.isObject()) {
            parts.add(budget.path("units").asString() + " per "
                    + budget.path("per").asString());
        }
        return String.join("; ", parts);
    }

    private static String seconds(double seconds) {
        return seconds == Math.rint(seconds) ? String.valueOf((long) seconds) : String.valueOf(seconds);
    }

    @Command(name = "show", description = "Shows a limit, what is used of it, and which tasks hold it.")
    int show(@Parameters(paramLabel = "NAME", description = NAME) String name) {
        JsonNode response = agentctl.coordinator().get(path(name));
        JsonNode limit = response.path("limit");
        Table table = new Table(left("TASK"), right("UNITS"), left("AGENT"), left("SINCE"));
        for (JsonNode holder : limit.path("holders")) {
            table.row(
                    holder.path("task_id").asString(""),
                    holder.path("units").asString(""),
                    holder.path("agent_id").asString(""),
                    holder.path("since").asString(""));
        }
        agentctl.write(response, out -> {
            out.println(name + ": " + allows(limit.path("limit")) + "; in use "
                    + limit.path("in_use").asString("-") + ", waiting "
                    + limit.path("waiting").asString("-")
                    + (limit.has("next_unit_at")
                            ? ", next unit at " + limit.get("next_unit_at").asString()
                            : "")
                    + (limit.has("closed_until")
                            ? ", closed until " + limit.get("closed_until").asString() + " because an agent said so"
                            : ""));
            table.print(out);
        });
        return 0;
    }

    @Command(
            name = "set",
            description = "Defines a limit. Example: agentctl limits set openai/gpt-5 '{\"concurrency\": 8}'")
    int set(
            @Parameters(
                            paramLabel = "NAME",
                            description = NAME + "; one that ends in * gives each matching name its own")
                    String name,
            @Parameters(paramLabel = "JSON", description = "Definition, in the format of PUT /limits/{name}")
                    String definition) {
        JsonNode body;
        try {
            body = Json.read(definition, JsonNode.class);
        } catch (Json.MalformedMessageException e) {
            throw new CommandFailedException("The definition is not JSON: " + e.getMessage());
        }
        JsonNode response = agentctl.coordinator().put(path(name), body);
        agentctl.write(response, response.path("message").asString("") + ".");
        return 0;
    }

    @Command(name = "remove", description = "Removes a limit.")
    int remove(@Parameters(paramLabel = "NAME", description = NAME) String name) {
        JsonNode response = agentctl.coordinator().delete(path(name));
        agentctl.write(response, response.path("message").asString("") + ".");
        return 0;
    }

    /** A name may have slashes. */
    private static String path(String name) {
        try {
            Limit.checkName(name);
        } catch (IllegalArgumentException e) {
            throw new CommandFailedException(String.valueOf(e.getMessage()));
        }
        return List.of(name.split("/", -1)).stream()
                .map(Coordinator::segment)
                .collect(Collectors.joining("/", "/limits/", ""));
    }
}
