package io.aitbc.coordinator.settle;

import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Task;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.kafka.CoordinatorId;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.localstack.LocalStack;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.springframework.kafka.core.DefaultKafkaConsumerFactory;
import org.springframework.kafka.core.DefaultKafkaProducerFactory;

class AssignmentArchiveTest {
    private static final Topics TOPICS = Topics.unprefixed();
    private static final Instant ASSIGNED_AT = Instant.now().minusSeconds(600);

    private static LocalStack stack;
    private static KafkaClients clients;
    private static Producer<String, byte[]> producer;

    @BeforeAll
    static void start() throws Exception {
        stack = LocalStack.start();
        Map<String, Object> servers = Map.of("bootstrap.servers", stack.bootstrapServers());
        clients = new KafkaClients(
                new DefaultKafkaConsumerFactory<>(servers),
                new DefaultKafkaProducerFactory<>(servers),
                new CoordinatorId("test"),
                new SimpleMeterRegistry());
        producer = clients.producer("test", Duration.ZERO, Duration.ofMinutes(1), Map.of());
        try (Admin admin = Admin.create(servers)) {
            admin.createTopics(List.of(new NewTopic(TOPICS.assignments("agent"), 1, (short) 1)))
                    .all()
                    .get();
        }
        sendAt(ASSIGNED_AT.minusSeconds(400), "long-ago");
        sendAt(ASSIGNED_AT.minusSeconds(60), "by-a-clock-that-is-behind");
        sendAt(ASSIGNED_AT, "in-the-same-moment");
        sendAt(ASSIGNED_AT.plusSeconds(1), "soon");
    }

    @AfterAll
    static void end() {
        producer.close();
        stack.close();
    }

    @Test
    void assignmentsSentAtOrAfterTheReservationAreFound() {
        assertThat(find("in-the-same-moment:1", "soon:1")).containsOnlyKeys("in-the-same-moment:1", "soon:1");
    }

    @Test
    void assignmentsAreFoundDespiteClockSkewOfMinutes() {
        assertThat(find("by-a-clock-that-is-behind:1", "soon:1"))
                .containsOnlyKeys("by-a-clock-that-is-behind:1", "soon:1");
    }

    @Test
    void missingAssignmentsAreNotFound() {
        assertThat(find("long-ago:1", "soon:2", "never:1")).isEmpty();
        assertThat(findAt("made-up", "soon:1")).isEmpty();
    }

    private static Map<String, AssignmentArchive.Archived> find(String... ids) {
        return findAt("agent", ids);
    }

    private static Map<String, AssignmentArchive.Archived> findAt(String agentId, String... ids) {
        try (AssignmentArchive archive = new AssignmentArchive(clients, TOPICS)) {
            return archive.find(agentId, Set.of(ids), ASSIGNED_AT);
        }
    }

    private static void sendAt(Instant time, String taskId) {
        Task task = Task.of(taskId, Json.object(), Requirements.NONE).accepted(taskId, time);
        byte[] value = Json.bytes(Assignment.of(task, Priority.NORMAL, "agent", time));
        KafkaClients.send(
                        producer,
                        new ProducerRecord<>(TOPICS.assignments("agent"), 0, time.toEpochMilli(), taskId, value))
                .join();
    }
}
