package io.aitbc.coordinator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.contracts.Json;
import io.aitbc.localstack.LocalStack;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.producer.internals.BuiltInPartitioner;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/** Two coordinators, and agents that do one task at a time: tenants share them. */
class FairTenantsTest {
    private static final Duration LONG = Duration.ofSeconds(90);

    private static RunningCoordinator one;
    private static RunningCoordinator other;

    @BeforeAll
    static void start() {
        one = RunningCoordinator.start(LocalStack.shared(), "fair.", 12);
        other = RunningCoordinator.start(LocalStack.shared(), "fair.", 12);
        one.awaitSharedQueues(2);
    }

    @AfterAll
    static void end() {
        other.close();
        one.close();
    }

    @Test
    void aFewTasksNeedNotWaitForThoseOfAnotherTenant() {
        submit(2_000, "\"fairness_key\":\"large\",\"requirements\":{\"capabilities\":[\"fair-1\"]}");
        await().atMost(LONG).until(() -> waiting(one, "large") == 2_000);
        submit(10, "\"fairness_key\":\"small\",\"requirements\":{\"capabilities\":[\"fair-1\"]}");
        await().atMost(LONG).until(() -> waiting(other, "small") == 10);

        String explained = one.submit(
                "{\"task_data\":{},\"fairness_key\":\"small\",\"requirements\":{\"capabilities\":[\"fair-1\"]}}");
        await().atMost(LONG).until(() -> waiting(one, "small") == 11);

        one.register("fair-agent-1", 1, "fair-1");
        // Both: until it knows the agent, a coordinator leaves it to the other.
        for (RunningCoordinator each : List.of(one, other)) {
            await().atMost(LONG)
                    .until(() -> each.get("/tasks/" + explained + "/explain")
                            .body()
                            .get("explanation")
                            .asString()
                            .matches(
                                    ".* in the normal queue.*; fairness keys take turns: 1[01] tasks of small wait in all queues, and 1 other"
                                            + " key has tasks waiting; 1 agent can take it once capacity is free"));
        }
        List<String> order = work("fair-agent-1", 60);

        assertThat(order).filteredOn("small"::equals).as("of %s", order).hasSize(11);
        assertThat(order.subList(0, 30)).filteredOn("small"::equals).hasSizeGreaterThanOrEqualTo(7);
        await().atMost(LONG).until(() -> waiting(one, "small") == 0);
    }

    /** The weight that an operator has set applies to both, whatever the tasks say. */
    @Test
    void tenantsHaveSharesInProportionToTheirWeights() {
        assertThat(one.send("PUT", "/fairness/gold", "{\"weight\":3}").code()).isEqualTo(200);
        String requirements = "\"requirements\":{\"capabilities\":[\"fair-2\"]}";
        submit(300, "\"fairness_key\":\"gold\"," + requirements);
        submit(300, "\"fairness_key\":\"plain\",\"fairness_weight\":1," + requirements);
        submit(300, "\"fairness_key\":\"twice\",\"fairness_weight\":2," + requirements);
        await().atMost(LONG)
                .until(() -> waiting(other, "gold") + waiting(other, "plain") + waiting(other, "twice") == 900);

        other.register("fair-agent-2", 1, "fair-2");
        Map<String, Integer> counts = new HashMap<>();
        work("fair-agent-2", 240).forEach(key -> counts.merge(key, 1, Integer::sum));

        assertThat(counts.get("gold")).isBetween(112, 128);
        assertThat(counts.get("twice")).isBetween(72, 88);
        assertThat(counts.get("plain")).isBetween(32, 48);
        assertThat(key(one, "gold").get("weight").asDouble()).isEqualTo(3);
    }

    /** All tasks of a tenant are in one partition, because its name is the key of the records: each lane has other tenants. */
    @Test
    void lanesWithDifferentTenantsShareAgents() {
        for (int i = 0; i < 300; i++) {
            for (int partition : new int[] {0, 2}) {
                one.publish(
                        "tasks.normal",
                        keyOf(partition),
                        "{\"task_data\":{},\"fairness_key\":\"lane-" + partition + "\",\"fairness_weight\":"
                                + (partition + 1) + ",\"requirements\":{\"capabilities\":[\"fair-3\"]}}");
            }
        }
        await().atMost(LONG).until(() -> waiting(one, "lane-0") + waiting(one, "lane-2") == 600);

        one.register("fair-agent-3", 2, "fair-3");
        Map<String, Integer> counts = new HashMap<>();
        work("fair-agent-3", 240).forEach(key -> counts.merge(key, 1, Integer::sum));

        assertThat(counts.get("lane-2")).as("of %s", counts).isBetween(160, 200);
    }

    /** Reports each task as completed as soon as it is there, and returns the keys in the order of assignment. */
    private static List<String> work(String agent, int tasks) {
        List<String> keys = new ArrayList<>();
        one.follow("assignments." + agent, 0, assignment -> {
            keys.add(assignment.get("fairness_key").asString());
            one.report(assignment, "completed", null);
            return keys.size() < tasks;
        });
        return keys;
    }

    /** A record key that belongs to a partition. Partitions 0 and 2 are always in different lanes. */
    private static String keyOf(int partition) {
        return IntStream.range(0, 1_000)
                .mapToObj(String::valueOf)
                .filter(key -> BuiltInPartitioner.partitionForKey(key.getBytes(StandardCharsets.UTF_8), 3) == partition)
                .findFirst()
                .orElseThrow();
    }

    private static void submit(int count, String fields) {
        for (int sent = 0; sent < count; sent += 100) {
            String batch = IntStream.range(0, Math.min(100, count - sent))
                    .mapToObj(i -> "{\"task_data\":{}," + fields + "}")
                    .collect(Collectors.joining(",", "[", "]"));
            assertThat(one.post("/tasks/submit/batch", batch).code()).isEqualTo(200);
        }
    }

    private static JsonNode key(RunningCoordinator coordinator, String key) {
        return coordinator
                .get("/fairness")
                .body()
                .get("keys")
                .valueStream()
                .filter(one -> one.get("fairness_key").asString().equals(key))
                .findFirst()
                .orElseGet(Json::object);
    }

    private static int waiting(RunningCoordinator coordinator, String key) {
        return key(coordinator, key).path("waiting").asInt(0);
    }
}
