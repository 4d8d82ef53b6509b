package io.aitbc.coordinator.audit;

import io.aitbc.contracts.AuditRecord;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.kafka.RangeReader;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.common.TopicPartition;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Reads audit records, newest first. Thread-safe; each call opens its own reader. */
public final class AuditArchive {
    private static final Logger log = LoggerFactory.getLogger(AuditArchive.class);
    /** How far the clocks of coordinators may differ. */
    private static final Duration CLOCK_SLACK = Duration.ofMinutes(5);

    private static final Duration TIMEOUT = Duration.ofSeconds(10);

    private final KafkaClients clients;
    private final TopicPartition partition;

    AuditArchive(KafkaClients clients, Topics topics) {
        this.clients = clients;
        this.partition = new TopicPartition(topics.audit(), 0);
    }

    /** A record, with its offset for paging. */
    public record Entry(long offset, AuditRecord record) {}

    /**
     * The records below an offset, newest first; fewer than exist if reading times out.
     *
     * @param before {@link Long#MAX_VALUE} to start at the newest
     * @param since only what happened at or after this time
     */
    public List<Entry> list(long before, int limit, Instant since) {
        List<Entry> entries = new ArrayList<>();
        try (RangeReader reader = new RangeReader(clients)) {
            reader.readBackwards(partition, before, limit, TIMEOUT, record -> {
                try {
                    AuditRecord audit =
                            Json.read(record.value() == null ? new byte[0] : record.value(), AuditRecord.class);
                    if (!audit.at().isBefore(since)) {
                        entries.add(new Entry(record.offset(), audit));
                    }
                } catch (Json.MalformedMessageException e) {
                    log.atDebug().addKeyValue("offset", record.offset()).log("No audit record: {}", e.getMessage());
                }
                // What happened earlier was written earlier, by the clock of its coordinator.
                return entries.size() < limit
                        && record.timestamp() >= since.minus(CLOCK_SLACK).toEpochMilli();
            });
        }
        return entries;
    }
}
