package io.aitbc.agentctl;

import static io.aitbc.agentctl.Table.left;
import static io.aitbc.agentctl.Table.right;

import java.time.Instant;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import tools.jackson.databind.JsonNode;

@Command(
        name = "dead-letters",
        description = "Shows dead letters, newest first: failed tasks, and records that cannot be read.",
        sortOptions = false)
final class DeadLettersCommand implements Callable<Integer> {
    private final Agentctl agentctl;

    @Option(
            names = "--limit",
            paramLabel = "N",
            defaultValue = "50",
            description = "Maximum number of dead letters, up to 1000; default: 50")
    private int limit;

    @Option(
            names = "--before",
            paramLabel = "OFFSET",
            description = "Only dead letters before this offset, from the last row of the previous page")
    private @Nullable Long before;

    DeadLettersCommand(Agentctl agentctl) {
        this.agentctl = agentctl;
    }

    @Override
    public Integer call() {
        JsonNode page = agentctl.coordinator()
                .get("/tasks/dead-letter?limit=" + limit + (before == null ? "" : "&before=" + before));
        Instant now = Instant.parse(page.path("timestamp").asString());
        Table table = new Table(right("OFFSET"), left("WHEN"), left("TASK OR RECORD"), left("REASON"), left("DETAIL"));
        for (JsonNode letter : page.path("dead_letters")) {
            table.row(
                    letter.path("offset").asLong(),
                    Ages.between(Instant.parse(letter.path("dead_lettered_at").asString()), now),
                    letter.hasNonNull("source_topic")
                            ? letter.path("source_topic").asString() + "-"
                                    + letter.path("source_partition").asInt() + "@"
                                    + letter.path("source_offset").asLong()
                            : letter.path("task_id").asString(""),
                    letter.path("reason").asString(""),
                    letter.path("detail").asString(letter.path("text").asString("")));
        }
        agentctl.write(page, table::print);
        return 0;
    }
}
