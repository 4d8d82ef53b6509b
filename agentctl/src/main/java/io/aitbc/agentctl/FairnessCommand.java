package io.aitbc.agentctl;

import static io.aitbc.agentctl.Table.left;
import static io.aitbc.agentctl.Table.right;

import io.aitbc.contracts.Json;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;
import tools.jackson.databind.JsonNode;

@Command(
        name = "fairness",
        description = "Lists the fairness keys that wait, such as tenants, and sets their weights.",
        sortOptions = false)
final class FairnessCommand implements Callable<Integer> {
    private final Agentctl agentctl;

    FairnessCommand(Agentctl agentctl) {
        this.agentctl = agentctl;
    }

    @Override
    public Integer call() {
        JsonNode response = agentctl.coordinator().get("/fairness");
        Table table = new Table(left("KEY"), right("WEIGHT"), right("WAITING"), right("OLDEST"));
        for (JsonNode key : response.path("keys")) {
            String name = key.path("fairness_key").asString("");
            table.row(
                    name.isEmpty() ? "(none)" : name,
                    key.path("weight").asString(""),
                    key.path("waiting").asString(Table.EMPTY_CELL),
                    key.has("oldest_age_seconds")
                            ? Ages.of(Duration.ofSeconds(
                                    (long) key.get("oldest_age_seconds").asDouble()))
                            : "");
        }
        agentctl.write(response, table::print);
        return 0;
    }

    @Command(name = "set", description = "Sets the weight of a key. It takes precedence over the weights of its tasks.")
    int set(
            @Parameters(paramLabel = "KEY", description = "The fairness key") String key,
            @Parameters(paramLabel = "WEIGHT", description = "Share beside other keys, 0.001 to 1000") double weight) {
        JsonNode response = agentctl.coordinator().put(path(key), Json.object().put("weight", weight));
        agentctl.write(response, response.path("message").asString("") + ".");
        return 0;
    }

    @Command(name = "unset", description = "Removes the weight of a key: those of its tasks apply again.")
    int unset(@Parameters(paramLabel = "KEY", description = "The fairness key") String key) {
        JsonNode response = agentctl.coordinator().delete(path(key));
        agentctl.write(response, response.path("message").asString("") + ".");
        return 0;
    }

    /** A key may have slashes. */
    private static String path(String key) {
        List<String> parts = List.of(key.split("/", -1));
        if (key.contains(";")
                || key.contains("%")
                || key.contains("\\")
                || parts.stream().anyMatch(part -> part.isEmpty() || part.equals(".") || part.equals(".."))) {
            throw new CommandFailedException("This key cannot be named in a path: give its tasks a fairness_weight.");
        }
        return parts.stream().map(Coordinator::segment).collect(Collectors.joining("/", "/fairness/", ""));
    }
}
