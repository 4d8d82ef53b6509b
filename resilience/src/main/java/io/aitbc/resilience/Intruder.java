package io.aitbc.resilience;

import static io.aitbc.resilience.Pauses.pause;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.TaskResult;
import io.aitbc.contracts.Topics;
import io.aitbc.resilience.Cluster.Coordinator;
import io.lettuce.core.RedisClient;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import org.apache.kafka.clients.CommonClientConfigs;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Misbehaving and concurrent clients. Each records its submissions in its own ledger. */
final class Intruder {
    /** Prefix of the ids of tasks in aborted transactions. */
    static final String ABORTED = "aborted-";

    private static final Topics TOPICS = Topics.unprefixed();
    private static final HttpClient HTTP = HttpClient.newHttpClient();
    private static final int CALLERS = 10;
    private static final int HALF_REQUESTS = 500;
    private static final Duration HEALTH_TIMEOUT = Duration.ofSeconds(20);

    private Intruder() {}

    static void hangInTransaction(Cluster cluster, Random random) {
        String name = "hanging-" + random.nextInt(1_000_000);
        try (KafkaProducer<String, byte[]> producer = transactional(cluster, name)) {
            producer.beginTransaction();
            sendToEachPartition(
                    producer,
                    TOPICS.results(),
                    new TaskResult(
                            null, ABORTED + name, 1, "stranger", TaskResult.Status.COMPLETED, null, null, null, null));
            sendToEachPartition(producer, TOPICS.heartbeats(), Map.of("agent_id", "stranger"));
            sendToEachPartition(producer, TOPICS.tasks(Priority.LOW), task(ABORTED + name));
            producer.flush();
            pause(random, 15, 25);
            producer.abortTransaction();
        }
    }

    private static void sendToEachPartition(KafkaProducer<String, byte[]> producer, String topic, Object value) {
        producer.partitionsFor(topic)
                .forEach(
                        info -> producer.send(new ProducerRecord<>(topic, info.partition(), "key", Json.bytes(value))));
    }

    static void submitInTransactions(Cluster cluster, Random random) {
        String name = "transaction-" + random.nextInt(1_000_000);
        try (Ledger ledger = ledger(cluster, name);
                KafkaProducer<String, byte[]> producer = transactional(cluster, name)) {
            for (int i = 0; i < 60; i++) {
                boolean committed = random.nextBoolean();
                List<String> ids = new ArrayList<>();
                producer.beginTransaction();
                for (int j = 0; j < 10; j++) {
                    String id = (committed ? "" : ABORTED) + name + "-" + i + "-" + j;
                    ids.add(id);
                    Priority priority = Priority.values()[random.nextInt(Priority.values().length)];
                    producer.send(new ProducerRecord<>(TOPICS.tasks(priority), id, Json.bytes(task(id))));
                }
                if (committed) {
                    ids.forEach(id -> ledger.write(Ledger.EventType.SENT, id, 0, "kafka"));
                    producer.commitTransaction();
                    ids.forEach(id -> ledger.write(Ledger.EventType.ACKED, id, 0, "kafka"));
                } else {
                    producer.flush();
                    producer.abortTransaction();
                }
            }
        }
    }

    /** Writes agent and task keys with the wrong types, as another program might, then publishes a heartbeat and a task for each id. */
    static void corruptKeys(Cluster cluster, Random random) {
        String name = "spoilt-" + random.nextInt(1_000_000);
        try (Ledger ledger = ledger(cluster, name);
                RedisClient client = RedisClient.create(cluster.redisUrl());
                KafkaProducer<String, byte[]> producer = producer(cluster, Map.of())) {
            var redis = client.connect().sync();
            for (int i = 0; i < 50; i++) {
                String id = name + "-" + i;
                redis.set("agent:" + id, "{\"agent_id\":\"" + id + "\",\"status\":\"active\"}");
                redis.rpush("agent:" + id + ":inflight", "no hash");
                redis.rpush("task:" + id, "no record either");
                producer.send(new ProducerRecord<>(TOPICS.heartbeats(), id, Json.bytes(Map.of("agent_id", id))));
                ledger.write(Ledger.EventType.SENT, id, 0, "kafka");
                producer.send(
                        new ProducerRecord<>(TOPICS.tasks(Priority.NORMAL), id, Json.bytes(task(id))),
                        (metadata, failure) -> {
                            if (failure == null) {
                                ledger.write(Ledger.EventType.ACKED, id, 0, "kafka");
                            }
                        });
            }
            producer.flush();
        }
    }

    /** @return a problem if the coordinator does not report its health in the meantime */
    static Optional<String> sendIncompleteRequests(Cluster cluster, Coordinator coordinator, Random random) {
        List<Socket> sockets = new ArrayList<>();
        try {
            for (int i = 0; i < HALF_REQUESTS; i++) {
                Socket socket = new Socket();
                sockets.add(socket);
                socket.connect(
                        new InetSocketAddress(
                                coordinator.rest().getHost(), coordinator.rest().getPort()),
                        5_000);
                socket.getOutputStream()
                        .write(
                                "POST /tasks/submit HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
                                        .getBytes(StandardCharsets.US_ASCII));
            }
            pause(random, 2, 4);
            String name = coordinator.process().name();
            try {
                HttpResponse<String> health = HTTP.send(
                        HttpRequest.newBuilder(coordinator.rest().resolve("/health"))
                                .timeout(HEALTH_TIMEOUT)
                                .build(),
                        HttpResponse.BodyHandlers.ofString());
                return health.statusCode() == 200
                        ? Optional.empty()
                        : Optional.of(name + " is unhealthy during incomplete requests: " + health.body());
            } catch (IOException e) {
                return Optional.of(name + " does not answer during incomplete requests: " + e);
            }
        } catch (IOException e) {
            // The coordinator may refuse connections.
            return Optional.empty();
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        } finally {
            sockets.forEach(Intruder::close);
        }
    }

    private static void close(Socket socket) {
        try {
            socket.close();
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    static void raceCommands(Cluster cluster, Random random) {
        String name = "raced-" + random.nextInt(1_000_000);
        try (Ledger ledger = ledger(cluster, name)) {
            for (int i = 0; i < 20; i++) {
                String id = name + "-" + i;
                ledger.write(Ledger.EventType.SENT, id, 0, "rest");
                if (race(cluster, "POST", "/tasks/submit", Json.text(task(id)))) {
                    ledger.write(Ledger.EventType.ACKED, id, 0, "rest");
                }
                race(cluster, "POST", "/tasks/queues/low/" + (random.nextBoolean() ? "pause" : "resume"), "");
                String status = random.nextBoolean() ? "maintenance" : "active";
                race(cluster, "PUT", "/agents/agents-0-0/status", "{\"status\":\"" + status + "\"}");
            }
            race(cluster, "POST", "/tasks/queues/low/resume", "");
            race(cluster, "PUT", "/agents/agents-0-0/status", "{\"status\":\"active\"}");
        }
    }

    /** Returns whether any caller received status 200. */
    private static boolean race(Cluster cluster, String method, String path, String body) {
        List<CompletableFuture<Boolean>> callers = IntStream.range(0, CALLERS)
                .mapToObj(i -> cluster.coordinators()
                        .get(i % cluster.coordinators().size())
                        .rest()
                        .resolve(path))
                .map(uri -> call(uri, method, body))
                .toList();
        return callers.stream().map(CompletableFuture::join).toList().contains(true);
    }

    private static CompletableFuture<Boolean> call(URI uri, String method, String body) {
        HttpRequest request = HttpRequest.newBuilder(uri)
                .timeout(Duration.ofSeconds(30))
                .header("Content-Type", "application/json")
                .header("X-API-Key", Cluster.API_KEY)
                .method(method, HttpRequest.BodyPublishers.ofString(body))
                .build();
        return HTTP.sendAsync(request, HttpResponse.BodyHandlers.discarding())
                .handle((answer, failure) -> failure == null && answer.statusCode() == 200);
    }

    private static Map<String, Object> task(String id) {
        return Map.of("task_id", id, "max_attempts", 100, "timeout_seconds", 10, "task_data", Map.of("work_ms", 20));
    }

    private static Ledger ledger(Cluster cluster, String name) {
        return new Ledger(cluster.ledgers().resolve(name));
    }

    private static KafkaProducer<String, byte[]> transactional(Cluster cluster, String name) {
        KafkaProducer<String, byte[]> producer =
                producer(cluster, Map.of(ProducerConfig.TRANSACTIONAL_ID_CONFIG, name));
        producer.initTransactions();
        return producer;
    }

    private static KafkaProducer<String, byte[]> producer(Cluster cluster, Map<String, Object> more) {
        Map<String, Object> config = new HashMap<>(more);
        config.put(CommonClientConfigs.BOOTSTRAP_SERVERS_CONFIG, cluster.bootstrapServers());
        return new KafkaProducer<>(config, new StringSerializer(), new ByteArraySerializer());
    }
}
