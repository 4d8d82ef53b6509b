package io.aitbc.coordinator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.coordinator.kafka.CommitTag;
import io.aitbc.localstack.LocalStack;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/** Shared topics are deleted while a coordinator runs: they are re-created, and work continues. */
class DeletedTopicsTest {
    private static final String PREFIX = "deleted.";

    private static Admin admin;
    private static RunningCoordinator coordinator;

    @BeforeAll
    static void start() throws Exception {
        admin = Admin.create(Map.of("bootstrap.servers", LocalStack.shared().bootstrapServers()));
        commitForAnotherTopic();
        coordinator = RunningCoordinator.start(LocalStack.shared(), PREFIX, 5);
        coordinator.register("agent", 100);
    }

    @AfterAll
    static void end() {
        coordinator.close();
        admin.close();
    }

    /** Commits offsets tagged with another topic id, as a group member does that has not yet noticed that the topic was replaced. */
    private static void commitForAnotherTopic() throws Exception {
        String tasks = PREFIX + "tasks.low";
        admin.createTopics(List.of(new NewTopic(tasks, 3, (short) 1))).all().get();
        String metadata = CommitTag.with(Uuid.randomUuid(), "");
        admin.alterConsumerGroupOffsets(
                        PREFIX + "agent-coordinator",
                        Map.of(
                                new TopicPartition(tasks, 0), new OffsetAndMetadata(3, metadata),
                                new TopicPartition(tasks, 1), new OffsetAndMetadata(3, metadata),
                                new TopicPartition(tasks, 2), new OffsetAndMetadata(3, metadata)))
                .all()
                .get();
    }

    @Test
    void commitsForAnEarlierTopicOfTheSameNameDoNotCount() {
        List<String> ids = submit("low", 12);
        ids.forEach(DeletedTopicsTest::complete);
        await().atMost(Duration.ofSeconds(90))
                .until(() -> coordinator
                                .get("/tasks/queues")
                                .body()
                                .at("/queue_sizes/low")
                                .asInt(-1)
                        == 0);
    }

    @Test
    void tasksSubmittedAfterwardsRun() throws Exception {
        submit("normal", 12).forEach(DeletedTopicsTest::complete);

        delete("tasks.normal");
        JsonNode sizes = await().atMost(Duration.ofSeconds(90))
                .pollInterval(Duration.ofMillis(20))
                .until(
                        () -> coordinator.get("/tasks/queues").body().path("queue_sizes"),
                        queues -> queues.path("normal").isNull());
        assertThat(sizes.path("urgent").isNumber()).as("%s", sizes).isTrue();
        awaitRecreated("tasks.normal");

        submit("normal", 12).forEach(DeletedTopicsTest::complete);
        submit("high", 1).forEach(DeletedTopicsTest::complete);
    }

    /** The topic is re-created externally, before any coordinator notices. */
    @Test
    void tasksInATopicThatWasReplacedAtOnceRun() throws Exception {
        submit("critical", 12).forEach(DeletedTopicsTest::complete);

        delete("tasks.critical");
        await().atMost(Duration.ofSeconds(90))
                .pollInterval(Duration.ofMillis(20))
                .ignoreExceptions()
                .until(() -> {
                    admin.createTopics(List.of(new NewTopic(PREFIX + "tasks.critical", 3, (short) 1)))
                            .all()
                            .get();
                    return true;
                });

        submit("critical", 24).forEach(DeletedTopicsTest::complete);
    }

    @Test
    void resultsPublishedAfterwardsAreSettled() throws Exception {
        submit("urgent", 6).forEach(DeletedTopicsTest::complete);
        List<String> running = submit("urgent", 6);

        delete("tasks.results");
        awaitRecreated("tasks.results");

        running.forEach(DeletedTopicsTest::complete);
    }

    /** Also those of tasks that are assigned while the topic is missing. */
    @Test
    void eventsArePublishedAfterwards() throws Exception {
        submit("urgent", 1).forEach(DeletedTopicsTest::complete);

        delete("tasks.events");
        List<String> ids = submit("urgent", 12);
        awaitRecreated("tasks.events");
        ids.forEach(DeletedTopicsTest::complete);

        Set<String> missing = new HashSet<>();
        ids.forEach(id -> missing.addAll(List.of(id + ":1:assigned", id + ":1:completed")));
        coordinator.follow("tasks.events", 0, event -> {
            missing.remove(event.get("id").asString());
            return !missing.isEmpty();
        });
    }

    @Test
    void heartbeatsPublishedAfterwardsAreRead() throws Exception {
        delete("agents.heartbeat");
        awaitRecreated("agents.heartbeat");

        coordinator.publish(
                "agents.heartbeat",
                "newcomer",
                "{\"agent_id\":\"newcomer\",\"registration\":{\"agent_id\":\"newcomer\",\"agent_type\":\"worker\","
                        + "\"capabilities\":[\"of-newcomers\"]}}");

        await().atMost(Duration.ofSeconds(90))
                .until(() -> coordinator.get("/agents/newcomer").code() == 200);
    }

    /** A coordinator that starts later has to read the decision, too. */
    @Test
    void decisionsAreKeptAndCommandsAreFollowed() throws Exception {
        assertThat(coordinator
                        .send("PUT", "/load-balancer/strategy", "{\"strategy\":\"round_robin\"}")
                        .code())
                .isEqualTo(200);

        delete("coordinator.control");
        awaitRecreated("coordinator.control");

        // The topic also holds health probes.
        await().atMost(Duration.ofSeconds(90))
                .untilAsserted(() -> assertThat(coordinator
                                .awaitRecords("coordinator.control", 1)
                                .toString())
                        .contains("round_robin"));
        assertThat(coordinator.post("/tasks/queues/low/pause", "").code()).isEqualTo(200);
        assertThat(coordinator.post("/tasks/queues/low/resume", "").code()).isEqualTo(200);
    }

    @Test
    void poisonRecordsAreDeadLettered() throws Exception {
        delete("tasks.dead-letter");
        awaitRecreated("tasks.dead-letter");

        coordinator.publish("tasks.high", "poison", "no task");

        assertThat(coordinator.awaitRaw("tasks.dead-letter", 1).get(0).value()).isEqualTo("no task");
    }

    private static void delete(String topic) throws Exception {
        admin.deleteTopics(List.of(PREFIX + topic)).all().get();
    }

    private static void awaitRecreated(String topic) {
        JsonNode health = await().atMost(Duration.ofSeconds(90))
                .pollInterval(Duration.ofMillis(20))
                .until(
                        () -> coordinator.get("/health").body(),
                        now -> now.at("/topics/state").asString("").equals("down"));
        assertThat(health.at("/status").asString()).isEqualTo("unhealthy");
        assertThat(health.at("/topics/detail").asString()).contains(PREFIX + topic);
        coordinator.awaitHealthy();
    }

    private static List<String> submit(String priority, int count) {
        List<String> ids = new ArrayList<>();
        IntStream.range(0, count)
                .forEach(i -> ids.add(coordinator.submit("{\"task_data\":{},\"priority\":\"" + priority
                        + "\",\"requirements\":{\"agent_id\":\"agent\"}}")));
        return ids;
    }

    private static void complete(String taskId) {
        JsonNode task = coordinator.awaitTask(taskId, "assigned");
        coordinator.publish(
                "tasks.results",
                taskId,
                "{\"task_id\":\"" + taskId + "\",\"assignment_id\":\"" + taskId + ":"
                        + task.get("attempt").asInt()
                        + "\",\"attempt\":" + task.get("attempt").asInt()
                        + ",\"agent_id\":\"agent\",\"status\":\"completed\",\"result\":{}}");
        coordinator.awaitTask(taskId, "completed");
    }
}
