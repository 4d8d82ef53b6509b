package io.aitbc.agentctl;

import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Json;
import java.time.Duration;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

@Command(
        name = "drain",
        description = "Stops assigning tasks to an agent and waits until it holds none, so that it can be stopped.",
        sortOptions = false)
final class DrainCommand implements Callable<Integer> {
    private static final Duration POLL_INTERVAL = Duration.ofMillis(500);

    private final Agentctl agentctl;

    @Spec
    private CommandSpec spec;

    @Parameters(paramLabel = "ID", description = "Agent id")
    private String id = "";

    @Option(names = "--no-wait", description = "Return without waiting for the tasks the agent holds")
    private boolean noWait;

    @Option(names = "--undo", description = "Undo the drain: assign tasks to the agent again")
    private boolean undo;

    DrainCommand(Agentctl agentctl) {
        this.agentctl = agentctl;
    }

    @Override
    public Integer call() throws InterruptedException {
        if (undo && noWait) {
            throw new ParameterException(spec.commandLine(), "--no-wait cannot be combined with --undo.");
        }
        Coordinator coordinator = agentctl.coordinator();
        String path = "/agents/" + Coordinator.segment(id);
        change(coordinator, path, undo ? AgentStatus.ACTIVE : AgentStatus.MAINTENANCE);
        JsonNode agent = coordinator.get(path).path("agent");
        if (!undo && !noWait) {
            agent = awaitDrained(coordinator, path, agent);
        }
        agentctl.write(summary(agent), sentence(agent));
        return 0;
    }

    private static void change(Coordinator coordinator, String path, AgentStatus status) {
        coordinator.put(path + "/status", Json.object().put("status", status.wireName()));
    }

    private JsonNode awaitDrained(Coordinator coordinator, String path, JsonNode first) throws InterruptedException {
        JsonNode agent = first;
        int most = held(first);
        try (Progress progress = most == 0 ? Progress.none() : Progress.of(agentctl.terminal(), "Draining", most)) {
            while (held(agent) > 0) {
                requireDraining(agent);
                TimeUnit.MILLISECONDS.sleep(POLL_INTERVAL.toMillis());
                agent = coordinator.get(path).path("agent");
                progress.to(Math.max(0, most - held(agent)));
            }
        }
        return agent;
    }

    /** Another operator may undo the drain; the agent would then never become idle. */
    private void requireDraining(JsonNode agent) {
        String status = agent.path("status").asString("");
        if (status.equals(AgentStatus.ACTIVE.wireName())) {
            throw new CommandFailedException("Agent " + id + " is active again: the drain was undone.");
        }
    }

    private static ObjectNode summary(JsonNode agent) {
        return Json.object()
                .put("agent_id", agent.path("agent_id").asString(""))
                .put("status", agent.path("status").asString(""))
                .put("inflight", held(agent))
                .put("drained", agent.path("drained").asBoolean(false));
    }

    private String sentence(JsonNode agent) {
        int held = held(agent);
        String tasks = held + (held == 1 ? " task" : " tasks");
        if (undo) {
            return "Agent " + id + " accepts tasks again.";
        }
        return held == 0
                ? "Agent " + id + " accepts no new tasks and holds none."
                : "Agent " + id + " accepts no new tasks and holds " + tasks + ".";
    }

    private static int held(JsonNode agent) {
        return agent.path("inflight").asInt();
    }
}
