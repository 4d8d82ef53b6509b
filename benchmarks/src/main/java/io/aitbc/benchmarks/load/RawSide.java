package io.aitbc.benchmarks.load;

import io.aitbc.benchmarks.cluster.ChildProcess;
import io.aitbc.benchmarks.cluster.Cluster;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.kafka.TopicCatalog;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.HdrHistogram.Histogram;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.common.config.TopicConfig;

/** The same topics and clients with a plain copy in between. */
public final class RawSide extends Side {
    private static final int PARTITIONS = 12;
    private static final int CREATE_BATCH = 500;

    private final Cluster cluster;
    private final boolean fenced;
    private final ChildProcess relay;

    public static RawSide bare(Cluster cluster, int agentCount) {
        return new RawSide(cluster, "raw.", agentCount, false);
    }

    /** Whether the relay has a {@link Fence}. */
    public static RawSide fenced(Cluster cluster, int agentCount) {
        return new RawSide(cluster, "fenced.", agentCount, true);
    }

    private RawSide(Cluster cluster, String prefix, int agentCount, boolean fenced) {
        super(createTopics(cluster, prefix, agentCount), prefix, agentCount, 1);
        this.cluster = cluster;
        this.fenced = fenced;
        relay = new ChildProcess(
                RawRelay.class,
                cluster.bootstrapServers(),
                prefix,
                agentCount,
                fenced ? cluster.redisUrl() : "bare",
                "linger.ms=1",
                "buffer.memory=67108864");
        agents.ask("work");
    }

    private static Cluster createTopics(Cluster cluster, String prefix, int agentCount) {
        Topics topics = new Topics(prefix);
        List<NewTopic> wanted = new ArrayList<>();
        topics.tasks().forEach(name -> wanted.add(new NewTopic(name, PARTITIONS, (short) 1)));
        wanted.add(new NewTopic(topics.results(), PARTITIONS, (short) 1));
        String indexBytes = String.valueOf(TopicCatalog.AGENT_TOPIC_INDEX_BYTES);
        BareAgents.ids(agentCount)
                .forEach(id -> wanted.add(new NewTopic(topics.assignments(id), 1, (short) 1)
                        .configs(Map.of(TopicConfig.SEGMENT_INDEX_BYTES_CONFIG, indexBytes))));
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", cluster.bootstrapServers()))) {
            for (int from = 0; from < wanted.size(); from += CREATE_BATCH) {
                admin.createTopics(wanted.subList(from, Math.min(wanted.size(), from + CREATE_BATCH)))
                        .all()
                        .get();
            }
        } catch (InterruptedException | ExecutionException e) {
            throw new IllegalStateException(e);
        }
        return cluster;
    }

    @Override
    long settled() {
        return relay.ask("settled").get("settled").asLong();
    }

    @Override
    public void reset() {
        relay.ask("reset");
        agents.ask("reset");
    }

    @Override
    void pause() {
        relay.ask("pause");
    }

    @Override
    void resume() {
        relay.ask("resume");
    }

    @Override
    public Histogram untilSettled(String run) {
        return Timestamps.decode(relay.ask("latencies").get("latencies").asString());
    }

    @Override
    Map<String, Duration> between() {
        return fenced ? Map.of("relay", relay.cpu(), "Redis", cluster.redisCpu()) : Map.of("relay", relay.cpu());
    }

    @Override
    public void close() {
        super.close();
        relay.close();
    }
}
