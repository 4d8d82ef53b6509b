package io.aitbc.resilience;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Topics;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.apache.kafka.clients.CommonClientConfigs;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringSerializer;
import tools.jackson.databind.node.ObjectNode;

/**
 * Submits tasks at a steady rate, most directly to Kafka, some over REST. A REST submission that fails with an I/O error or a 5xx status
 * is retried at the next coordinator until it is accepted. On SIGTERM, waits for in-flight submissions before it exits.
 */
final class ProducerProcess {
    private static final Topics TOPICS = Topics.unprefixed();
    private static final int REST_RATIO = 8;
    /** A limit that some tasks use, and its concurrency. */
    static final String LIMIT = "shared/api";

    static final int CONCURRENCY = 8;

    /** A resource that some tasks take 1 or 2 of, and how much each agent has. */
    static final String RESOURCE = "gpu";

    static final int PER_AGENT = 3;

    /** Name prefix of a producer that submits more than agents can take. */
    static final String FLOOD = "flood";

    private static final int LIMITED_RATIO = 4;
    private static final int TAKING_RATIO = 4;
    private static final int FIRST_FAILURE_RATIO = 50;
    private static final int MAX_WORK_MS = 180;
    /** Timeouts of 5 to 10 s: deadlines pass during faults, so recovery must distinguish reported from unreported attempts. */
    private static final int MIN_TIMEOUT_SECONDS = 5;

    private static final int TIMEOUTS = 6;
    private static final Duration REST_TIMEOUT = Duration.ofSeconds(10);

    private final HttpClient http = HttpClient.newHttpClient();
    private final ExecutorService rest = Executors.newFixedThreadPool(8);
    private final CountDownLatch ending = new CountDownLatch(1);
    private final CountDownLatch ended = new CountDownLatch(1);
    private final String name;
    private final List<URI> coordinators;
    private final KafkaProducer<String, byte[]> kafka;
    private final Ledger ledger;
    private final Random random;

    private ProducerProcess(String servers, Path ledger, String name, List<URI> coordinators, long seed) {
        this.name = name;
        this.coordinators = coordinators;
        this.ledger = new Ledger(ledger);
        this.random = new Random(seed);
        this.kafka = new KafkaProducer<>(
                Map.of(
                        CommonClientConfigs.BOOTSTRAP_SERVERS_CONFIG,
                        servers,
                        CommonClientConfigs.RECONNECT_BACKOFF_MAX_MS_CONFIG,
                        1_000,
                        ProducerConfig.DELIVERY_TIMEOUT_MS_CONFIG,
                        300_000,
                        ProducerConfig.MAX_BLOCK_MS_CONFIG,
                        300_000),
                new StringSerializer(),
                new ByteArraySerializer());
    }

    /** @param args bootstrap servers, ledger file, task id prefix, comma-separated coordinator URLs, tasks per second, seed */
    public static void main(String[] args) throws InterruptedException {
        ProducerProcess producer = new ProducerProcess(
                args[0],
                Path.of(args[1]),
                args[2],
                Stream.of(args[3].split(",")).map(URI::create).toList(),
                Long.parseLong(args[5]));
        Runtime.getRuntime().addShutdownHook(new Thread(producer::end, "ending"));
        producer.run(Integer.parseInt(args[4]));
    }

    private void end() {
        ending.countDown();
        try {
            ended.await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void run(int perSecond) throws InterruptedException {
        long start = System.nanoTime();
        long count = 0;
        while (!ending.await(10, TimeUnit.MILLISECONDS)) {
            long due = (System.nanoTime() - start) * perSecond / 1_000_000_000;
            for (; count < due && ending.getCount() > 0; count++) {
                submit(name + "-" + count);
            }
        }
        kafka.close();
        rest.shutdown();
        rest.awaitTermination(2, TimeUnit.MINUTES);
        ledger.close();
        ended.countDown();
    }

    private void submit(String taskId) {
        Priority priority = Priority.values()[random.nextInt(Priority.values().length)];
        ObjectNode task = Json.object().put("task_id", taskId).put("max_attempts", 100);
        task.put("timeout_seconds", MIN_TIMEOUT_SECONDS + random.nextInt(TIMEOUTS));
        task.putObject("task_data")
                .put("work_ms", random.nextInt(MAX_WORK_MS))
                .put("fails", random.nextInt(FIRST_FAILURE_RATIO) == 0 ? 1 : 0);
        // A flood would wait for minutes behind a limit, and say nothing about floods.
        if (random.nextInt(LIMITED_RATIO) == 0 && !name.startsWith(FLOOD)) {
            task.putObject("uses").put(LIMIT, 1);
        }
        if (random.nextInt(TAKING_RATIO) == 0) {
            task.putObject("requirements").putObject("resources").put(RESOURCE, 1 + random.nextInt(2));
        }
        if (random.nextInt(REST_RATIO) == 0) {
            task.put("priority", priority.wireName());
            ledger.write(Ledger.EventType.SENT, taskId, 0, "rest");
            int first = random.nextInt(coordinators.size());
            rest.execute(() -> overRest(taskId, Json.bytes(task), first));
        } else {
            ledger.write(Ledger.EventType.SENT, taskId, 0, "kafka");
            kafka.send(new ProducerRecord<>(TOPICS.tasks(priority), taskId, Json.bytes(task)), (metadata, failure) -> {
                if (failure == null) {
                    ledger.write(Ledger.EventType.ACKED, taskId, 0, "kafka");
                }
            });
        }
    }

    private void overRest(String taskId, byte[] task, int first) {
        try {
            for (int tried = first; !accepted(coordinators.get(tried % coordinators.size()), task); tried++) {
                Thread.sleep(100);
            }
            ledger.write(Ledger.EventType.ACKED, taskId, 0, "rest");
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private boolean accepted(URI coordinator, byte[] task) throws InterruptedException {
        try {
            HttpResponse<String> answer = http.send(
                    HttpRequest.newBuilder(coordinator.resolve("/tasks/submit"))
                            .header("Content-Type", "application/json")
                            .header("X-API-Key", Cluster.API_KEY)
                            .timeout(REST_TIMEOUT)
                            .POST(HttpRequest.BodyPublishers.ofByteArray(task))
                            .build(),
                    HttpResponse.BodyHandlers.ofString());
            if (answer.statusCode() / 100 == 4) {
                throw new IllegalStateException(answer.body());
            }
            return answer.statusCode() == 200;
        } catch (IOException e) {
            return false;
        }
    }
}
