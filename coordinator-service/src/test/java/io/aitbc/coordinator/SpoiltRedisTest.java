package io.aitbc.coordinator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.AppenderBase;
import io.aitbc.contracts.Json;
import io.aitbc.coordinator.taskstate.StoredTask;
import io.aitbc.localstack.LocalStack;
import io.lettuce.core.RedisClient;
import io.lettuce.core.api.sync.RedisCommands;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.slf4j.LoggerFactory;
import tools.jackson.databind.JsonNode;

/**
 * Foreign or corrupt values in Redis, written by hand or by the existing system: the key is quarantined with a single warning, the affected
 * agent or task is served again at once, and nothing else is affected.
 */
class SpoiltRedisTest {
    private static final int DATABASE = 14;
    private static final String REGISTRATION = """
        {"agent_id":"%1$s","agent_type":"worker","capabilities":["%2$s"],"capacity":50}\
        """;

    private static final String VICTIM = "victim-agent-0";
    private static RunningCoordinator coordinator;
    private static LoadedAgents bystander;
    private static LoadedAgents worker;
    private static RedisClient client;
    private static RedisCommands<String, String> redis;
    private static final Queue<String> WARNINGS = new ConcurrentLinkedQueue<>();
    private static final AppenderBase<ILoggingEvent> APPENDER = new AppenderBase<>() {
        @Override
        protected void append(ILoggingEvent event) {
            if (event.getFormattedMessage().startsWith("Corrupt keys in Redis")) {
                WARNINGS.add(event.getFormattedMessage());
            }
        }
    };

    @BeforeAll
    static void start() {
        APPENDER.start();
        LocalStack stack = LocalStack.shared();
        client = RedisClient.create(stack.redisUrl() + "/" + DATABASE);
        redis = client.connect().sync();
        redis.flushdb();
        coordinator = RunningCoordinator.start(
                stack,
                "spoilt.",
                DATABASE,
                "--aitbc.registry.heartbeat-interval=300s",
                "--aitbc.registry.heartbeat-timeout=900s");
        // The coordinator configures logging at startup, so the appender must be added afterwards.
        ((Logger) LoggerFactory.getLogger("io.aitbc")).addAppender(APPENDER);
        register("holder");
        bystander = LoadedAgents.start(coordinator, stack.bootstrapServers(), 1, 50, "bystander");
        worker = LoadedAgents.start(coordinator, stack.bootstrapServers(), 1, 50, "victim");
    }

    @AfterAll
    static void end() throws Exception {
        bystander.close();
        worker.close();
        coordinator.close();
        client.shutdown();
        ((Logger) LoggerFactory.getLogger("io.aitbc")).detachAppender(APPENDER);
    }

    /** The existing system stored an agent as a JSON string. */
    @Test
    void anAgentOfTheExistingSystemCanRegister() {
        String before = "{\"agent_id\":\"migrated\",\"agent_type\":\"worker\",\"status\":\"active\"}";
        redis.set("agent:migrated", before);
        assertThat(coordinator.get("/agents/migrated").code()).isEqualTo(404);
        assertThat(redis.get("spoilt:agent:migrated")).isEqualTo(before);
        assertThat(redis.ttl("spoilt:agent:migrated")).isPositive();
        redis.set("agent:migrated", before);
        assertThat(coordinator.post("/agents/migrated/heartbeat", "{}").code()).isEqualTo(404);
        redis.set("agent:migrated", before);
        register("migrated");
        assertThat(coordinator.get("/agents/migrated").code()).isEqualTo(200);
        redis.set("agent:migrated", before);
        beat("migrated");
        await().until(() -> coordinator.get("/agents/migrated").code() == 200);
        assertContinues();
    }

    @ParameterizedTest
    @ValueSource(longs = 1)
    void eachCorruptKeyIsSetAsideWhileAllElseContinues(long seed) {
        Random random = new Random(seed);
        String held = hold("held-" + seed);
        String done = complete(VICTIM);
        List<String> keys = new ArrayList<>(List.of(
                "agent:victim-agent-0",
                "agent:victim-agent-0:inflight",
                "agent:holder:inflight",
                "task:" + held,
                "task:" + done,
                "agents:active",
                "agents:known",
                "agents:heartbeats",
                "agents:gone",
                "agents:deadlines",
                "agents:departed",
                "agents:events",
                "tasks:ended",
                "stats:tasks",
                "stats:agents",
                "stats:coordinators",
                "stats:alive",
                "stats:ends",
                "index:rebuilding"));
        Collections.shuffle(keys, random);
        // Warnings are throttled: those of the tests before precede this one.
        redis.set("agent:last-of-before", "a string");
        coordinator.get("/agents/last-of-before");
        await().atMost(Duration.ofSeconds(90))
                .until(() -> warnings(List.of("agent:last-of-before")).containsValue(1));
        Map<String, Integer> warnedBefore = warnings(keys);
        for (String key : keys) {
            spoil(key, random);
            serveAgain(VICTIM, List.of(held, done));
        }
        await().atMost(Duration.ofSeconds(90)).untilAsserted(() -> {
            Map<String, Integer> warned = warnings(keys);
            keys.forEach(key -> assertThat(warned.get(key) - warnedBefore.get(key))
                    .as("warnings of %s with seed %d in %s", key, seed, WARNINGS)
                    .isEqualTo(1));
        });
        // A task whose own key was quarantined is restored from the in-flight hash, and the latter from the topic of
        // the
        // agent.
        await().atMost(Duration.ofSeconds(90))
                .until(() -> redis.hexists("agent:holder:inflight", held)
                        && StoredTask.status(redis, held).equals("assigned"));
        coordinator.report(assignment(held), "completed", null);
        coordinator.awaitTask(held, "completed");
        await().until(() -> !redis.hexists("agent:holder:inflight", held));
    }

    @ParameterizedTest
    @ValueSource(longs = 1)
    void eachCorruptFieldIsSetAsideWhileAllElseContinues(long seed) {
        Random random = new Random(seed);
        String held = hold("field-" + seed);
        String done = complete(VICTIM);
        for (String key : List.of("agent:victim-agent-0", "stats:tasks", "agent:holder:inflight")) {
            List<String> fields = new ArrayList<>(redis.hkeys(key));
            Collections.shuffle(fields, random);
            for (String field : fields) {
                boolean removed = random.nextInt(5) == 0;
                if (removed) {
                    redis.hdel(key, field);
                } else {
                    redis.hset(
                            key,
                            field,
                            anyOf(random, "spoilt", "", "{", "[]", "-1", "nan", "1e400", "99999999999999999999"));
                }
                serveAgain(VICTIM, List.of(held, done));
            }
        }
        for (String task : List.of(held, done)) {
            redis.set("task:" + task, anyOf(random, "spoilt", "", "2", "{}", "2a0000000000001"));
            serveAgain(VICTIM, List.of(held, done));
        }
        String next = complete(VICTIM);
        assertThat(coordinator.get("/tasks/" + next).code()).isEqualTo(200);
    }

    @Test
    void aTaskWithACorruptKeyStillTimesOut() {
        String id = coordinator.submit(
                "{\"task_data\":{},\"task_id\":\"overdue\",\"timeout_seconds\":2,\"max_attempts\":1,\"requirements\":{\"capabilities\":[\"holder\"]}}");
        coordinator.awaitTask(id, "assigned");
        redis.del("task:" + id);
        redis.set("task:" + id, "spoilt");
        coordinator.awaitTask(id, "failed");
        assertThat(redis.hexists("agent:holder:inflight", id)).isFalse();
    }

    @Test
    void aCorruptInflightHashIsRestored() {
        String id = hold("listed");
        redis.del("agent:holder:inflight");
        redis.set("agent:holder:inflight", "spoilt");
        assertThat(coordinator.get("/agents/holder/assignments").code()).isEqualTo(200);
        await().atMost(Duration.ofSeconds(90)).until(() -> redis.hexists("agent:holder:inflight", id));
        coordinator.report(assignment(id), "completed", null);
        coordinator.awaitTask(id, "completed");
    }

    private static String hold(String taskId) {
        coordinator.submit("{\"task_data\":{},\"task_id\":\"" + taskId
                + "\",\"requirements\":{\"capabilities\":[\"holder\"]},\"timeout_seconds\":3600}");
        coordinator.awaitTask(taskId, "assigned");
        return taskId;
    }

    private static JsonNode assignment(String taskId) {
        return Stream.iterate(1, count -> count + 1)
                .map(count ->
                        coordinator.awaitRecords("assignments.holder", count).get(count - 1))
                .filter(one -> one.path("task_id").asString("").equals(taskId))
                .findFirst()
                .orElseThrow();
    }

    private static String complete(String agentId) {
        String id = submit(agentId);
        coordinator.awaitTask(id, "completed");
        return id;
    }

    private static String submit(String agentId) {
        return coordinator.submit(
                "{\"task_data\":{},\"requirements\":{\"capabilities\":[\"" + capability(agentId) + "\"]}}");
    }

    private static void assertContinues() {
        complete("bystander-agent-0");
    }

    /** Checks that an agent with regular heartbeats works again, whatever was corrupt, and that no query fails for long. */
    private static void serveAgain(String agentId, List<String> taskIds) {
        String others = submit("bystander-agent-0");
        beat(agentId);
        Set<String> paths = Stream.concat(
                        Stream.of(
                                "/agents",
                                "/agents/" + agentId,
                                "/agents/" + agentId + "/assignments",
                                "/agents/holder/assignments",
                                "/tasks/status",
                                "/tasks/queues",
                                "/health"),
                        taskIds.stream().flatMap(id -> Stream.of("/tasks/" + id, "/tasks/" + id + "/explain")))
                .collect(Collectors.toSet());
        await().atMost(Duration.ofSeconds(5))
                .untilAsserted(() -> paths.forEach(path ->
                        assertThat(coordinator.get(path).code()).as(path).isIn(200, 404)));
        beat(agentId);
        String own = submit(agentId);
        coordinator.awaitTask(others, "completed");
        coordinator.awaitTask(own, "completed");
        assertThat(coordinator
                        .get("/agents/" + agentId)
                        .body()
                        .at("/agent/status")
                        .asString(""))
                .isEqualTo("active");
    }

    private static String capability(String agentId) {
        return agentId.replace("-agent-0", "");
    }

    private static void register(String agentId) {
        assertThat(coordinator
                        .post("/agents/register", REGISTRATION.formatted(agentId, capability(agentId)))
                        .code())
                .isEqualTo(200);
        coordinator.reach(agentId);
    }

    /** Sends a heartbeat with the full registration, as workers do. */
    private static void beat(String agentId) {
        coordinator.publish(
                "agents.heartbeat",
                agentId,
                Json.text(Json.object()
                        .put("agent_id", agentId)
                        .set(
                                "registration",
                                Json.MAPPER.readTree(REGISTRATION.formatted(agentId, capability(agentId))))));
    }

    private static void spoil(String key, Random random) {
        String type = redis.type(key);
        List<Runnable> others = new ArrayList<>();
        Map<String, Runnable> kinds = new TreeMap<>(Map.of(
                "string", () -> redis.set(key, "spoilt"),
                "list", () -> redis.rpush(key, "spoilt"),
                "set", () -> redis.sadd(key, "spoilt"),
                "zset", () -> redis.zadd(key, 1, "spoilt"),
                "hash", () -> redis.hset(key, "spoilt", "spoilt")));
        if (key.equals("agents:events")) {
            others.add(() -> redis.set(key, "spoilt"));
        }
        Set<String> unsuited = Set.of(type.equals("none") ? expected(key) : type);
        kinds.forEach((kind, spoil) -> {
            if (!unsuited.contains(kind)) {
                others.add(spoil);
            }
        });
        Runnable chosen = others.get(random.nextInt(others.size()));
        // In one transaction: a coordinator may write the key as soon as it is gone.
        redis.multi();
        redis.del(key);
        chosen.run();
        redis.exec();
    }

    private static String expected(String key) {
        return switch (key) {
            case "agents:active", "agents:known" -> "set";
            case "agents:heartbeats", "agents:gone", "agents:deadlines", "agents:departed" -> "zset";
            case "agents:events", "index:rebuilding" -> "string";
            case "tasks:ended" -> "list";
            default -> key.startsWith("task:") ? "string" : "hash";
        };
    }

    private static String anyOf(Random random, String... texts) {
        return texts[random.nextInt(texts.length)];
    }

    private static Map<String, Integer> warnings(List<String> keys) {
        Map<String, Integer> counts = new TreeMap<>();
        for (String key : keys) {
            counts.put(key, (int) WARNINGS.stream()
                    .flatMap(warning -> Stream.of(warning.split(": |, ")))
                    .filter(named -> named.startsWith(key + " ("))
                    .count());
        }
        return counts;
    }
}
