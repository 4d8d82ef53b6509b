package io.aitbc.benchmarks;

import io.aitbc.contracts.Topics;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.HdrHistogram.Histogram;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;

/** The same topics and clients with a bare copy in between. */
final class RawSide extends Side {
    private static final String PREFIX = "raw.";
    private static final int PARTITIONS = 12;
    private static final int MADE_AT_ONCE = 500;

    private final Player relay;

    RawSide(Cluster cluster, int agentCount) {
        super(makeTopics(cluster, agentCount), PREFIX, agentCount, 1);
        relay = new Player(
                "relay", cluster.bootstrapServers(), PREFIX, agentCount, "linger.ms=1", "buffer.memory=67108864");
        agents.ask("work");
    }

    private static Cluster makeTopics(Cluster cluster, int agentCount) {
        Topics topics = new Topics(PREFIX);
        List<NewTopic> wanted = new ArrayList<>();
        topics.tasks().forEach(name -> wanted.add(new NewTopic(name, PARTITIONS, (short) 1)));
        wanted.add(new NewTopic(topics.results(), PARTITIONS, (short) 1));
        BareAgents.ids(agentCount).forEach(id -> wanted.add(new NewTopic(topics.assignments(id), 1, (short) 1)));
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", cluster.bootstrapServers()))) {
            for (int from = 0; from < wanted.size(); from += MADE_AT_ONCE) {
                admin.createTopics(wanted.subList(from, Math.min(wanted.size(), from + MADE_AT_ONCE)))
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
    void reset() {
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
    Histogram untilSettled(String run) {
        return Moments.decode(relay.ask("latencies").get("latencies").asString());
    }

    @Override
    Duration cpu() {
        return relay.cpu();
    }

    @Override
    Duration redisCpu() {
        return Duration.ZERO;
    }

    @Override
    public void close() {
        super.close();
        relay.close();
    }
}
