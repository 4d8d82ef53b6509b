package io.aitbc.benchmarks.peers;

import io.aitbc.benchmarks.cluster.Cluster;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.common.config.ConfigResource;

/** A share group of Kafka, on the same broker and as many partitions as the coordinator. */
public final class ShareGroupPeer extends ClientsPeer {
    private static final int PARTITIONS = 12;

    public ShareGroupPeer(int agents, int capacity) {
        super(ShareGroupAgents.class, ShareGroupSubmitter.class, agents, capacity);
    }

    @Override
    Object startServer() {
        String servers = add(new Cluster(0)).bootstrapServers();
        awaitServer(Integer.parseInt(servers.substring(HOST.length() + 1)), () -> true);
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", servers))) {
            admin.createTopics(List.of(
                            new NewTopic(ShareGroupAgents.TASKS, PARTITIONS, (short) 1),
                            new NewTopic(ShareGroupAgents.RESULTS, PARTITIONS, (short) 1)))
                    .all()
                    .get();
            admin.incrementalAlterConfigs(Map.of(
                            new ConfigResource(ConfigResource.Type.GROUP, ShareGroupAgents.GROUP),
                            List.of(new AlterConfigOp(
                                    new ConfigEntry("share.auto.offset.reset", "earliest"), AlterConfigOp.OpType.SET))))
                    .all()
                    .get();
        } catch (InterruptedException | ExecutionException e) {
            throw new IllegalStateException(e);
        }
        return servers;
    }
}
