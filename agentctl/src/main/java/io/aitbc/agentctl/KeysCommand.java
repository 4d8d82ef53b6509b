package io.aitbc.agentctl;

import static io.aitbc.agentctl.Table.left;

import io.aitbc.contracts.Json;
import java.time.Duration;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

@Command(name = "keys", description = "Lists, creates and revokes API keys.", sortOptions = false)
final class KeysCommand implements Callable<Integer> {
    private final Agentctl agentctl;

    KeysCommand(Agentctl agentctl) {
        this.agentctl = agentctl;
    }

    @Override
    public Integer call() {
        JsonNode response = agentctl.coordinator().get("/keys");
        Table table = new Table(
                left("ID"),
                left("ROLE"),
                left("FOR"),
                left("CREATED"),
                left("EXPIRES"),
                left("LAST USED"),
                left("NAME"));
        for (JsonNode key : response.path("keys")) {
            table.row(
                    key.path("key_id").asString(""),
                    key.path("role").asString(""),
                    key.path("agent_id").asString(key.path("fairness_key").asString("")),
                    key.path("created_at").asString(""),
                    key.path("expires_at").asString("never"),
                    key.path("last_used_at").asString("never"),
                    key.path("name").asString(""));
        }
        agentctl.write(response, table::print);
        return 0;
    }

    @Command(name = "create", description = "Creates a key, and writes it to the standard output, this once.")
    int create(
            @Option(names = "--name", paramLabel = "NAME", required = true, description = "A name, for people")
                    String name,
            @Option(
                            names = "--role",
                            paramLabel = "ROLE",
                            required = true,
                            description = "admin, operator, submitter, agent or viewer")
                    String role,
            @Option(
                            names = "--agent",
                            paramLabel = "ID",
                            description = "For role agent: the agent's id, or a prefix followed by *")
                    @Nullable
                    String agent,
            @Option(
                            names = "--fairness-key",
                            paramLabel = "KEY",
                            description = "For role submitter: the only fairness key it may submit with and see")
                    @Nullable
                    String fairnessKey,
            @Option(names = "--expires-in-days", paramLabel = "DAYS", description = "Lifetime; unlimited if absent")
                    @Nullable
                    Integer days) {
        if (role.equals("agent") != (agent != null)) {
            throw new CommandFailedException("--agent is required for role agent, and for no other.");
        }
        ObjectNode body = Json.object().put("name", name).put("role", role);
        if (agent != null) {
            body.put("agent_id", agent);
        }
        if (fairnessKey != null) {
            body.put("fairness_key", fairnessKey);
        }
        if (days != null) {
            body.put("expires_in_seconds", Duration.ofDays(days).toSeconds());
        }
        JsonNode response = agentctl.coordinator().post("/keys", body);
        agentctl.write(response, response.path("api_key").asString(""));
        return 0;
    }

    @Command(name = "revoke", description = "Revokes a key on all coordinators.")
    int revoke(@Parameters(paramLabel = "ID", description = "The key's id, from `agentctl keys`") String id) {
        JsonNode response = agentctl.coordinator().delete("/keys/" + Coordinator.segment(id));
        agentctl.write(response, response.path("message").asString("") + ".");
        return 0;
    }
}
