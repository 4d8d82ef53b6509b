package example;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Registration;
import io.aitbc.worker.AgentWorker;
import java.util.List;

/** The example agent of the README. */
public final class OwnAgent {
    static AgentWorker start(String kafka) {
        Registration registration = Registration.of("java-1", "worker", List.of("greet"), 5);
        return AgentWorker.builder(kafka, registration, (assignment, context) -> {
                    String name = assignment.taskData().path("name").asString("you");
                    return Json.object().put("said", "hello " + name);
                })
                .start();
    }

    public static void main(String[] args) throws InterruptedException {
        AgentWorker worker = start("localhost:9092");
        Runtime.getRuntime().addShutdownHook(new Thread(worker::close));
        worker.join();
    }
}
