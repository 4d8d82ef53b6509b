package io.aitbc.coordinator.settle;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.TaskResult;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.kafka.CommitTag;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.kafka.TopicHistory;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.function.Consumer;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.utils.Utils;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Finds results that agents have reported but no coordinator has settled. A result counts from when it was reported, not from when it is
 * read: the owner of its partition may be paused, or an open transaction may block it. So before overdue attempts are requeued, the
 * unsettled part of {@code tasks.results} is searched for them.
 *
 * <p>Committed records are searched up to the last stable offset, open transactions from there to the high watermark. Only attempts
 * reported there are held off; one hanging client does not stop the recovery of others. Owned by one thread.
 */
final class UnreadResults implements AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(UnreadResults.class);

    /** Beyond this backlog of results, all recovery is held off until their readers have caught up. */
    static final long MAX_SEARCHED = 200_000;

    private final Admin admin;
    private final Topics topics;
    private final KafkaClients clients;
    private final ResultRecords results;
    private @Nullable TopicHistory committed;
    private @Nullable TopicHistory uncommitted;

    UnreadResults(KafkaClients clients, Admin admin, Topics topics, ResultRecords results) {
        this.results = results;
        this.clients = clients;
        this.admin = admin;
        this.topics = topics;
    }

    /** Partition → the first offset whose result may be unsettled. */
    Map<TopicPartition, Long> unsettledFrom() throws InterruptedException {
        return unsettledFrom(admin, topics);
    }

    /**
     * Attempts found in unread results, by assignment id.
     *
     * @param any attempts with a progress report or a final result
     * @param ended attempts with a final result
     */
    record Reported(Set<String> any, Set<String> ended) {
        static final Reported NONE = new Reported(Set.of(), Set.of());
    }

    /**
     * The given attempts that their agents reported before this call, at or after given offsets.
     *
     * @param agentIds by assignment id, as formatted by {@link Assignment#id}
     * @param unsettled {@link #unsettledFrom()}, queried before Redis was asked for the attempts: a result is then found here, or was
     *     settled before Redis answered
     */
    Reported reportedAmong(Map<String, String> agentIds, Map<TopicPartition, Long> unsettled)
            throws InterruptedException {
        if (agentIds.isEmpty()) {
            return Reported.NONE;
        }
        Map<TopicPartition, Long> stable = ends(unsettled.keySet());
        if (backlogSize(unsettled, stable) > MAX_SEARCHED) {
            log.atDebug().log("More than {} results are unread: recovery is held off", MAX_SEARCHED);
            return new Reported(agentIds.keySet(), agentIds.keySet());
        }
        Reported reported = new Reported(new HashSet<>(), new HashSet<>());
        Consumer<ConsumerRecord<byte[], byte[]>> take = record -> {
            TaskResult result = results.readOrNull(record);
            if (result != null) {
                String id = Assignment.id(result.taskId(), result.attempt());
                if (result.agentId().equals(agentIds.get(id))) {
                    reported.any.add(id);
                    if (result.status() != TaskResult.Status.PROGRESS) {
                        reported.ended.add(id);
                    }
                }
            }
        };
        if (committed == null) {
            committed = new TopicHistory(clients, IsolationLevel.READ_COMMITTED);
        }
        if (uncommitted == null) {
            uncommitted = new TopicHistory(clients, IsolationLevel.READ_UNCOMMITTED);
        }
        committed.read(unsettled, take);
        uncommitted.read(stable, take);
        return reported;
    }

    @Override
    public void close() {
        Utils.closeQuietly(committed, "committed results");
        Utils.closeQuietly(uncommitted, "uncommitted results");
    }

    /** Partition → the first offset whose result may be unsettled. Queried before the ends, so that no record falls between. */
    static Map<TopicPartition, Long> unsettledFrom(Admin admin, Topics topics) throws InterruptedException {
        try {
            TopicDescription topic = Objects.requireNonNull(admin.describeTopics(Set.of(topics.results()))
                    .allTopicNames()
                    .get()
                    .get(topics.results()));
            Map<TopicPartition, Long> from = settledUpTo(admin, topics, topic.topicId());
            Map<TopicPartition, OffsetSpec> wanted = new HashMap<>();
            for (TopicPartitionInfo partition : topic.partitions()) {
                wanted.put(new TopicPartition(topics.results(), partition.partition()), OffsetSpec.earliest());
            }
            // Records deleted by retention do not count.
            admin.listOffsets(wanted)
                    .all()
                    .get()
                    .forEach((partition, start) -> from.merge(partition, start.offset(), Math::max));
            return from;
        } catch (ExecutionException e) {
            throw new KafkaException(e.getCause());
        }
    }

    private static Map<TopicPartition, Long> settledUpTo(Admin admin, Topics topics, Uuid topicId)
            throws InterruptedException, ExecutionException {
        Map<TopicPartition, Long> offsets = new HashMap<>();
        try {
            for (Map.Entry<TopicPartition, OffsetAndMetadata> entry : admin.listConsumerGroupOffsets(
                            ResultLoop.group(topics))
                    .partitionsToOffsetAndMetadata()
                    .get()
                    .entrySet()) {
                OffsetAndMetadata commit = entry.getValue();
                if (commit != null
                        && entry.getKey().topic().equals(topics.results())
                        && !CommitTag.isForOtherTopic(topicId, commit.metadata())) {
                    offsets.put(entry.getKey(), commit.offset());
                }
            }
        } catch (ExecutionException e) {
            if (!(e.getCause() instanceof GroupIdNotFoundException)) {
                throw e;
            }
        }
        return offsets;
    }

    private Map<TopicPartition, Long> ends(Set<TopicPartition> partitions) throws InterruptedException {
        Map<TopicPartition, OffsetSpec> wanted = new HashMap<>();
        partitions.forEach(partition -> wanted.put(partition, OffsetSpec.latest()));
        try {
            Map<TopicPartition, Long> ends = new HashMap<>();
            admin.listOffsets(wanted, new ListOffsetsOptions(IsolationLevel.READ_COMMITTED))
                    .all()
                    .get()
                    .forEach((partition, end) -> ends.put(partition, end.offset()));
            return ends;
        } catch (ExecutionException e) {
            throw new KafkaException(e.getCause());
        }
    }

    private static long backlogSize(Map<TopicPartition, Long> unsettled, Map<TopicPartition, Long> stable) {
        return unsettled.entrySet().stream()
                .mapToLong(from -> Math.max(0, stable.getOrDefault(from.getKey(), 0L) - from.getValue()))
                .sum();
    }
}
