package io.aitbc.benchmarks.peers;

import io.aitbc.localstack.LocalStack;
import java.util.Map;

/** RabbitMQ with a priority queue. */
public final class RabbitPeer extends ClientsPeer {
    private static final String SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server";

    public RabbitPeer(int agents, int capacity) {
        super(RabbitAgents.class, RabbitSubmitter.class, agents, capacity);
    }

    @Override
    Object startServer() {
        return addServer((folder, port) -> {
            ProcessBuilder builder = new ProcessBuilder(SERVER);
            Map<String, String> environment = builder.environment();
            environment.put("RABBITMQ_NODENAME", "benchmark" + port + "@localhost");
            environment.put("RABBITMQ_NODE_IP_ADDRESS", HOST);
            environment.put("RABBITMQ_NODE_PORT", "" + port);
            environment.put("RABBITMQ_DIST_PORT", "" + LocalStack.freePort());
            environment.put("RABBITMQ_MNESIA_BASE", folder.toString());
            environment.put("RABBITMQ_LOG_BASE", folder.toString());
            environment.put("RABBITMQ_PID_FILE", folder.resolve("pid").toString());
            environment.put(
                    "RABBITMQ_ENABLED_PLUGINS_FILE", folder.resolve("plugins").toString());
            environment.put("HOME", folder.toString());
            return builder;
        });
    }
}
