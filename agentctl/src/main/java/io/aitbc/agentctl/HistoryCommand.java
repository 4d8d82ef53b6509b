package io.aitbc.agentctl;

import picocli.CommandLine.Command;
import tools.jackson.databind.JsonNode;

@Command(name = "history", description = "Maintains the history of tasks.")
final class HistoryCommand {
    private final Agentctl agentctl;

    HistoryCommand(Agentctl agentctl) {
        this.agentctl = agentctl;
    }

    @Command(description = "Reads all events again that Kafka still has, and adds what is missing in the history.")
    int rebuild() {
        JsonNode answer = agentctl.coordinator().post("/history/rebuild");
        agentctl.write(answer, answer.path("message").asString(""));
        return 0;
    }
}
