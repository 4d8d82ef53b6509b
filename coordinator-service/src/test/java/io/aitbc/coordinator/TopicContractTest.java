package io.aitbc.coordinator;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.networknt.schema.Schema;
import com.networknt.schema.SchemaLocation;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SpecificationVersion;
import io.aitbc.contracts.Json;
import io.aitbc.localstack.LocalStack;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.StreamSupport;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.junit.jupiter.api.Test;
import org.yaml.snakeyaml.Yaml;
import tools.jackson.databind.JsonNode;

/** Holds every record that a coordinator and its clients write against the AsyncAPI document that the coordinator serves. */
class TopicContractTest {
    private static final String PREFIX = "contract.";
    private static final String BASE = "https://aitbc.io/schemas/";
    private static final SchemaRegistry SCHEMAS = SchemaRegistry.withDefaultDialect(
            SpecificationVersion.DRAFT_2020_12,
            builder -> builder.schemaIdResolvers(resolvers -> resolvers.mapPrefix(BASE, "classpath:schemas/")));

    @Test
    void everyRecordIsAsTheAsyncApiDocumentSays() {
        LocalStack stack = LocalStack.shared();
        try (RunningCoordinator coordinator =
                RunningCoordinator.start(stack, PREFIX, 10, "--aitbc.settle.retry-backoff=10ms")) {
            JsonNode document = Json.tree(new Yaml().<Object>load(coordinator.text("/asyncapi.yaml")));
            live(coordinator);
            Map<String, List<ConsumerRecord<String, byte[]>>> byTopic = records(stack);

            Set<String> seen = new TreeSet<>();
            byTopic.forEach((topic, records) -> {
                JsonNode channel = channel(document, topic.substring(PREFIX.length()));
                records.forEach(one -> seen.add(message(document, channel, one)));
            });
            assertThat(seen)
                    .isEqualTo(new TreeSet<>(document.at("/components/messages").propertyNames()));
        }
    }

    /** Brings about a record of every kind. */
    private static void live(RunningCoordinator coordinator) {
        coordinator.register("kafka-1", 1, "kafka");
        coordinator.post(
                "/agents/register",
                "{\"agent_id\":\"pull-1\",\"agent_type\":\"worker\",\"delivery\":\"pull\",\"capabilities\":[\"pull\"]}");
        String task = "{\"task_data\":{\"task_type\":\"echo\"},\"requirements\":{\"capabilities\":[\"%s\"]}}";
        String completed = coordinator.submit(task.formatted("kafka"));
        coordinator.report(coordinator.awaitRecords("assignments.kafka-1", 1).get(0), "completed", null);
        coordinator.awaitTask(completed, "completed");
        String cancelled = coordinator.submit(task.formatted("kafka"));
        coordinator.awaitTask(cancelled, "assigned");
        coordinator.post("/tasks/" + cancelled + "/cancel", "");
        String failed = coordinator.submit(task.formatted("pull"));
        JsonNode assignment = coordinator
                .post("/agents/pull-1/assignments/claim", "{}")
                .body()
                .at("/assignments/0");
        String report =
                "{\"agent_id\":\"pull-1\",\"attempt\":1,\"status\":\"failed\",\"error\":\"%s\",\"retryable\":false}";
        assertThat(assignment.get("task_id").asString()).isEqualTo(failed);
        coordinator.post("/tasks/" + failed + "/results", report.formatted("a bad prompt"));
        coordinator.awaitTask(failed, "failed");
        coordinator.publish(
                "tasks.normal",
                "blocked",
                task.formatted("nobody").replace("{\"task_data\"", "{\"task_id\":\"blocked\",\"task_data\""));
        coordinator.awaitTask("blocked", "queued");
        coordinator.post("/tasks/queues/low/pause", "");
        coordinator.post("/tasks/queues/low/resume", "");
        coordinator.post("/tasks/queues/normal/clear", "");
        coordinator.post("/keys", "{\"name\":\"documented\",\"role\":\"viewer\"}");
    }

    private static Map<String, List<ConsumerRecord<String, byte[]>>> records(LocalStack stack) {
        try (KafkaConsumer<String, byte[]> consumer = new KafkaConsumer<>(
                Map.of("bootstrap.servers", stack.bootstrapServers(), "auto.offset.reset", "earliest"),
                new StringDeserializer(),
                new ByteArrayDeserializer())) {
            List<TopicPartition> partitions = consumer.listTopics().values().stream()
                    .flatMap(List::stream)
                    .filter(info -> info.topic().startsWith(PREFIX))
                    .map(info -> new TopicPartition(info.topic(), info.partition()))
                    .toList();
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            Map<String, List<ConsumerRecord<String, byte[]>>> records = new HashMap<>();
            partitions.forEach(partition -> records.put(partition.topic(), new ArrayList<>()));
            await().atMost(Duration.ofMinutes(1)).until(() -> {
                consumer.poll(Duration.ofMillis(100))
                        .forEach(one -> records.get(one.topic()).add(one));
                return ends.entrySet().stream().allMatch(end -> consumer.position(end.getKey()) >= end.getValue());
            });
            return records;
        }
    }

    private static JsonNode channel(JsonNode document, String topic) {
        List<JsonNode> channels = StreamSupport.stream(document.get("channels").spliterator(), false)
                .filter(channel -> matches(channel, topic))
                .toList();
        // The shared topic has a name like one of an agent, and a channel of its own.
        return channels.stream()
                .filter(channel -> channel.get("address").asString().equals(topic))
                .findFirst()
                .orElseGet(() -> {
                    assertThat(channels).as(topic).hasSize(1);
                    return channels.get(0);
                });
    }

    private static boolean matches(JsonNode channel, String topic) {
        String address = channel.get("address").asString();
        JsonNode priorities = channel.at("/parameters/priority/enum");
        return priorities.isMissingNode()
                ? topic.matches(address.replace(".", "\\.").replaceAll("\\{\\w+}", "[^/]+"))
                : StreamSupport.stream(priorities.spliterator(), false)
                        .anyMatch(priority -> address.replace("{priority}", priority.asString())
                                .equals(topic));
    }

    /** Returns the name of the message that a record is. */
    private static String message(JsonNode document, JsonNode channel, ConsumerRecord<String, byte[]> one) {
        List<String> errors = new ArrayList<>();
        for (JsonNode reference : channel.get("messages")) {
            String name = reference.get("$ref").asString().replace("#/components/messages/", "");
            JsonNode message = document.at("/components/messages/" + name);
            String error = error(message, one);
            if (error.isEmpty()) {
                return name;
            }
            errors.add(name + ": " + error);
        }
        throw new AssertionError(one.topic() + " has " + new String(one.value(), UTF_8) + "\n" + errors);
    }

    private static String error(JsonNode message, ConsumerRecord<String, byte[]> one) {
        for (org.apache.kafka.common.header.Header header : one.headers()) {
            if (!message.at("/headers/properties").has(header.key())) {
                return "header " + header.key() + " is not documented";
            }
        }
        if (!message.at("/payload").has("$ref")) {
            return "";
        }
        Schema schema = SCHEMAS.getSchema(
                SchemaLocation.of(message.at("/payload/$ref").asString().replace("schemas/", BASE)));
        return schema.validate(Json.MAPPER.readTree(one.value())).stream()
                .map(Object::toString)
                .collect(Collectors.joining("; "));
    }
}
