package io.aitbc.benchmarks.peers;

import io.nats.client.Connection;
import io.nats.client.JetStream;
import io.nats.client.JetStreamApiException;
import io.nats.client.Nats;
import io.nats.client.api.PublishAck;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/** Submits tasks to {@link NatsAgents} and reads their results. */
final class NatsSubmitter {
    private static final int AT_ONCE = 1_000;

    private NatsSubmitter() {}

    /** @param args the server's URL */
    public static void main(String[] args) throws IOException, InterruptedException, JetStreamApiException {
        try (Connection connection = Nats.connect(args[0])) {
            Floods floods = new Floods();
            NatsAgents.consume(connection, NatsAgents.RESULTS, AT_ONCE, result -> {
                floods.received(result.getData());
                result.ack();
            });
            JetStream tasks = connection.jetStream();
            floods.listen((from, to) -> {
                for (int i = from; i < to; i += AT_ONCE) {
                    submit(tasks, i, Math.min(to, i + AT_ONCE));
                }
            });
        }
    }

    private static void submit(JetStream tasks, int from, int to) {
        List<CompletableFuture<PublishAck>> sent = new ArrayList<>(to - from);
        for (int i = from; i < to; i++) {
            sent.add(tasks.publishAsync(NatsAgents.TASKS, Bodies.task(i)));
        }
        sent.forEach(CompletableFuture::join);
    }
}
