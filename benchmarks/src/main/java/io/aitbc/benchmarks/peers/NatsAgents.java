package io.aitbc.benchmarks.peers;

import io.aitbc.benchmarks.cluster.ChildProcess;
import io.nats.client.Connection;
import io.nats.client.ConsumeOptions;
import io.nats.client.JetStream;
import io.nats.client.JetStreamApiException;
import io.nats.client.JetStreamManagement;
import io.nats.client.Message;
import io.nats.client.MessageHandler;
import io.nats.client.Nats;
import io.nats.client.api.AckPolicy;
import io.nats.client.api.ConsumerConfiguration;
import io.nats.client.api.RetentionPolicy;
import io.nats.client.api.StorageType;
import io.nats.client.api.StreamConfiguration;
import java.io.IOException;
import java.util.Map;

/**
 * Agents on work queues of JetStream. An agent pulls tasks in batches, publishes a result, and acknowledges the task once that is
 * acknowledged.
 */
final class NatsAgents {
    static final String TASKS = "tasks";
    static final String RESULTS = "results";

    private NatsAgents() {}

    /** @param args the server's URL, the number of agents and their capacity */
    public static void main(String[] args) throws IOException, InterruptedException, JetStreamApiException {
        int agents = Integer.parseInt(args[1]);
        int capacity = Integer.parseInt(args[2]);
        try (Connection connection = Nats.connect(args[0])) {
            JetStreamManagement management = connection.jetStreamManagement();
            createQueue(management, TASKS, agents * capacity);
            createQueue(management, RESULTS, agents * capacity);
            JetStream results = connection.jetStream();
            for (int i = 0; i < agents; i++) {
                consume(connection, TASKS, capacity, task -> complete(task, results));
            }
            ChildProcess.listen(order -> Map.of());
        }
    }

    private static void createQueue(JetStreamManagement management, String name, int unacknowledged)
            throws IOException, JetStreamApiException {
        management.addStream(StreamConfiguration.builder()
                .name(name)
                .subjects(name)
                .retentionPolicy(RetentionPolicy.WorkQueue)
                .storageType(StorageType.File)
                .build());
        management.addOrUpdateConsumer(
                name,
                ConsumerConfiguration.builder()
                        .durable(name)
                        .ackPolicy(AckPolicy.Explicit)
                        .maxAckPending(unacknowledged)
                        .build());
    }

    /** Pulls messages of a queue in batches; the next batch is requested while the last one is handled. */
    static void consume(Connection connection, String queue, int batch, MessageHandler handler)
            throws IOException, JetStreamApiException {
        connection
                .getStreamContext(queue)
                .getConsumerContext(queue)
                .consume(ConsumeOptions.builder().batchSize(batch).build(), handler);
    }

    private static void complete(Message task, JetStream results) {
        results.publishAsync(RESULTS, Bodies.result(task.getData())).thenRun(task::ack);
    }
}
