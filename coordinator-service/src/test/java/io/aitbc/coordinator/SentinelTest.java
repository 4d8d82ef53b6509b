package io.aitbc.coordinator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.localstack.LocalSentinel;
import io.aitbc.localstack.LocalStack;
import io.lettuce.core.RedisClient;
import io.lettuce.core.RedisURI;
import io.lettuce.core.api.StatefulRedisConnection;
import io.lettuce.core.api.sync.RedisCommands;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/** A Redis with a replica, under Sentinel. */
class SentinelTest {
    private static final Duration LONG = Duration.ofSeconds(90);

    @Test
    void tasksAreDispatchedAfterAFailover(@TempDir Path folder) {
        try (LocalSentinel redis = LocalSentinel.start(folder)) {
            awaitReplicas(redis);
            try (RunningCoordinator coordinator = RunningCoordinator.start(
                    LocalStack.shared(), "sentinel.", 14, "--aitbc.redis.url=" + redis.url())) {
                coordinator.register("agent", 10);
                String before = coordinator.submit("{\"task_data\":{}}");
                coordinator.awaitTask(before, "assigned");

                redis.servers().get(0).process().kill();

                await().atMost(LONG).until(() -> coordinator.get("/health").code() == 503);
                coordinator.awaitHealthy();
                String after = coordinator.submit("{\"task_data\":{}}");
                coordinator.awaitTask(after, "assigned");
                assertThat(coordinator
                                .get("/tasks/" + before)
                                .body()
                                .get("status")
                                .asString())
                        .isEqualTo("assigned");
            }
        }
    }

    /** One of Redis, and one of the Sentinels. */
    @Test
    void passwordsAreSent(@TempDir Path folder) {
        String password = "of-redis-and-sentinels";
        try (LocalSentinel redis = LocalSentinel.startWithPassword(folder, password);
                RunningCoordinator coordinator = RunningCoordinator.start(
                        LocalStack.shared(),
                        "sentinel-password.",
                        14,
                        "--aitbc.redis.url=" + redis.url().replace("://", "://:" + password + "@"),
                        "--aitbc.redis.sentinel-password=" + password)) {
            coordinator.register("agent", 10);
            coordinator.awaitTask(coordinator.submit("{\"task_data\":{}}"), "assigned");
        }
    }

    /** Its connections stay open. */
    @Test
    void aPrimaryThatHangsIsLeft(@TempDir Path folder) {
        try (LocalSentinel redis = LocalSentinel.start(folder)) {
            awaitReplicas(redis);
            try (RunningCoordinator coordinator = RunningCoordinator.start(
                    LocalStack.shared(), "sentinel-hangs.", 14, "--aitbc.redis.url=" + redis.url())) {
                coordinator.register("agent", 10);

                redis.servers().get(0).process().pause();

                await().atMost(LONG).until(() -> coordinator.get("/health").code() == 503);
                coordinator.awaitHealthy();
                coordinator.awaitTask(coordinator.submit("{\"task_data\":{}}"), "assigned");
            }
        }
    }

    /** The replica does not have what the primary acknowledged last: an attempt ended meanwhile, and its result was settled. */
    @Test
    void whatAFailoverHasLostIsReadFromKafka(@TempDir Path folder) throws Exception {
        String prefix = "sentinel-loss.";
        try (LocalSentinel redis = LocalSentinel.start(folder)) {
            awaitReplicas(redis);
            try (RunningCoordinator coordinator =
                    RunningCoordinator.start(LocalStack.shared(), prefix, 14, "--aitbc.redis.url=" + redis.url())) {
                coordinator.register("agent", 10);
                String task = coordinator.submit("{\"task_data\":{},\"timeout_seconds\":30}");
                JsonNode assignment =
                        coordinator.awaitRecords("assignments.agent", 1).get(0);
                try (RedisClient client = RedisClient.create(redis.url())) {
                    RedisCommands<String, String> primary =
                            command(client, redis.servers().get(0));
                    List<RedisCommands<String, String>> replicas = redis.servers().subList(1, 3).stream()
                            .map(server -> command(client, server))
                            .toList();
                    await().atMost(LONG)
                            .until(() ->
                                    replicas.stream().allMatch(replica -> replica.hlen("agent:agent:inflight") == 1));
                    // They follow a server that does not exist. The Sentinels correct that, but only after 10 s.
                    primary.configSet("min-replicas-to-write", "0");
                    replicas.forEach(replica -> replica.replicaof("127.0.0.1", LocalStack.freePort()));
                    coordinator.report(assignment, "completed", null);
                    coordinator.awaitTask(task, "completed");
                    awaitSettled(prefix);

                    redis.servers().get(0).process().kill();

                    // Sentinel disconnects clients of a server whose role it changes.
                    await().atMost(LONG)
                            .ignoreExceptions()
                            .until(() -> replicas.stream()
                                    .anyMatch(replica ->
                                            replica.info("replication").contains("role:master")
                                                    && replica.hlen("agent:agent:inflight") == 1));
                    coordinator.awaitHealthy();
                    coordinator.awaitTask(task, "completed");
                    await().atMost(LONG)
                            .ignoreExceptions()
                            .until(() ->
                                    replicas.stream().allMatch(replica -> replica.exists("agent:agent:inflight") == 0));
                }
            }
        }
    }

    private static RedisCommands<String, String> command(RedisClient client, LocalSentinel.Server server) {
        return client.connect(RedisURI.create(server.url())).sync();
    }

    private static void awaitSettled(String prefix) {
        try (Admin admin =
                Admin.create(Map.of("bootstrap.servers", LocalStack.shared().bootstrapServers()))) {
            await().atMost(LONG)
                    .until(() -> admin
                            .listConsumerGroupOffsets(prefix + "agent-coordinator.results")
                            .partitionsToOffsetAndMetadata()
                            .get()
                            .values()
                            .stream()
                            .anyMatch(committed -> committed.offset() > 0));
        }
    }

    private static void awaitReplicas(LocalSentinel redis) {
        try (RedisClient client = RedisClient.create(redis.servers().get(0).url());
                StatefulRedisConnection<String, String> connection = client.connect()) {
            await().atMost(LONG)
                    .until(() -> connection.sync().info("replication").contains("min_slaves_good_slaves:2"));
        }
    }
}
