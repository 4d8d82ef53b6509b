package io.aitbc.coordinator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.aitbc.localstack.LocalRedis;
import io.aitbc.localstack.LocalStack;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** All other tests run with it as well: {@code mvn verify -Dlocal-stack.redis=/usr/bin/valkey-server}. */
class ValkeyTest {
    @Test
    void aTaskIsAssignedAndCompletedBeforeAndAfterARestart(@TempDir Path folder) throws Exception {
        Path executable = LocalRedis.installed("valkey-server").orElse(null);
        assumeTrue(executable != null, "valkey-server is not installed");
        int port = LocalStack.freePort();
        LocalRedis valkey = LocalRedis.start(folder, port, executable);
        try (RunningCoordinator coordinator =
                RunningCoordinator.start(LocalStack.shared(), "valkey.", 14, "--aitbc.redis.url=" + valkey.url())) {
            coordinator.register("agent", 10);
            complete(coordinator, 1);
            String assigned = coordinator.submit("{\"task_data\":{}}");
            coordinator.awaitTask(assigned, "assigned");

            valkey.close();
            valkey = LocalRedis.start(folder, port, executable);

            coordinator.awaitHealthy();
            coordinator.awaitTask(assigned, "assigned");
            complete(coordinator, 3);
            assertThat(coordinator.get("/agents/agent").code()).isEqualTo(200);
        } finally {
            valkey.close();
        }
    }

    /** @param number of the assignment among those of the agent */
    private static void complete(RunningCoordinator coordinator, int number) throws Exception {
        String task = coordinator.submit("{\"task_data\":{}}");
        coordinator.report(coordinator.awaitRecords("assignments.agent", number).get(number - 1), "completed", null);
        coordinator.awaitTask(task, "completed");
    }
}
