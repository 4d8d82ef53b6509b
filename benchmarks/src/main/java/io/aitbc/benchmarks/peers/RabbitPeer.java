package io.aitbc.benchmarks.peers;

import io.aitbc.benchmarks.cluster.ChildProcess;
import io.aitbc.benchmarks.cluster.Cluster;
import io.aitbc.localstack.LocalStack;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeoutException;

/** RabbitMQ with a priority queue. */
public final class RabbitPeer implements Peer {
    private static final String SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server";

    private final List<AutoCloseable> parts = new ArrayList<>();
    private final ChildProcess submitter;

    public RabbitPeer(int agents) {
        int port = LocalStack.freePort();
        Path folder = Peer.folderWith();
        ProcessBuilder builder = new ProcessBuilder(SERVER);
        Map<String, String> environment = builder.environment();
        environment.put("RABBITMQ_NODENAME", "benchmark" + port + "@localhost");
        environment.put("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1");
        environment.put("RABBITMQ_NODE_PORT", "" + port);
        environment.put("RABBITMQ_DIST_PORT", "" + LocalStack.freePort());
        environment.put("RABBITMQ_MNESIA_BASE", folder.toString());
        environment.put("RABBITMQ_LOG_BASE", folder.toString());
        environment.put("RABBITMQ_PID_FILE", folder.resolve("pid").toString());
        environment.put(
                "RABBITMQ_ENABLED_PLUGINS_FILE", folder.resolve("plugins").toString());
        environment.put("HOME", folder.toString());
        Process server = Peer.start(builder);
        parts.add(() -> Peer.end(server));
        try {
            Cluster.await("RabbitMQ", Duration.ofMinutes(1), () -> answers("" + port));
            ChildProcess workers = new ChildProcess(RabbitAgents.class, port, agents);
            parts.add(workers);
            // They create the queues.
            workers.ask("ready");
            submitter = new ChildProcess(RabbitSubmitter.class, port);
            parts.add(submitter);
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    private static boolean answers(String port) {
        try {
            RabbitAgents.connect(port).close();
            return true;
        } catch (IOException | TimeoutException e) {
            return false;
        }
    }

    @Override
    public double flood(int tasks) {
        return submitter.ask(tasks).get("perSecond").asDouble();
    }

    @Override
    public void close() {
        Peer.closeAll(parts);
    }
}
