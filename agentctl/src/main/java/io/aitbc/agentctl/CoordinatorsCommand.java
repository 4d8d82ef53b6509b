package io.aitbc.agentctl;

import static io.aitbc.agentctl.Table.left;
import static io.aitbc.agentctl.Table.right;

import java.time.Instant;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import tools.jackson.databind.JsonNode;

@Command(
        name = "coordinators",
        description = "Shows the coordinators of the cluster, and what each of them dispatches.")
final class CoordinatorsCommand implements Callable<Integer> {
    private final Agentctl agentctl;

    CoordinatorsCommand(Agentctl agentctl) {
        this.agentctl = agentctl;
    }

    @Override
    public Integer call() {
        JsonNode response = agentctl.coordinator().get("/coordinators");
        Instant now = Instant.parse(response.path("timestamp").asString());
        Table table = new Table(
                left("COORDINATOR"),
                left("REPORTED"),
                right("PARTITIONS"),
                right("WAITING"),
                right("IN/S"),
                right("OUT/S"),
                left("BACKLOG"));
        response.path("coordinators").properties().forEach(entry -> {
            JsonNode one = entry.getValue();
            table.row(
                    entry.getKey(),
                    Ages.between(Instant.parse(one.path("at").asString()), now),
                    one.path("partitions").asInt(),
                    one.path("waiting").asLong(),
                    sum(one.path("received_per_second")),
                    sum(one.path("assigned_per_second")),
                    one.path("backlog_full").asBoolean() ? "full" : "ok");
        });
        agentctl.write(response, table::print);
        return 0;
    }

    private static String sum(JsonNode byPriority) {
        return String.format(
                Locale.ROOT,
                "%.1f",
                byPriority.valueStream().mapToDouble(JsonNode::asDouble).sum());
    }
}
