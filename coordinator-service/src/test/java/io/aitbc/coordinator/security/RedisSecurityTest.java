package io.aitbc.coordinator.security;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.coordinator.RunningCoordinator;
import io.aitbc.localstack.LocalRedis;
import io.aitbc.localstack.LocalSentinel;
import io.aitbc.localstack.LocalStack;
import io.lettuce.core.RedisClient;
import io.lettuce.core.api.sync.RedisCommands;
import io.lettuce.core.codec.StringCodec;
import io.lettuce.core.output.StatusOutput;
import io.lettuce.core.protocol.CommandArgs;
import io.lettuce.core.protocol.CommandType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;
import tools.jackson.databind.JsonNode;

/** A Redis with TLS, client certificates and users. */
@EnabledIf(value = "io.aitbc.coordinator.security.Programs#hasOpenssl", disabledReason = "openssl is missing")
@ExtendWith(OutputCaptureExtension.class)
class RedisSecurityTest {
    private static final Path ACL = Path.of("..", "operations", "redis", "coordinator.acl");
    private static final Path KEYS = Path.of("src", "main", "java", "io", "aitbc", "coordinator", "redis", "Keys.java");
    private static final Path SCRIPTS = Path.of("src", "main", "resources", "io", "aitbc", "coordinator");
    private static final Pattern COMMAND = Pattern.compile("call\\((?:.*? and )?'([A-Z]{3,})'(?: or '([A-Z]{3,})')?");
    private static final Pattern KEY = Pattern.compile("['\"]([a-z]+:)[a-z'\"]");
    private static final String SECRET = "p4ssw0rd";
    private static final String PASSWORD = SECRET + ":with/signs";
    private static final Duration LONG = Duration.ofSeconds(90);

    @TempDir
    static Path folder;

    private static LocalRedis redis;
    private static int tlsPort;
    private static RedisClient client;
    private static RedisCommands<String, String> admin;

    @BeforeAll
    static void start() throws Exception {
        Certificates.create(folder, "redis", "coordinator");
        tlsPort = LocalStack.freePort();
        redis = LocalRedis.startSecured(folder.resolve("data"), LocalStack.freePort(), folder, tlsPort);
        client = RedisClient.create(redis.url());
        admin = client.connect().sync();
    }

    @AfterAll
    static void stop() {
        client.shutdown();
        redis.close();
    }

    /** Sets what a user may do, from nothing. */
    private static void user(String name, List<String> rules) {
        CommandArgs<String, String> arguments = new CommandArgs<>(StringCodec.UTF8)
                .add("SETUSER")
                .add(name)
                .add("reset")
                .add("on")
                .add(">" + PASSWORD);
        rules.forEach(arguments::add);
        admin.dispatch(CommandType.ACL, new StatusOutput<>(StringCodec.UTF8), arguments);
    }

    private static List<String> rules() throws IOException {
        return List.of(Files.readString(ACL).strip().split("\\s+"));
    }

    private static String[] settings(String user) {
        return new String[] {
            "--aitbc.redis.url=rediss://" + user + ":"
                    + PASSWORD.replace(":", "%3A").replace("/", "%2F") + "@localhost:" + tlsPort + "/1",
            "--aitbc.redis.ca-certificate=" + folder.resolve("ca.pem"),
            "--aitbc.redis.client-certificate=" + folder.resolve("coordinator.pem")
        };
    }

    @Test
    void sentinelsWithTlsAreAskedForThePrimary(@TempDir Path data) {
        try (LocalSentinel secured = LocalSentinel.startSecured(data, folder);
                RunningCoordinator coordinator = RunningCoordinator.start(
                        LocalStack.shared(),
                        "rsec-sentinel.",
                        14,
                        "--aitbc.redis.url=" + secured.url(),
                        "--aitbc.redis.ca-certificate=" + folder.resolve("ca.pem"),
                        "--aitbc.redis.client-certificate=" + folder.resolve("coordinator.pem"))) {
            coordinator.register("agent", 10);
            coordinator.awaitTask(coordinator.submit("{\"task_data\":{}}"), "assigned");
        }
    }

    @Test
    void aTaskLivesWithTheRightsOfACoordinator(CapturedOutput output) throws Exception {
        user("coordinator", rules());
        try (RunningCoordinator coordinator =
                RunningCoordinator.start(LocalStack.shared(), "rsec.", 14, settings("coordinator"))) {
            coordinator.register("kafka-1", 2, "kafka");
            coordinator.submit(
                    "{\"task_id\": \"k1\", \"task_data\": {}, \"requirements\": {\"capabilities\": [\"kafka\"]}}");
            JsonNode assignment =
                    coordinator.awaitRecords("assignments.kafka-1", 1).get(0);
            coordinator.report(assignment, "progress", null);
            coordinator.report(assignment, "failed", "once");
            coordinator.report(
                    coordinator.awaitRecords("assignments.kafka-1", 2).get(1), "completed", null);
            coordinator.awaitTask("k1", "completed");

            coordinator.post(
                    "/agents/register",
                    "{\"agent_id\": \"pull-1\", \"agent_type\": \"worker\", \"capabilities\": [\"pull\"], \"delivery\": \"pull\"}");
            coordinator.submit(
                    "{\"task_id\": \"p1\", \"task_data\": {}, \"requirements\": {\"capabilities\": [\"pull\"]}}");
            JsonNode claimed = coordinator
                    .post("/agents/pull-1/assignments/claim", "{\"max\": 1, \"wait_seconds\": 30}")
                    .body();
            assertThat(claimed.at("/assignments/0/task_id").asString("")).isEqualTo("p1");
            coordinator.post(
                    "/tasks/p1/results", "{\"attempt\": 1, \"agent_id\": \"pull-1\", \"status\": \"completed\"}");
            coordinator.awaitTask("p1", "completed");

            coordinator.submit(
                    "{\"task_id\": \"c1\", \"task_data\": {}, \"requirements\": {\"capabilities\": [\"none\"]}}");
            coordinator.submit(
                    "{\"task_id\": \"t1\", \"task_data\": {}, \"fairness_key\": \"acme\", \"requirements\": {\"capabilities\": [\"none\"]}}");
            await().atMost(LONG).until(() -> {
                admin.select(1);
                return admin.zcard("waiting:acme") == 1;
            });
            coordinator.post("/tasks/t1/cancel", "");
            coordinator.awaitTask("t1", "cancelled");
            coordinator.post("/tasks/c1/cancel", "");
            coordinator.awaitTask("c1", "cancelled");
            coordinator.submit(
                    "{\"task_id\": \"k2\", \"task_data\": {}, \"requirements\": {\"capabilities\": [\"kafka\"]}}");
            coordinator.awaitTask("k2", "assigned");
            coordinator.post("/tasks/k2/cancel", "");
            coordinator.awaitTask("k2", "cancelled");
            coordinator.submit("""
                    {"task_id": "d1", "task_data": {}, "max_attempts": 1, "requirements": {"capabilities": ["kafka"]}}""");
            coordinator.report(
                    coordinator.awaitRecords("assignments.kafka-1", 5).get(4), "failed", "always");
            coordinator.awaitTask("d1", "failed");
            coordinator.post("/tasks/dead-letter/d1/redrive", "");
            coordinator.awaitTask("d1", "assigned");
            coordinator.post("/tasks/queues/low/clear", "");
            for (String path : List.of("/agents", "/tasks/status", "/registry/stats", "/coordinators", "/metrics")) {
                assertThat(coordinator.text(path)).doesNotContain("NOPERM");
            }
            assertThat(coordinator.get("/health").body().at("/redis/state").asString())
                    .isEqualTo("up");
            coordinator.send("DELETE", "/agents/pull-1", null);

            admin.select(1);
            admin.flushdb();
            await().atMost(LONG).until(() -> admin.exists("index:complete") == 1);
            coordinator.awaitTask("d1", "assigned");
            // A corrupt key is put aside.
            admin.del("agents:active");
            admin.set("agents:active", "spoilt");
            await().atMost(LONG).until(() -> admin.exists("spoilt:agents:active") == 1);
        }
        assertThat(denied()).isEmpty();
        assertThat(output).doesNotContain(SECRET);
    }

    /** What Redis has refused to the coordinator. */
    private static List<?> denied() {
        return admin.aclLog().stream()
                .filter(entry -> entry.get("username").equals("coordinator"))
                .toList();
    }

    @Test
    void theRightsCoverEveryCommandAndKeyOfTheScripts() throws IOException {
        Set<String> used = new TreeSet<>();
        try (Stream<Path> sources = Stream.concat(Files.walk(SCRIPTS), Stream.of(KEYS))) {
            for (Path source : sources.filter(path -> path.toString().matches(".*[.](lua|java)"))
                    .toList()) {
                String text = Files.readString(source);
                COMMAND.matcher(text)
                        .results()
                        .flatMap(match -> Stream.of(match.group(1), match.group(2)))
                        .filter(Objects::nonNull)
                        .forEach(command -> used.add("+" + command.toLowerCase(Locale.ROOT)));
                KEY.matcher(text).results().forEach(match -> used.add("~" + match.group(1) + "*"));
            }
        }
        assertThat(used).hasSizeGreaterThan(50);
        assertThat(rules()).containsAll(used);
    }

    @Test
    void healthSaysWhyRedisRefusesACoordinatorAndItStartsOnceAllowed(CapturedOutput output) throws Exception {
        try (RunningCoordinator late =
                RunningCoordinator.startUnhealthy(LocalStack.shared(), "rlate.", 13, settings("late"))) {
            awaitRedis(late, "WRONGPASS");
            user("late", List.of());
            awaitRedis(late, "NOPERM");
            user("late", rules());
            late.awaitHealthy();
            assertThat(output).doesNotContain(SECRET);
        }
    }

    private static void awaitRedis(RunningCoordinator coordinator, String reason) {
        JsonNode health = await().atMost(LONG)
                .until(
                        () -> coordinator.get("/health").body(),
                        body -> body.at("/redis/detail").asString("").startsWith(reason));
        assertThat(health.at("/redis/state").asString()).isEqualTo("down");
        assertThat(health.toString()).doesNotContain(SECRET);
    }
}
