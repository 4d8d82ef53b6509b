package io.aitbc.worker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Registration;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Task;
import io.aitbc.contracts.Topics;
import io.aitbc.localstack.LocalKafka;
import io.aitbc.localstack.LocalStack;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.awaitility.core.ThrowingRunnable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** An agent on a broker that temporarily denies it write access to the results topic. */
class UnauthorizedWorkerTest {
    private static final int CAPACITY = 2;

    private final Topics topics = Topics.unprefixed();
    private final String agentId = "agent";

    @TempDir
    Path folder;

    @Test
    void whatItMayNotReportKeepsNoPlaceAndNoOffset() throws Exception {
        try (LocalKafka kafka = LocalKafka.start(
                        folder,
                        LocalStack.freePort(),
                        LocalStack.freePort(),
                        Map.of(),
                        Map.of(
                                "authorizer.class.name",
                                "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                                "allow.everyone.if.no.acl.found",
                                "true"));
                Admin admin = Admin.create(Map.of("bootstrap.servers", kafka.bootstrapServers()))) {
            admin.createTopics(Stream.of(topics.assignments(agentId), topics.results(), topics.heartbeats())
                            .map(name -> new NewTopic(name, Optional.of(1), Optional.empty()))
                            .toList())
                    .all()
                    .get();
            AclBinding mayNotWrite = new AclBinding(
                    new ResourcePattern(ResourceType.TOPIC, topics.results(), PatternType.LITERAL),
                    new AccessControlEntry("User:ANONYMOUS", "*", AclOperation.WRITE, AclPermissionType.DENY));
            admin.createAcls(List.of(mayNotWrite)).all().get();
            AtomicInteger runs = new AtomicInteger();
            try (AgentWorker worker = AgentWorker.builder(
                                    kafka.bootstrapServers(),
                                    Registration.of(agentId, "worker", List.of(), CAPACITY),
                                    (assignment, context) -> Json.object().put("run", runs.incrementAndGet()))
                            .start();
                    KafkaProducer<String, byte[]> producer = new KafkaProducer<>(
                            Map.of("bootstrap.servers", kafka.bootstrapServers()),
                            new StringSerializer(),
                            new ByteArraySerializer())) {
                int tasks = 2 * CAPACITY + 1;
                for (int i = 0; i < tasks; i++) {
                    give("task-" + i, producer);
                }
                eventually(() -> assertThat(committed(admin)).isEqualTo(tasks));
                assertThat(runs).hasValue(tasks);

                admin.deleteAcls(List.of(mayNotWrite.toFilter())).all().get();
                eventually(() -> assertThat(resultsEnd(admin)).isZero());
                give("allowed", producer);
                eventually(() -> assertThat(resultsEnd(admin)).isEqualTo(1));
            }
        }
    }

    private static void eventually(ThrowingRunnable assertion) {
        await().atMost(Duration.ofSeconds(90)).ignoreExceptions().untilAsserted(assertion);
    }

    private void give(String taskId, KafkaProducer<String, byte[]> producer) {
        Assignment assignment = Assignment.of(
                Task.of(taskId, Json.object(), Requirements.NONE).accepted(taskId, Instant.now()),
                Priority.NORMAL,
                agentId,
                Instant.now());
        producer.send(new ProducerRecord<>(topics.assignments(agentId), taskId, Json.bytes(assignment)));
    }

    private long committed(Admin admin) throws Exception {
        return admin
                .listConsumerGroupOffsets(topics.agentGroup(agentId))
                .partitionsToOffsetAndMetadata()
                .get()
                .values()
                .stream()
                .mapToLong(OffsetAndMetadata::offset)
                .sum();
    }

    private long resultsEnd(Admin admin) throws Exception {
        TopicPartition partition = new TopicPartition(topics.results(), 0);
        return admin.listOffsets(Map.of(partition, OffsetSpec.latest()))
                .partitionResult(partition)
                .get()
                .offset();
    }
}
