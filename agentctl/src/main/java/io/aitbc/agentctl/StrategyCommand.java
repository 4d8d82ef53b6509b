package io.aitbc.agentctl;

import io.aitbc.contracts.Json;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;
import tools.jackson.databind.JsonNode;

@Command(name = "strategy", description = "Shows the load-balancing strategy of the cluster, or switches it.")
final class StrategyCommand implements Callable<Integer> {
    private final Agentctl agentctl;

    @Parameters(paramLabel = "NAME", arity = "0..1", description = "The new strategy, such as least_connections")
    private @Nullable String name;

    StrategyCommand(Agentctl agentctl) {
        this.agentctl = agentctl;
    }

    @Override
    public Integer call() {
        Coordinator coordinator = agentctl.coordinator();
        if (name != null) {
            JsonNode answer =
                    coordinator.put("/load-balancer/strategy", Json.object().put("strategy", name));
            agentctl.write(answer, answer.path("message").asString(""));
            return 0;
        }
        JsonNode stats = coordinator.get("/load-balancer/stats");
        agentctl.write(stats, out -> {
            out.println(stats.at("/stats/strategy").asString());
            out.println("Others: "
                    + stats.at("/stats/strategies")
                            .valueStream()
                            .map(JsonNode::asString)
                            .filter(one ->
                                    !one.equals(stats.at("/stats/strategy").asString()))
                            .collect(Collectors.joining(", ")));
        });
        return 0;
    }
}
