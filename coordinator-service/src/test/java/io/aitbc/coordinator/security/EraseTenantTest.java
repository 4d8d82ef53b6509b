package io.aitbc.coordinator.security;

import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.coordinator.taskstate.StoredTask;
import io.aitbc.localstack.LocalStack;
import io.lettuce.core.AclSetuserArgs;
import io.lettuce.core.RedisClient;
import io.lettuce.core.api.sync.RedisCommands;
import io.lettuce.core.protocol.CommandType;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The script that the documentation names for erasing a tenant's data in Redis. */
@EnabledIf(value = "io.aitbc.coordinator.security.Programs#hasRedisCli", disabledReason = "redis-cli is missing")
class EraseTenantTest {
    private static final String DATABASE = "/14";

    private RedisClient client;
    private RedisCommands<String, String> redis;

    @BeforeEach
    void start() {
        client = RedisClient.create(LocalStack.shared().redisUrl() + DATABASE);
        redis = client.connect().sync();
        redis.flushdb();
    }

    @AfterEach
    void end() {
        redis.flushdb();
        client.shutdown();
    }

    private void task(String id, String status, String key) {
        Map<String, String> fields = new HashMap<>(Map.of("status", status, "attempt", "1", "fairness_key", key));
        if (status.equals("assigned")) {
            fields.putAll(Map.of("agent_id", "a", "assigned_at", "2026-01-01T00:00:00Z"));
        }
        StoredTask.put(redis, id, fields);
    }

    /** What it writes, including errors. */
    private static String run(String... arguments) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of("bash", "../operations/redis/erase-tenant.sh"));
        command.addAll(List.of(arguments));
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor(1, TimeUnit.MINUTES)).isTrue();
        return process.exitValue() == 0 ? said : "exit " + process.exitValue() + ": " + said;
    }

    /** What cannot be erased must not pass for erased. */
    @ParameterizedTest
    @ValueSource(strings = {"erase", "list"})
    void anErrorOfRedisIsReported(String mode) throws Exception {
        task("done", "completed", "acme");
        redis.aclSetuser(
                "scanner",
                AclSetuserArgs.Builder.on()
                        .nopass()
                        .allKeys()
                        .addCommand(CommandType.SCAN)
                        .addCommand(CommandType.SELECT));
        try {
            String url = LocalStack.shared().redisUrl().replace("redis://", "redis://scanner:any@") + DATABASE;

            assertThat(run(mode, "acme", "-u", url))
                    .startsWith("exit 1: ")
                    .contains("NOPERM")
                    .doesNotContain("Erased");
        } finally {
            redis.aclDeluser("scanner");
        }
    }

    /** An unset variable of a shell, and not all tasks without a tenant. */
    @Test
    void aTenantMustBeNamed() throws Exception {
        task("done", "completed", "");

        assertThat(run("erase", "", "-u", LocalStack.shared().redisUrl() + DATABASE))
                .startsWith("exit 2: ");
        assertThat(redis.keys("*")).containsExactly("task:done");
    }

    @Test
    void endedTasksOfTheTenantAreErasedAndUnfinishedOnesNamed() throws Exception {
        String url = LocalStack.shared().redisUrl() + DATABASE;
        for (int i = 0; i < 1_500; i++) {
            task("done-" + i, "completed", "acme");
        }
        task("runs", "assigned", "acme");
        task("waits", "queued", "acme");
        task("others", "completed", "other");
        redis.set("task:spoilt", "acme");
        redis.zadd("waiting:acme", 1, "waits");

        assertThat(run("list", "acme", "-u", url).lines()).containsExactlyInAnyOrder("runs", "waits");
        assertThat(run("erase", "acme", "-u", url).lines())
                .containsExactlyInAnyOrder("Not ended: runs", "Not ended: waits", "Erased the state of 1500 tasks.");
        assertThat(redis.keys("*"))
                .containsExactlyInAnyOrder("task:runs", "task:waits", "task:others", "task:spoilt", "waiting:acme");

        task("runs", "cancelled", "acme");
        task("waits", "cancelled", "acme");
        assertThat(run("erase", "acme", "-u", url)).isEqualTo("Erased the state of 2 tasks.\n");
        assertThat(redis.keys("*")).containsExactlyInAnyOrder("task:others", "task:spoilt");
        assertThat(run("list", "acme", "-u", url)).isEmpty();
        assertThat(run("acme")).contains("erase-tenant.sh erase <fairness_key>");
    }
}
