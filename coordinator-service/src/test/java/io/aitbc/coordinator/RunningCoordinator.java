package io.aitbc.coordinator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.TaskHeaders;
import io.aitbc.contracts.Topics;
import io.aitbc.localstack.LocalStack;
import io.lettuce.core.RedisClient;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Predicate;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.context.event.ApplicationStartingEvent;
import org.springframework.boot.context.event.SpringApplicationEvent;
import org.springframework.context.ApplicationListener;
import org.springframework.context.ConfigurableApplicationContext;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** A coordinator on a local stack, with clients as its users have them: REST, a Kafka consumer and a Kafka producer. */
public final class RunningCoordinator implements AutoCloseable {
    private static final String ADMIN_KEY = "--aitbc.admin.key=";
    private static final HttpClient HTTP = HttpClient.newHttpClient();
    /** The same for all coordinators, and generating the document takes seconds. */
    private static @Nullable OpenApiContract contract;
    /** The topic prefix that each Redis database is used with. */
    private static final Map<String, String> PREFIX_OF_DATABASE = new ConcurrentHashMap<>();

    private final LocalStack stack;
    private final Topics topics;
    private final ConfigurableApplicationContext context;
    private final KafkaProducer<String, String> producer;
    /** Sent with every request; null while security is off. */
    private final @Nullable String adminKey;

    /** A REST response. */
    public record Answer(int code, String contentType, JsonNode body) {
        public String detail() {
            assertThat(contentType).startsWith("application/problem+json");
            return body.path("detail").asString("");
        }
    }

    /** One coordinator at a time configures Logback, which all of them share: it would be broken, or repeat each line, for the others too. */
    private static final class LoggingLock implements ApplicationListener<SpringApplicationEvent> {
        private static final ReentrantLock LOCK = new ReentrantLock();

        @Override
        public void onApplicationEvent(SpringApplicationEvent event) {
            if (event instanceof ApplicationStartingEvent) {
                LOCK.lock();
            } else if (LOCK.isHeldByCurrentThread()) {
                // Configured, or failed.
                LOCK.unlock();
            }
        }
    }

    private RunningCoordinator(
            Class<?>[] sources, LocalStack stack, String topicPrefix, int redisDatabase, String... settings) {
        this.stack = stack;
        this.topics = new Topics(topicPrefix);
        String redisUrl = stack.redisUrl() + "/" + redisDatabase;
        emptyAfterOtherTests(redisUrl, topicPrefix);
        List<String> all = new ArrayList<>(List.of(
                "--aitbc.kafka.bootstrap-servers=" + stack.bootstrapServers(),
                "--aitbc.redis.url=" + redisUrl,
                "--aitbc.coordinator.port=0",
                "--server.address=127.0.0.1",
                // All tests have the same address.
                "--aitbc.limits.anonymous=0",
                "--aitbc.limits.failures-per-minute=0",
                "--aitbc.topics.prefix=" + topicPrefix,
                "--aitbc.topics.partitions=3"));
        for (String setting : settings) {
            // Spring joins an argument given twice into a list.
            all.removeIf(one -> one.startsWith(setting.substring(0, setting.indexOf('=') + 1)));
            all.add(setting);
        }
        this.adminKey = Arrays.stream(settings)
                .filter(setting -> setting.startsWith(ADMIN_KEY))
                .map(setting -> setting.substring(ADMIN_KEY.length()))
                .findFirst()
                .orElse(null);
        SpringApplication application = new SpringApplication(sources);
        application.addListeners(new LoggingLock());
        this.context = application.run(all.toArray(String[]::new));
        this.producer = new KafkaProducer<>(
                Map.of(
                        ProducerConfig.BOOTSTRAP_SERVERS_CONFIG,
                        stack.bootstrapServers(),
                        ProducerConfig.MAX_REQUEST_SIZE_CONFIG,
                        4_000_000),
                new StringSerializer(),
                new StringSerializer());
    }

    /** Agents that another test has registered would be assigned the tasks of this one. */
    private static void emptyAfterOtherTests(String redisUrl, String topicPrefix) {
        String before = PREFIX_OF_DATABASE.put(redisUrl, topicPrefix);
        if (before != null && !before.equals(topicPrefix)) {
            try (RedisClient client = RedisClient.create(redisUrl)) {
                client.connect().sync().flushdb();
            }
        }
    }

    /** Starts a coordinator and waits until it is healthy. The prefix and the database isolate the coordinators of different tests. */
    public static RunningCoordinator start(
            LocalStack stack, String topicPrefix, int redisDatabase, String... settings) {
        return startWith(new Class<?>[] {CoordinatorApplication.class}, stack, topicPrefix, redisDatabase, settings);
    }

    /** @param beans configuration that replaces internal beans where no setting can */
    public static RunningCoordinator startWith(
            Class<?> beans, LocalStack stack, String topicPrefix, int redisDatabase, String... settings) {
        return startWith(
                new Class<?>[] {CoordinatorApplication.class, beans}, stack, topicPrefix, redisDatabase, settings);
    }

    /** Waits until this many coordinators share the queues: each has at least 5 partitions. */
    public void awaitSharedQueues(int coordinators) {
        await().atMost(Duration.ofSeconds(90))
                .until(() -> get("/coordinators")
                                .body()
                                .get("coordinators")
                                .valueStream()
                                .filter(lane -> lane.get("partitions").asInt() >= 5)
                                .count()
                        == coordinators);
    }

    /** Starts a coordinator and waits only until it serves REST, whatever the state of its dependencies. */
    public static RunningCoordinator startUnhealthy(
            LocalStack stack, String topicPrefix, int redisDatabase, String... settings) {
        return new RunningCoordinator(
                new Class<?>[] {CoordinatorApplication.class}, stack, topicPrefix, redisDatabase, settings);
    }

    private static RunningCoordinator startWith(
            Class<?>[] sources, LocalStack stack, String topicPrefix, int redisDatabase, String... settings) {
        RunningCoordinator started = new RunningCoordinator(sources, stack, topicPrefix, redisDatabase, settings);
        started.awaitHealthy();
        return started;
    }

    public void awaitHealthy() {
        await().atMost(Duration.ofSeconds(90)).until(() -> get("/health").code() == 200);
    }

    @Override
    public void close() {
        producer.close();
        context.close();
    }

    public int port() {
        return Integer.parseInt(context.getEnvironment().getRequiredProperty("local.server.port"));
    }

    public int managementPort() {
        return Integer.parseInt(context.getEnvironment().getRequiredProperty("local.management.port"));
    }

    /** Returns an internal bean, to provoke failures that cannot be caused from outside. */
    public <T> T part(Class<T> type) {
        return context.getBean(type);
    }

    public Topics topics() {
        return topics;
    }

    public Answer get(String path) {
        return send("GET", path, null);
    }

    /** Returns a response body that is not JSON, for example Prometheus metrics. */
    public String text(String path) {
        try {
            return HTTP.send(request(path).build(), HttpResponse.BodyHandlers.ofString())
                    .body();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    public Answer post(String path, String body) {
        return send("POST", path, body);
    }

    public Answer send(String method, String path, @Nullable String body) {
        return send(request(path)
                .method(
                        method,
                        body == null ? HttpRequest.BodyPublishers.noBody() : HttpRequest.BodyPublishers.ofString(body))
                .header("Content-Type", "application/json"));
    }

    private HttpRequest.Builder request(String path) {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port() + path));
        return adminKey == null ? request : request.header("X-API-Key", adminKey);
    }

    /** Sends a request, and holds the response against the OpenAPI document. */
    public Answer send(HttpRequest.Builder request) {
        try {
            HttpRequest sent = request.timeout(Duration.ofSeconds(60)).build();
            HttpResponse<String> response = HTTP.send(sent, HttpResponse.BodyHandlers.ofString());
            assertThat(contract()
                            .violation(
                                    sent.method(),
                                    sent.uri().getPath(),
                                    response.statusCode(),
                                    response.headers()
                                            .firstValue("Content-Type")
                                            .orElse(""),
                                    response.body()))
                    .as("%s %s answered %s", sent.method(), sent.uri(), response.body())
                    .isNull();
            return new Answer(
                    response.statusCode(),
                    response.headers().firstValue("Content-Type").orElse(""),
                    response.body().isEmpty() ? Json.object() : Json.MAPPER.readTree(response.body()));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    private OpenApiContract contract() {
        synchronized (RunningCoordinator.class) {
            if (contract == null) {
                contract = new OpenApiContract(Json.MAPPER.readTree(text("/openapi.json")));
            }
            return contract;
        }
    }

    /** Registers an agent over REST, and sends its first heartbeat over Kafka: without one, it is assigned nothing. */
    public void register(String agentId, int capacity, String... capabilities) {
        Answer answer = post(
                "/agents/register",
                Json.text(Map.of(
                        "agent_id",
                        agentId,
                        "agent_type",
                        "worker",
                        "capabilities",
                        List.of(capabilities),
                        "capacity",
                        capacity)));
        assertThat(answer.code()).as("%s", answer.body()).isEqualTo(200);
        reach(agentId);
    }

    /** Sends a heartbeat over Kafka, as an agent does that reads its topic, and waits until it is recorded. */
    public void reach(String agentId) {
        publish("agents.heartbeat", agentId, Json.text(Map.of("agent_id", agentId)));
        await().atMost(Duration.ofSeconds(90))
                .pollInterval(Duration.ofMillis(10))
                .until(() -> {
                    JsonNode agent = get("/agents/" + agentId).body().path("agent");
                    return agent.isObject() && !agent.has("not_reached");
                });
    }

    /** Submits a task over REST and returns its id. */
    public String submit(String body) {
        Answer answer = post("/tasks/submit", body);
        assertThat(answer.code()).as("%s", answer.body()).isEqualTo(200);
        return answer.body().get("task_id").asString();
    }

    /** Sends a record as it is. */
    public void send(ProducerRecord<String, String> record) {
        try {
            producer.send(record).get();
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }

    /** Publishes a record; a heartbeat with the admin key, if there is one. */
    public void publish(String topic, @Nullable String key, @Nullable String value) {
        ProducerRecord<String, String> record = new ProducerRecord<>(topics.prefix() + topic, key, value);
        if (adminKey != null && topic.equals("agents.heartbeat")) {
            record.headers().add(TaskHeaders.API_KEY, adminKey.getBytes(StandardCharsets.UTF_8));
        }
        send(record);
    }

    public JsonNode awaitTask(String taskId, String status) {
        return await().atMost(Duration.ofSeconds(90))
                .until(
                        () -> get("/tasks/" + taskId).body(),
                        task -> task.path("status").asString("").equals(status));
    }

    /** Waits until a single-partition topic has at least this many records and returns all that were read. */
    public List<JsonNode> awaitRecords(String topic, int count) {
        return awaitRaw(topic, count).stream()
                .map(record -> Json.MAPPER.readTree(record.value()))
                .toList();
    }

    /** Reads all partitions of a topic, each from this offset on, until {@code more} returns false; fails after 90 seconds. */
    public void follow(String topic, long offset, Predicate<JsonNode> more) {
        try (KafkaConsumer<String, String> consumer = consumer()) {
            List<TopicPartition> partitions = partitions(consumer, topic);
            consumer.assign(partitions);
            partitions.forEach(partition -> consumer.seek(partition, offset));
            await().atMost(Duration.ofSeconds(90))
                    .pollInterval(Duration.ofMillis(1))
                    .until(() -> {
                        for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(100))) {
                            if (!more.test(Json.MAPPER.readTree(record.value()))) {
                                return true;
                            }
                        }
                        return false;
                    });
        }
    }

    /** The number of records written to a topic. */
    public long written(String topic) {
        try (KafkaConsumer<String, String> consumer = consumer()) {
            return consumer.endOffsets(partitions(consumer, topic)).values().stream()
                    .mapToLong(Long::longValue)
                    .sum();
        }
    }

    /** All records of a topic that are there now, in all its partitions. */
    public List<ConsumerRecord<String, String>> records(String topic) {
        try (KafkaConsumer<String, String> consumer = consumer()) {
            List<TopicPartition> partitions = partitions(consumer, topic);
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            List<ConsumerRecord<String, String>> records = new ArrayList<>();
            await().atMost(Duration.ofSeconds(90)).until(() -> {
                consumer.poll(Duration.ofMillis(100)).forEach(records::add);
                return ends.entrySet().stream().allMatch(end -> consumer.position(end.getKey()) >= end.getValue());
            });
            return records;
        }
    }

    private List<TopicPartition> partitions(KafkaConsumer<?, ?> consumer, String topic) {
        return consumer.partitionsFor(topics.prefix() + topic).stream()
                .map(partition -> new TopicPartition(partition.topic(), partition.partition()))
                .toList();
    }

    private KafkaConsumer<String, String> consumer() {
        return new KafkaConsumer<>(
                Map.of(
                        ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG,
                        stack.bootstrapServers(),
                        ConsumerConfig.ALLOW_AUTO_CREATE_TOPICS_CONFIG,
                        false),
                new StringDeserializer(),
                new StringDeserializer());
    }

    public List<ConsumerRecord<String, String>> awaitRaw(String topic, int count) {
        try (KafkaConsumer<String, String> consumer = consumer()) {
            List<TopicPartition> partition = List.of(new TopicPartition(topics.prefix() + topic, 0));
            consumer.assign(partition);
            consumer.seekToBeginning(partition);
            List<ConsumerRecord<String, String>> records = new ArrayList<>();
            await().atMost(Duration.ofSeconds(90)).until(() -> {
                consumer.poll(Duration.ofMillis(100)).forEach(records::add);
                return records.size() >= count;
            });
            return records;
        }
    }

    /** Publishes a result for an assignment as its agent would. */
    public void report(JsonNode assignment, String status, @Nullable String error) {
        ObjectNode result = result(assignment, status);
        if (error != null) {
            result.put("error", error);
        } else {
            result.putObject("result").put("done", true);
        }
        report(result);
    }

    public void report(JsonNode result) {
        publish("tasks.results", result.get("task_id").asString(), Json.text(result));
    }

    /** A result without a result or an error. */
    public static ObjectNode result(JsonNode assignment, String status) {
        ObjectNode result = Json.object()
                .put("assignment_id", assignment.get("assignment_id").asString())
                .put("task_id", assignment.get("task_id").asString())
                .put("attempt", assignment.get("attempt").asInt())
                .put("agent_id", assignment.get("agent_id").asString())
                .put("status", status);
        return assignment.has("signature")
                ? result.put("signature", assignment.get("signature").asString())
                : result;
    }
}
