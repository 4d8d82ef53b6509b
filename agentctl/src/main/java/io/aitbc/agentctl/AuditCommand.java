package io.aitbc.agentctl;

import static io.aitbc.agentctl.Table.left;
import static io.aitbc.agentctl.Table.right;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import tools.jackson.databind.JsonNode;

@Command(name = "audit", description = "Shows who did what over REST, newest first.", sortOptions = false)
final class AuditCommand implements Callable<Integer> {
    private final Agentctl agentctl;

    @Option(
            names = "--since",
            paramLabel = "AGE",
            description = "Only the last minutes, hours or days, such as 90s, 15m, 12h or 7d")
    private @Nullable Duration since;

    @Option(
            names = "--limit",
            paramLabel = "N",
            defaultValue = "50",
            description = "Maximum number of records, up to 1000; default: 50")
    private int limit;

    @Option(
            names = "--before",
            paramLabel = "OFFSET",
            description = "Only records before this offset, from the last row of the previous page")
    private @Nullable Long before;

    AuditCommand(Agentctl agentctl) {
        this.agentctl = agentctl;
    }

    @Override
    public Integer call() {
        JsonNode response = agentctl.coordinator()
                .get("/audit?limit=" + limit
                        + (since == null ? "" : "&since=" + Instant.now().minus(since))
                        + (before == null ? "" : "&before=" + before));
        Table table = new Table(
                right("OFFSET"),
                left("TIME"),
                left("WHO"),
                left("ROLE"),
                left("FROM"),
                right("STATUS"),
                left("ACTION"),
                left("DETAILS"));
        for (JsonNode record : response.path("records")) {
            table.row(
                    record.path("offset").asLong(),
                    record.path("at").asString(""),
                    record.at("/caller/name").asString(""),
                    record.at("/caller/role").asString(""),
                    from(record),
                    record.path("status").asInt(),
                    record.path("action").asString(""),
                    details(record));
        }
        agentctl.write(response, table::print);
        return 0;
    }

    /** The address that a proxy claims is not more certain than the proxy. */
    private static String from(JsonNode record) {
        String peer = record.path("remote_address").asString("");
        return record.path("forwarded_for").isString()
                ? record.path("forwarded_for").asString() + " via " + peer
                : peer;
    }

    private static String text(JsonNode value) {
        return value.isValueNode() ? value.asString() : value.toString();
    }

    private static String details(JsonNode record) {
        List<String> all = new ArrayList<>();
        record.path("details").properties().forEach(detail -> all.add(detail.getKey() + "=" + text(detail.getValue())));
        if (record.path("reason").isString()) {
            all.add("(" + record.path("reason").asString() + ")");
        }
        if (record.path("count").isNumber()) {
            all.add("× " + record.path("count").asLong());
        }
        return String.join(" ", all);
    }
}
