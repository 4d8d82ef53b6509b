package io.aitbc.coordinator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.localstack.LocalStack;
import io.lettuce.core.RedisClient;
import io.lettuce.core.api.StatefulRedisConnection;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.config.TopicConfig;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Settings of three brokers and of Redis with which an acknowledged task can be lost. */
class UnsafeSettingsTest {
    private static final Duration LONG = Duration.ofSeconds(90);
    private static LocalStack stack;

    @BeforeAll
    static void start() {
        stack = LocalStack.startCluster(3);
    }

    @AfterAll
    static void stop() {
        stack.close();
    }

    @Test
    void aReplicatedClusterIsUsedWithoutWarning() {
        try (RunningCoordinator coordinator = RunningCoordinator.start(stack, "safe.", 0, "--aitbc.strict=on")) {
            coordinator.awaitHealthy();
            var health = coordinator.get("/health").body();

            assertThat(health.at("/kafka/detail").isMissingNode()).isTrue();
            assertThat(health.at("/redis/detail").isMissingNode()).isTrue();
        }
    }

    @Test
    void oneReplicaOfThreeBrokersIsReportedAndTheTasksRunAllTheSame() {
        try (RunningCoordinator coordinator =
                RunningCoordinator.start(stack, "single.", 1, "--aitbc.topics.replication=1")) {
            coordinator.awaitHealthy();
            coordinator.register("agent", 1);
            coordinator.awaitTask(coordinator.submit("{\"task_data\":{}}"), "assigned");

            assertThat(coordinator.get("/health").body().at("/kafka/detail").asString())
                    .startsWith("single.agents.heartbeat and ")
                    .contains(" other topics have one replica on 3 brokers: the loss of a broker loses records");
        }
    }

    @Test
    void strictlyItStartsOnceTheSettingsAreSafe() throws Exception {
        try (RedisClient client = RedisClient.create(stack.redisUrl());
                StatefulRedisConnection<String, String> redis = client.connect();
                Admin admin =
                        Admin.create(Map.of(AdminClientConfig.BOOTSTRAP_SERVERS_CONFIG, stack.bootstrapServers()))) {
            redis.sync().configSet("maxmemory", "1gb");
            redis.sync().configSet("maxmemory-policy", "allkeys-lru");
            try (RunningCoordinator coordinator =
                    RunningCoordinator.startUnhealthy(stack, "strict.", 2, "--aitbc.strict=on")) {
                awaitDispatchDetail(coordinator, "Redis has maxmemory-policy allkeys-lru");
                awaitDetail(coordinator, "redis", "Redis has maxmemory-policy allkeys-lru");
                assertThat(coordinator.get("/health").code()).isEqualTo(503);

                setMinInSync(admin, "strict.tasks.normal", "1");
                redis.sync().configSet("maxmemory-policy", "noeviction");
                awaitDispatchDetail(coordinator, "strict.tasks.normal has min.insync.replicas=1");

                setMinInSync(admin, "strict.tasks.normal", "2");
                coordinator.awaitHealthy();
            } finally {
                redis.sync().configSet("maxmemory", "0");
                redis.sync().configSet("maxmemory-policy", "noeviction");
            }
        }
    }

    @Test
    void topicsOfOthersMustHaveTheSettingsOfOurs() throws Exception {
        try (Admin admin = Admin.create(Map.of(AdminClientConfig.BOOTSTRAP_SERVERS_CONFIG, stack.bootstrapServers()))) {
            admin.createTopics(List.of(
                            new NewTopic("theirs.tasks.low", 3, (short) 3)
                                    .configs(Map.of(TopicConfig.RETENTION_MS_CONFIG, "1000")),
                            new NewTopic("theirs.agents.heartbeat", 3, (short) 3)
                                    .configs(Map.of(TopicConfig.CLEANUP_POLICY_CONFIG, "compact")),
                            new NewTopic("theirs.tasks.dead-letter", 2, (short) 3),
                            new NewTopic("theirs.coordinator.ledger", 1, (short) 3),
                            new NewTopic("theirs.coordinator.control", 3, (short) 3)
                                    .configs(Map.of(TopicConfig.CLEANUP_POLICY_CONFIG, "compact"))))
                    .all()
                    .get();
            try (RunningCoordinator coordinator =
                    RunningCoordinator.startUnhealthy(stack, "theirs.", 4, "--aitbc.strict=on")) {
                awaitDetail(
                        coordinator,
                        "dispatch",
                        "waiting for Kafka: topic theirs.coordinator.control has 3 partitions and must have 1");

                admin.deleteTopics(List.of("theirs.coordinator.control")).all().get();
                awaitDispatchDetail(coordinator, "theirs.tasks.low has retention.ms=1000: Kafka can");
                assertThat(coordinator.get("/health").body().at("/kafka/detail").asString())
                        .contains("theirs.coordinator.ledger has cleanup.policy=delete: Kafka can")
                        .contains("theirs.tasks.dead-letter has 2 partitions: only the records of the first are found")
                        .doesNotContain("heartbeat");

                set(admin, "theirs.tasks.low", TopicConfig.RETENTION_MS_CONFIG, "-1");
                set(admin, "theirs.coordinator.ledger", TopicConfig.CLEANUP_POLICY_CONFIG, "compact");
                admin.deleteTopics(List.of("theirs.tasks.dead-letter")).all().get();
                coordinator.awaitHealthy();
            }
        }
    }

    /** Partitions of a queue can be added at any time. */
    @Test
    void queuesMayHaveMorePartitionsThanNewOnes() throws Exception {
        try (Admin admin = Admin.create(Map.of(AdminClientConfig.BOOTSTRAP_SERVERS_CONFIG, stack.bootstrapServers()))) {
            admin.createTopics(List.of(new NewTopic("more.tasks.low", 3, (short) 3)
                            .configs(Map.of(TopicConfig.RETENTION_MS_CONFIG, "-1"))))
                    .all()
                    .get();
            try (RunningCoordinator coordinator =
                    RunningCoordinator.start(stack, "more.", 5, "--aitbc.strict=on", "--aitbc.topics.partitions=1")) {
                coordinator.awaitHealthy();
            }
        }
    }

    @Test
    void settingsThatBecomeUnsafeAreReported() throws Exception {
        try (RedisClient client = RedisClient.create(stack.redisUrl());
                StatefulRedisConnection<String, String> redis = client.connect();
                Admin admin =
                        Admin.create(Map.of(AdminClientConfig.BOOTSTRAP_SERVERS_CONFIG, stack.bootstrapServers()));
                RunningCoordinator coordinator = RunningCoordinator.start(stack, "changed.", 3, "--aitbc.strict=on")) {
            coordinator.awaitHealthy();
            try {
                setMinInSync(admin, "changed.tasks.normal", "1");
                redis.sync().configSet("appendonly", "no");

                awaitDetail(coordinator, "kafka", "changed.tasks.normal has min.insync.replicas=1");
                awaitDetail(coordinator, "redis", "Redis has no append-only file");
                assertThat(coordinator.get("/health").code()).isEqualTo(200);
            } finally {
                redis.sync().configSet("appendonly", "yes");
            }
            setMinInSync(admin, "changed.tasks.normal", "2");

            await().atMost(LONG).untilAsserted(() -> {
                var health = coordinator.get("/health").body();
                assertThat(health.at("/kafka/detail").isMissingNode()).isTrue();
                assertThat(health.at("/redis/detail").isMissingNode()).isTrue();
            });
        }
    }

    private static void awaitDetail(RunningCoordinator coordinator, String of, String part) {
        await().atMost(LONG)
                .untilAsserted(() -> assertThat(coordinator
                                .get("/health")
                                .body()
                                .at("/" + of + "/detail")
                                .asString(""))
                        .contains(part));
    }

    private static void awaitDispatchDetail(RunningCoordinator coordinator, String part) {
        await().atMost(LONG)
                .untilAsserted(() -> assertThat(coordinator
                                .get("/health")
                                .body()
                                .at("/dispatch/detail")
                                .asString())
                        .startsWith("not started yet, waiting for safe settings (AITBC_STRICT): ")
                        .contains(part));
    }

    private static void setMinInSync(Admin admin, String topic, String value) throws Exception {
        set(admin, topic, TopicConfig.MIN_IN_SYNC_REPLICAS_CONFIG, value);
    }

    private static void set(Admin admin, String topic, String name, String value) throws Exception {
        admin.incrementalAlterConfigs(Map.of(
                        new ConfigResource(ConfigResource.Type.TOPIC, topic),
                        List.of(new AlterConfigOp(new ConfigEntry(name, value), AlterConfigOp.OpType.SET))))
                .all()
                .get();
    }
}
