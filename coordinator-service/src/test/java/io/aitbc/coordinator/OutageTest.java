package io.aitbc.coordinator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.localstack.LocalStack;
import io.lettuce.core.RedisClient;
import io.lettuce.core.api.sync.RedisCommands;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadInfo;
import java.lang.management.ThreadMXBean;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/** Outages of Kafka and Redis: no task is lost, and REST reports the cause. */
class OutageTest {
    private static final Duration REDIS_TIMEOUT = Duration.ofSeconds(2);
    private static final Duration PAUSE = Duration.ofSeconds(6);

    private static LocalStack stack;
    private static int tests;
    private RunningCoordinator coordinator;

    @BeforeAll
    static void startStack() {
        stack = LocalStack.start();
    }

    @AfterAll
    static void stopStack() {
        stack.close();
    }

    @BeforeEach
    void start() {
        tests++;
        coordinator = coordinator();
        coordinator.register("agent", 5);
    }

    private static RunningCoordinator coordinator(String... arguments) {
        return RunningCoordinator.start(stack, "test-" + tests + ".", tests, arguments);
    }

    @AfterEach
    void end() {
        coordinator.close();
    }

    @Test
    void withoutRedisTasksAreAcceptedAndDispatchedLater() {
        stack.stopRedis();
        String id = coordinator.submit("{\"task_data\":{},\"task_id\":\"meanwhile\"}");
        assertUnhealthy("redis");
        assertThat(coordinator.get("/tasks/" + id).code()).isEqualTo(503);
        assertThat(coordinator.get("/tasks/" + id + "?wait=1s").detail()).contains("Redis");
        assertThat(coordinator.get("/tasks/" + id + "/explain").detail()).contains("Redis");
        assertThat(coordinator.post("/tasks/" + id + "/cancel", "").detail()).contains("Redis");
        assertThat(coordinator.get("/tasks/dead-letter").code()).isEqualTo(200);
        stack.startRedis();
        complete(1);
        coordinator.awaitTask(id, "completed");
    }

    /** A submission queries Redis twice: after one timeout, it does not wait again. */
    @ParameterizedTest
    @ValueSource(strings = {"{\"task_data\":{},\"task_id\":\"named\"}", "{\"task_data\":{}}"})
    void aSubmissionWaitsForRedisOnce(String task) {
        coordinator.submit("{\"task_data\":{}}");
        try (RedisClient client = RedisClient.create(stack.redisUrl())) {
            client.connect().sync().clientPause(PAUSE.toMillis());
            long asked = System.nanoTime();
            String id = coordinator.submit(task);
            assertThat(Duration.ofNanos(System.nanoTime() - asked))
                    .isBetween(
                            REDIS_TIMEOUT.minusMillis(100),
                            REDIS_TIMEOUT.multipliedBy(2).minusMillis(200));
            await().atMost(Duration.ofSeconds(90))
                    .until(() -> coordinator.get("/tasks/" + id).code() == 200);
        }
    }

    /** The answer says that it is in force, so it waits for Redis. */
    @Test
    void aLimitIsSetOnceRedisAnswersAgain() {
        try (RedisClient client = RedisClient.create(stack.redisUrl())) {
            client.connect().sync().clientPause(PAUSE.toMillis());
            assertThat(coordinator
                            .send("PUT", "/limits/paused", "{\"concurrency\": 1}")
                            .code())
                    .isEqualTo(200);
        }
    }

    @Test
    void anEmptiedRedisIsRebuiltFromKafka() {
        coordinator.submit("{\"task_data\":{},\"task_id\":\"in-flight\"}");
        coordinator.awaitRecords("assignments.agent", 1);
        try (RedisClient client = RedisClient.create(stack.redisUrl())) {
            client.connect().sync().flushall();
        }
        coordinator.publish(
                "agents.heartbeat",
                "agent",
                "{\"agent_id\":\"agent\",\"registration\":{\"agent_id\":\"agent\",\"agent_type\":\"worker\"}}");
        complete(1);
        coordinator.awaitTask("in-flight", "completed");
        String next = coordinator.submit("{\"task_data\":{}}");
        complete(2);
        coordinator.awaitTask(next, "completed");
    }

    @Test
    void withoutKafkaSubmissionsAreRefusedAndWorkResumesAfterwards() {
        coordinator.submit("{\"task_data\":{},\"task_id\":\"before\"}");
        coordinator.awaitRecords("assignments.agent", 1);
        stack.stopKafka();
        long stoppedAt = System.nanoTime();
        Map<Long, Long> cpuBefore = readersCpuNanos();
        // In parallel, because each request takes a full Kafka timeout.
        List<CompletableFuture<RunningCoordinator.Answer>> asked = Stream.<Supplier<RunningCoordinator.Answer>>of(
                        () -> coordinator.post("/tasks/submit", "{\"task_data\":{}}"),
                        () -> coordinator.post(
                                "/tasks/submit/batch", "[{\"task_data\":{}},{\"task_data\":{}},{\"task_data\":{}}]"),
                        () -> coordinator.post("/tasks/queues/low/pause", ""),
                        () -> coordinator.post("/tasks/queues/low/clear", ""),
                        () -> coordinator.send("PUT", "/load-balancer/strategy", "{\"strategy\":\"random\"}"),
                        () -> coordinator.get("/tasks/queues/low"),
                        () -> coordinator.get("/tasks/dead-letter"),
                        () -> coordinator.post("/tasks/dead-letter/before/redrive", ""))
                .map(call -> CompletableFuture.supplyAsync(call, command -> new Thread(command).start()))
                .toList();
        asked.stream().map(CompletableFuture::join).forEach(answer -> {
            assertThat(answer.code()).as("%s", answer.body()).isEqualTo(503);
            assertThat(answer.detail()).isNotEmpty();
        });
        assertThat(asked.get(0).join().detail()).contains("Kafka");
        assertUnhealthy("kafka");
        // Consumers before 4.4 busy-wait while they do not know their group's coordinator (KAFKA-20253), using all
        // available CPU.
        long used = readersCpuNanos().entrySet().stream()
                .mapToLong(thread -> thread.getValue() - cpuBefore.getOrDefault(thread.getKey(), thread.getValue()))
                .sum();
        assertThat((double) used / (System.nanoTime() - stoppedAt)).isLessThan(0.4);
        stack.startKafka();
        coordinator.awaitHealthy();
        complete(1);
        coordinator.awaitTask("before", "completed");
        String after = coordinator.submit("{\"task_data\":{},\"task_id\":\"after\"}");
        coordinator.awaitTask(after, "assigned");
        // The refused strategy change left no trace.
        assertThat(coordinator
                        .send("PUT", "/load-balancer/strategy", "{\"strategy\":\"random\"}")
                        .code())
                .isEqualTo(200);
    }

    /** Returns the CPU time of the threads that read from Kafka, by thread id. */
    private static Map<Long, Long> readersCpuNanos() {
        ThreadMXBean threads = ManagementFactory.getThreadMXBean();
        return Arrays.stream(threads.getThreadInfo(threads.getAllThreadIds()))
                .filter(thread -> thread != null
                        && (Set.of("dispatcher", "results", "heartbeats").contains(thread.getThreadName())
                                || thread.getThreadName().startsWith("consumer_background")))
                .collect(Collectors.toMap(
                        ThreadInfo::getThreadId, thread -> threads.getThreadCpuTime(thread.getThreadId())));
    }

    /** Redis may be full, a replica after a failover, or waiting for one: it still answers reads. */
    @Test
    void aRedisThatRefusesWritesIsUnhealthy() {
        try (RedisClient client = RedisClient.create(stack.redisUrl())) {
            RedisCommands<String, String> redis = client.connect().sync();
            redis.configSet("maxmemory-policy", "noeviction");
            redis.configSet("maxmemory", "1");
            assertRefusesWrites();
            redis.configSet("maxmemory", "0");
            coordinator.awaitHealthy();
            redis.replicaof("127.0.0.1", 1);
            assertRefusesWrites();
            redis.replicaofNoOne();
            coordinator.awaitHealthy();
            redis.clientPause(15_000);
            assertRefusesWrites();
        }
        coordinator.awaitHealthy();
        await().atMost(Duration.ofSeconds(90)).until(() -> redisUp().endsWith(" 1.0"));
        coordinator.submit("{\"task_data\":{}}");
        complete(1);
    }

    private void assertRefusesWrites() {
        assertUnhealthy("redis");
        await().atMost(Duration.ofSeconds(90)).until(() -> redisUp().endsWith(" 0.0"));
    }

    private String redisUp() {
        return coordinator
                .text("/metrics")
                .lines()
                .filter(line -> line.startsWith("coordinator_redis_up"))
                .findFirst()
                .orElse("");
    }

    @Test
    void aCoordinatorThatDoesNotReachKafkaNamesTheSetting() throws Exception {
        coordinator.close();
        coordinator = RunningCoordinator.startUnhealthy(
                stack,
                "test-" + tests + ".",
                tests,
                "--aitbc.kafka.bootstrap-servers=127.0.0.1:" + LocalStack.freePort());

        await().atMost(Duration.ofSeconds(90))
                .untilAsserted(
                        () -> assertThat(coordinator
                                        .get("/health")
                                        .body()
                                        .at("/dispatch/detail")
                                        .asString())
                                .isEqualTo(
                                        "not started yet, waiting for Kafka: no server of AITBC_KAFKA_BOOTSTRAP_SERVERS responds, or none in the protocol of AITBC_KAFKA_CONFIG"));
    }

    /** No heartbeats arrive while Kafka is unavailable, so agents get time to send one before they count as silent. */
    @Test
    void aKafkaOutageDoesNotMakeAgentsStale() throws Exception {
        coordinator.close();
        coordinator = coordinator("--aitbc.registry.heartbeat-interval=3s", "--aitbc.registry.heartbeat-timeout=5s");
        coordinator.submit("{\"task_data\":{},\"task_id\":\"held\"}");
        coordinator.register("agent", 5);
        coordinator.awaitRecords("assignments.agent", 1);
        stack.stopKafka();
        Instant longer = Instant.now().plusSeconds(7);
        await().atMost(Duration.ofMinutes(1)).until(() -> Instant.now().isAfter(longer));
        ScheduledExecutorService heartbeats = Executors.newSingleThreadScheduledExecutor();
        try {
            // The first one waits in the producer, as an agent's does, and arrives once Kafka listens.
            Future<?> sending = heartbeats.scheduleAtFixedRate(
                    () -> coordinator.publish("agents.heartbeat", "agent", "{\"agent_id\":\"agent\"}"),
                    0,
                    500,
                    TimeUnit.MILLISECONDS);
            stack.startKafka();
            coordinator.awaitHealthy();
            complete(1);
            assertThat(coordinator.awaitTask("held", "completed").get("attempt").asInt())
                    .isEqualTo(1);
            assertThat(coordinator
                            .get("/agents/agent")
                            .body()
                            .at("/agent/status")
                            .asString())
                    .isEqualTo("active");
            assertThat(sending).isNotDone();
        } finally {
            heartbeats.shutdown();
            assertThat(heartbeats.awaitTermination(1, TimeUnit.MINUTES)).isTrue();
        }
    }

    private void complete(int number) {
        JsonNode assignment =
                coordinator.awaitRecords("assignments.agent", number).get(number - 1);
        coordinator.report(assignment, "completed", null);
    }

    private void assertUnhealthy(String part) {
        await().atMost(Duration.ofSeconds(90))
                .until(() -> coordinator.get("/health").code() == 503);
        assertThat(coordinator.get("/health").body().get("status").asString()).isEqualTo("unhealthy");
        assertThat(coordinator.get("/health").body().at("/" + part + "/state").asString())
                .isNotEqualTo("up");
    }
}
