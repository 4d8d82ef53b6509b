package io.aitbc.agentctl;

import static io.aitbc.agentctl.Table.left;
import static io.aitbc.agentctl.Table.right;

import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Json;
import java.io.PrintWriter;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

@Command(name = "agents", description = "Lists agents, or shows one agent and its assignments.", sortOptions = false)
final class AgentsCommand implements Callable<Integer> {
    /** The coordinator's maximum page size. */
    private static final int PAGE = 10_000;

    private final Agentctl agentctl;

    @Spec
    private CommandSpec spec;

    @Parameters(arity = "0..1", paramLabel = "ID", description = "Agent id; all agents if absent")
    private @Nullable String id;

    @Option(
            names = "--status",
            paramLabel = "STATUS",
            completionCandidates = ArgumentTypes.Statuses.class,
            description = "Only agents with this status: ${COMPLETION-CANDIDATES}")
    private @Nullable AgentStatus status;

    @Option(
            names = "--sort",
            paramLabel = "COLUMN",
            description = "Sort by ${COMPLETION-CANDIDATES}; default: id. The least healthy, most loaded or"
                    + " longest-silent agent is listed first")
    private @Nullable Sort sort;

    AgentsCommand(Agentctl agentctl) {
        this.agentctl = agentctl;
    }

    /** Ties are ordered by id: the coordinator returns agents in that order, and sorting is stable. */
    enum Sort {
        ID(Comparator.comparing(agent -> agent.path("agent_id").asString(""))),
        TYPE(Comparator.comparing(agent -> agent.path("agent_type").asString(""))),
        STATUS(Comparator.comparing(agent -> agent.path("status").asString(""))),
        HEALTH(Comparator.comparing(agent -> agent.path("health_score").asDouble())),
        LOAD(Comparator.<JsonNode, Double>comparing(
                        agent -> (double) agent.path("inflight").asLong()
                                / Math.max(1, agent.path("capacity").asLong()))
                .reversed()),
        REGION(Comparator.comparing(agent -> agent.path("region").asString(""))),
        HEARTBEAT(Comparator.comparing(agent -> agent.path("last_heartbeat").asString("")));

        private final Comparator<JsonNode> order;

        Sort(Comparator<JsonNode> order) {
            this.order = order;
        }

        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    @Override
    public Integer call() {
        if (id == null) {
            showAll();
        } else if (status == null && sort == null) {
            showOne(id);
        } else {
            throw new ParameterException(
                    spec.commandLine(), "--status and --sort cannot be combined with an agent id.");
        }
        return 0;
    }

    private void showAll() {
        Coordinator coordinator = agentctl.coordinator();
        List<JsonNode> agents = new ArrayList<>();
        ObjectNode page;
        do {
            page = (ObjectNode) coordinator.get("/agents?limit=" + PAGE + "&offset=" + agents.size()
                    + (status == null ? "" : "&status=" + status.wireName()));
            page.path("agents").forEach(agents::add);
        } while (page.path("count").asInt() > 0
                && agents.size() < page.path("total").asInt());
        if (sort != null) {
            agents.sort(sort.order);
        }
        page.putArray("agents").addAll(agents);
        page.put("count", agents.size());
        Instant now = Instant.parse(page.path("timestamp").asString());
        agentctl.write(page, out -> table(agents, now).print(out));
    }

    private static Table table(List<JsonNode> agents, Instant now) {
        Table table = new Table(
                left("AGENT"),
                left("TYPE"),
                left("STATUS"),
                right("HEALTH"),
                right("LOAD"),
                left("REGION"),
                right("HEARTBEAT"));
        agents.forEach(agent -> table.row(
                agent.path("agent_id").asString(""),
                agent.path("agent_type").asString(""),
                agent.path("status").asString(""),
                health(agent),
                load(agent),
                TaskState.text(agent.path("region")),
                age(agent, "last_heartbeat", now)));
        return table;
    }

    private void showOne(String agentId) {
        Coordinator coordinator = agentctl.coordinator();
        String path = "/agents/" + Coordinator.segment(agentId);
        JsonNode found = coordinator.get(path);
        JsonNode held = coordinator.get(path + "/assignments");
        ObjectNode both = Json.object();
        both.set("agent", found.path("agent"));
        both.set("assignments", held.path("assignments"));
        both.put("total", held.path("total").asInt());
        Instant now = Instant.parse(found.path("timestamp").asString());
        agentctl.write(both, out -> printOne(both, now, out));
    }

    private static void printOne(JsonNode both, Instant now, PrintWriter out) {
        JsonNode agent = both.path("agent");
        String costs = texts(agent.path("health").path("costs"), "; ");
        Table.ofOne()
                .row("agent", agent.path("agent_id").asString(""))
                .row("type", agent.path("agent_type").asString(""))
                .row("status", agent.path("status").asString(""))
                .row("health", health(agent) + (costs.isEmpty() ? "" : ": " + costs))
                .row("load", load(agent))
                .row("resources", resources(agent))
                .row("capabilities", texts(agent.path("capabilities"), " "))
                .row("services", texts(agent.path("services"), " "))
                .row("tags", texts(agent.path("tags"), " "))
                .row("region", TaskState.text(agent.path("region")))
                .row("version", agent.path("version").asString(""))
                .row("registered", age(agent, "registration_time", now))
                .row("heartbeat", age(agent, "last_heartbeat", now))
                .print(out);
        JsonNode assignments = both.path("assignments");
        if (!assignments.isEmpty()) {
            Table table = new Table(left("TASK"), right("ATTEMPT"), right("ASSIGNED"), right("DUE"));
            assignments.forEach(held -> table.row(
                    held.path("task_id").asString(""),
                    held.path("attempt").asInt(),
                    age(held, "assigned_at", now),
                    age(held, "deadline", now)));
            out.println();
            table.print(out);
            int more = both.path("total").asInt() - assignments.size();
            if (more > 0) {
                out.println("and " + more + " more");
            }
        }
    }

    private static String health(JsonNode agent) {
        return String.format(Locale.ROOT, "%.2f", agent.path("health_score").asDouble());
    }

    private static String load(JsonNode agent) {
        return agent.path("inflight").asLong() + "/" + agent.path("capacity").asLong();
    }

    /** What is in use of what it declares. */
    private static String resources(JsonNode agent) {
        return agent.path("resources")
                .propertyStream()
                .map(one -> agent.path("resources_in_use").path(one.getKey()).asString("0") + "/"
                        + one.getValue().asString() + " " + one.getKey())
                .collect(Collectors.joining("  "));
    }

    private static String age(JsonNode json, String field, Instant now) {
        return json.path(field).isString()
                ? Ages.between(Instant.parse(json.path(field).asString()), now)
                : Table.EMPTY_CELL;
    }

    private static String texts(JsonNode array, String between) {
        return array.valueStream().map(TaskState::text).collect(Collectors.joining(between));
    }
}
