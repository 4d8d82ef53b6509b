package io.aitbc.coordinator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.localstack.LocalStack;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.stream.IntStream;
import org.apache.kafka.clients.producer.internals.BuiltInPartitioner;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/** Two coordinators share the work and give the same answers, and one continues alone when the other ends. */
class SeveralCoordinatorsTest {
    @Test
    void oneTakesOverFromTheOther() {
        try (RunningCoordinator staying = RunningCoordinator.start(LocalStack.shared(), "several.", 3)) {
            List<String> ids = new ArrayList<>();
            try (RunningCoordinator leaving = RunningCoordinator.start(LocalStack.shared(), "several.", 3)) {
                await().atMost(Duration.ofSeconds(90))
                        .until(() -> partitions(staying).size() == 2
                                && partitions(staying).stream().allMatch(count -> count >= 5));
                leaving.register("shared-agent", 1_000);
                for (int i = 0; i < 40; i++) {
                    ids.add((i % 2 == 0 ? staying : leaving).submit("{\"task_data\":{}}"));
                }
                for (JsonNode assignment : leaving.awaitRecords("assignments.shared-agent", 40)) {
                    leaving.report(assignment, "completed", null);
                }
                ids.forEach(id -> staying.awaitTask(id, "completed"));
                JsonNode switched = leaving.send("PUT", "/load-balancer/strategy", "{\"strategy\":\"random\"}")
                        .body();
                assertThat(switched.path("status").asString()).isEqualTo("success");
                await().atMost(Duration.ofSeconds(90))
                        .until(() -> strategy(staying).equals("random"));
                assertThat(staying.get("/tasks/status").body().at("/stats/tasks_completed"))
                        .isEqualTo(leaving.get("/tasks/status").body().at("/stats/tasks_completed"));
                for (int i = 0; i < 40; i++) {
                    ids.add((i % 2 == 0 ? staying : leaving).submit("{\"task_data\":{}}"));
                }
            }
            List<JsonNode> all = staying.awaitRecords("assignments.shared-agent", 80);
            all.subList(40, all.size()).forEach(assignment -> staying.report(assignment, "completed", null));
            ids.forEach(id -> staying.awaitTask(id, "completed"));
            assertThat(all)
                    .extracting(assignment -> assignment.get("assignment_id").asString())
                    .containsOnlyOnceElementsOf(
                            new HashSet<>(ids.stream().map(id -> id + ":1").toList()));
            assertThat(staying.get("/tasks/status")
                            .body()
                            .at("/stats/tasks_completed")
                            .asLong())
                    .isEqualTo(80);
        }
    }

    /** A queue paused at one coordinator is paused for the whole cluster, including coordinators that start later. */
    @Test
    void aQueueIsPausedForTheWholeCluster() {
        try (RunningCoordinator asked = RunningCoordinator.start(LocalStack.shared(), "paused.", 13)) {
            asked.register("paused-agent", 100);
            assertThat(asked.post("/tasks/queues/low/pause", "").code()).isEqualTo(200);
            try (RunningCoordinator later = RunningCoordinator.start(LocalStack.shared(), "paused.", 13)) {
                await().atMost(Duration.ofSeconds(90))
                        .until(() -> partitions(asked).size() == 2
                                && partitions(asked).stream().allMatch(count -> count >= 5));
                assertThat(later.get("/tasks/queues").body().get("paused").toString())
                        .isEqualTo("[\"low\"]");
                // Spread over all partitions, so in both lanes; only tasks of queues that are not paused are assigned.
                for (int i = 0; i < 30; i++) {
                    later.submit("{\"task_data\":{},\"priority\":\"low\"}");
                }
                for (int i = 0; i < 10; i++) {
                    later.submit("{\"task_data\":{},\"priority\":\"normal\"}");
                }
                assertThat(asked.awaitRecords("assignments.paused-agent", 10))
                        .extracting(assignment -> assignment.get("priority").asString())
                        .containsOnly("normal");

                assertThat(later.post("/tasks/queues/low/resume", "").code()).isEqualTo(200);

                assertThat(asked.awaitRecords("assignments.paused-agent", 40)).hasSize(40);
                assertThat(asked.get("/tasks/queues").body().get("paused")).isEmpty();
            }
        }
    }

    /** Low-priority tasks in one lane do not overtake urgent ones in the other, once the lanes have exchanged their wants. */
    @Test
    void anAgentThatBecomesFreeGoesToTheMostUrgentTaskOfAnyLane() {
        try (RunningCoordinator one = RunningCoordinator.start(LocalStack.shared(), "wants.", 11);
                RunningCoordinator other = RunningCoordinator.start(LocalStack.shared(), "wants.", 11)) {
            await().atMost(Duration.ofSeconds(90))
                    .until(() -> partitions(one).size() == 2
                            && partitions(one).stream().allMatch(count -> count >= 5));
            one.register("only-agent", 1);
            for (int i = 0; i < 60; i++) {
                one.submit("{\"task_data\":{},\"priority\":\"low\"}");
            }
            one.awaitRecords("assignments.only-agent", 1);
            for (int i = 0; i < 4; i++) {
                // All in one partition, so in one lane.
                one.publish("tasks.urgent", "one-key", "{\"task_data\":{},\"task_id\":\"wanted-" + i + "\"}");
            }
            await().atMost(Duration.ofSeconds(90))
                    .until(() -> lanes(one).stream()
                            .allMatch(
                                    lane -> lane.path("yields_to").asString("").equals("urgent")
                                            || lane.get("oldest").has("urgent")));
            for (int i = 0; i < 4; i++) {
                one.report(one.awaitRecords("assignments.only-agent", i + 1).get(i), "completed", null);
            }
            assertThat(one.awaitRecords("assignments.only-agent", 5).subList(1, 5))
                    .extracting(assignment -> assignment.get("priority").asString())
                    .containsOnly("urgent");
        }
    }

    /** Partitions 0 and 2 are always in different lanes. */
    @Test
    void agedTasksHaveTheirShareOfAgentsWantedByUrgentTasksInTheOtherLane() {
        String[] aging = {"--aitbc.dispatch.aging-interval=10ms"};
        try (RunningCoordinator one = RunningCoordinator.start(LocalStack.shared(), "share.", 14, aging);
                RunningCoordinator other = RunningCoordinator.start(LocalStack.shared(), "share.", 14, aging)) {
            await().atMost(Duration.ofSeconds(90))
                    .until(() -> partitions(one).size() == 2
                            && partitions(one).stream().allMatch(count -> count >= 5));
            assertThat(agedOf100(one, "aged-first", 0, 2)).isBetween(5, 15);
            assertThat(agedOf100(one, "urgent-first", 2, 0)).isBetween(5, 15);
        }
    }

    /**
     * Returns how many of 100 assignments went to aged tasks while both kinds waited, each in its own partition. The count starts with the
     * first of them, once the lane with the urgent tasks knows of the aged ones.
     */
    private static int agedOf100(RunningCoordinator coordinator, String agent, int agedIn, int urgentIn) {
        coordinator.register(agent, 4, agent);
        for (int i = 0; i < 60; i++) {
            publish(coordinator, "low", agent + "-low-" + i, agent, agedIn);
        }
        String topic = "assignments." + agent;
        List<JsonNode> first = coordinator.awaitRecords(topic, 4);
        for (int i = 0; i < 400; i++) {
            publish(coordinator, "urgent", agent + "-urgent-" + i, agent, urgentIn);
        }
        await().atMost(Duration.ofSeconds(90))
                .until(() -> lanes(coordinator).stream()
                        .allMatch(lane -> lane.path("yields_to").asString("").equals("urgent")
                                || lane.get("oldest").has("urgent")));
        first.forEach(assignment -> coordinator.report(assignment, "completed", null));
        List<JsonNode> counted = new ArrayList<>();
        coordinator.follow(topic, 4, assignment -> {
            coordinator.report(assignment, "completed", null);
            if (!counted.isEmpty() || isLow(assignment)) {
                counted.add(assignment);
            }
            return counted.size() < 100;
        });
        return (int) counted.stream().filter(SeveralCoordinatorsTest::isLow).count();
    }

    private static boolean isLow(JsonNode assignment) {
        return assignment.get("priority").asString().equals("low");
    }

    private static void publish(
            RunningCoordinator coordinator, String priority, String taskId, String capability, int partition) {
        String key = IntStream.iterate(0, i -> i + 1)
                .mapToObj(i -> taskId + "-" + i)
                .filter(one -> BuiltInPartitioner.partitionForKey(one.getBytes(StandardCharsets.UTF_8), 3) == partition)
                .findFirst()
                .orElseThrow();
        coordinator.publish(
                "tasks." + priority,
                key,
                "{\"task_data\":{},\"task_id\":\"" + taskId + "\",\"requirements\":{\"capabilities\":[\"" + capability
                        + "\"]}}");
    }

    private static List<JsonNode> lanes(RunningCoordinator coordinator) {
        return coordinator
                .get("/coordinators")
                .body()
                .get("coordinators")
                .valueStream()
                .toList();
    }

    /** Returns the number of partitions of each coordinator. */
    private static List<Integer> partitions(RunningCoordinator coordinator) {
        List<Integer> counts = new ArrayList<>();
        coordinator
                .get("/coordinators")
                .body()
                .get("coordinators")
                .forEach(one -> counts.add(one.get("partitions").asInt()));
        return counts;
    }

    private static String strategy(RunningCoordinator coordinator) {
        return coordinator
                .get("/load-balancer/stats")
                .body()
                .at("/stats/strategy")
                .asString("");
    }
}
