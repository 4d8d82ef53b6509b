package io.aitbc.coordinator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Requirements;
import io.aitbc.localstack.LocalStack;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/** Agents with resources, of which two coordinators give tasks parts. */
class ResourcesTest {
    private static final Duration LONG = Duration.ofSeconds(90);

    private static RunningCoordinator one;
    private static RunningCoordinator other;

    @BeforeAll
    static void start() {
        one = start("--aitbc.dispatch.aging-interval=1s");
        other = start("--aitbc.dispatch.aging-interval=1s");
        one.awaitSharedQueues(2);
    }

    private static RunningCoordinator start(String... settings) {
        return RunningCoordinator.start(LocalStack.shared(), "resources.", 10, settings);
    }

    @AfterAll
    static void end() {
        other.close();
        one.close();
    }

    @Test
    void noMoreIsTakenThanAnAgentHas() {
        List<String> agents = List.of("many-1", "many-2");
        agents.forEach(agent -> register(agent, "many", "{\"gpu\":4,\"memory_gb\":63.5}"));
        submit(12, "{\"capabilities\":[\"many\"],\"resources\":{\"gpu\":0.7}}");
        submit(12, "{\"capabilities\":[\"many\"],\"resources\":{\"gpu\":2,\"memory_gb\":40.25}}");
        submit(12, "{\"capabilities\":[\"many\"],\"resources\":{\"memory_gb\":10}}");

        Random random = new Random(1);
        Set<String> ended = new HashSet<>();
        await().atMost(LONG).until(() -> {
            for (String agent : agents) {
                List<JsonNode> live = live(agent, ended);
                assertThat(taken(live, "gpu")).isLessThanOrEqualTo(4_000);
                assertThat(taken(live, "memory_gb")).isLessThanOrEqualTo(63_500);
                if (!live.isEmpty()) {
                    JsonNode assignment = live.get(random.nextInt(live.size()));
                    assertThat(assignment.has("uses")).isFalse();
                    end(assignment, random.nextInt(6) == 0 ? "failed" : "completed", ended);
                }
            }
            return ended.stream().map(id -> id.split(":")[0]).distinct().count() == 36;
        });
    }

    private static long taken(List<JsonNode> live, String resource) {
        return live.stream()
                .mapToLong(assignment -> Json.read(assignment.get("requirements"), Requirements.class)
                        .resources()
                        .thousandths()
                        .getOrDefault(resource, 0L))
                .sum();
    }

    @Test
    void aTaskSaysWhatIsLeftAndWhoCouldEverTakeIt() {
        for (int i = 1; i <= 3; i++) {
            register("left-" + i, "left", "{\"gpu\":4}");
        }
        List<String> before = submit(3, "{\"capabilities\":[\"left\"],\"resources\":{\"gpu\":3}}");
        before.forEach(task -> one.awaitTask(task, "assigned"));
        String large = submit(1, "{\"capabilities\":[\"left\"],\"resources\":{\"gpu\":2}}")
                .get(0);
        String tooLarge = submit(1, "{\"capabilities\":[\"left\"],\"resources\":{\"gpu\":4.5}}")
                .get(0);

        await().atMost(LONG)
                .until(
                        () -> explanation(large)
                                .endsWith(
                                        "the closest is left-1: it has 1 of 4 gpu left, and 2 are needed; 3 agents could ever take it"));
        assertThat(explanation(tooLarge))
                .isEqualTo("no agent can take it; the closest is left-1: it has 4 gpu, and 4.5 are needed");
        JsonNode agent = other.get("/agents/left-1").body().get("agent");
        assertThat(agent.get("resources").toString()).isEqualTo("{\"gpu\":4}");
        assertThat(agent.get("resources_in_use").toString()).isEqualTo("{\"gpu\":3}");
        // Each of the three has one gpu left, which is of no use for a task that takes two.
        await().atMost(LONG)
                .until(() -> one.get("/demand?capability=left")
                                .body()
                                .at("/fleets/0/agents_wanted")
                                .asInt()
                        == 4);
        assertThat(other.post("/tasks/" + before.get(0) + "/cancel", "").code()).isEqualTo(200);
        one.awaitTask(large, "assigned");
    }

    /** Small tasks use what becomes free, in both lanes, until the large one has waited for some seconds. */
    @Test
    void anAgentIsKeptFreeForALargeTask() {
        register("large-1", "large", "{\"gpu\":2}");
        String last = submit(150, "{\"capabilities\":[\"large\"],\"resources\":{\"gpu\":1}}")
                .get(149);
        one.awaitRecords("assignments.large-1", 2);
        String large = submit(1, "{\"capabilities\":[\"large\"],\"resources\":{\"gpu\":2}}")
                .get(0);

        Set<String> ended = new HashSet<>();
        List<String> reasons = new ArrayList<>();
        await().atMost(LONG).until(() -> {
            List<JsonNode> live = live("large-1", ended);
            if (live.stream().anyMatch(one -> one.get("task_id").asString().equals(large))) {
                return true;
            }
            String why = explanation(last);
            boolean isKept = why.contains("it is kept free for a task that has waited long and takes 2 gpu");
            if (isKept) {
                reasons.add(why);
            }
            // One ends at a time, while the other is still at work.
            if (live.size() == 2 || isKept && !live.isEmpty()) {
                end(live.get(0), "completed", ended);
            }
            return false;
        });
        assertThat(reasons).isNotEmpty();
        assertThat(one.get("/tasks/" + last).body().path("status").asString()).isEqualTo("queued");
    }

    /** What was assigned to an agent and has not ended. */
    private static List<JsonNode> live(String agent, Set<String> ended) {
        return one.records("assignments." + agent).stream()
                .map(record -> (JsonNode) Json.MAPPER.readTree(record.value()))
                .filter(assignment ->
                        !ended.contains(assignment.get("assignment_id").asString()))
                .toList();
    }

    private static void end(JsonNode assignment, String status, Set<String> ended) {
        ended.add(assignment.get("assignment_id").asString());
        one.report(assignment, status, status.equals("failed") ? "why" : null);
    }

    private static void register(String agent, String capability, String resources) {
        String body = "{\"agent_id\":\"" + agent + "\",\"agent_type\":\"worker\",\"capabilities\":[\"" + capability
                + "\"],\"resources\":" + resources + "}";
        RunningCoordinator.Answer answer = one.post("/agents/register", body);
        assertThat(answer.code()).as("%s", answer.body()).isEqualTo(200);
        one.reach(agent);
    }

    private static String explanation(String taskId) {
        return other.get("/tasks/" + taskId + "/explain")
                .body()
                .path("explanation")
                .asString("");
    }

    private static List<String> submit(int count, String requirements) {
        String batch = IntStream.range(0, count)
                .mapToObj(i -> "{\"task_data\":{},\"requirements\":" + requirements + "}")
                .collect(Collectors.joining(",", "[", "]"));
        JsonNode answer = one.post("/tasks/submit/batch", batch).body();
        assertThat(answer.get("accepted").asInt()).as("%s", answer).isEqualTo(count);
        return answer.get("results")
                .valueStream()
                .map(result -> result.get("task_id").asString())
                .toList();
    }
}
