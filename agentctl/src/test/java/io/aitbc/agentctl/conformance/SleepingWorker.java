package io.aitbc.agentctl.conformance;

import io.aitbc.contracts.Registration;
import io.aitbc.contracts.Topics;
import io.aitbc.worker.AgentWorker;
import io.aitbc.worker.handlers.Sleep;
import io.aitbc.worker.handlers.TaskTypes;
import java.time.Duration;
import java.util.List;
import java.util.Map;

/** An agent with the Java library. */
final class SleepingWorker {
    private SleepingWorker() {}

    public static void main(String[] args) throws InterruptedException {
        AgentWorker worker = AgentWorker.builder(
                        System.getenv("KAFKA"),
                        Registration.of(System.getenv("AGENT_ID"), "worker", List.of("sleep"), 2),
                        new TaskTypes(Map.of("sleep", new Sleep())))
                .topics(new Topics(System.getenv("AITBC_TOPICS_PREFIX")))
                .drainTimeout(Duration.ofMillis(500))
                .start();
        Runtime.getRuntime().addShutdownHook(new Thread(worker::close));
        worker.join();
    }
}
