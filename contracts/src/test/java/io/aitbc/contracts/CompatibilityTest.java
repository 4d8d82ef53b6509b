package io.aitbc.contracts;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.networknt.schema.InputFormat;
import com.networknt.schema.Schema;
import com.networknt.schema.SchemaLocation;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SpecificationVersion;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.math.BigDecimal;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** During a rolling upgrade of coordinators, each version reads the messages of the other. Past messages are in {@code samples}. */
class CompatibilityTest {
    private static final Path SAMPLES = samples();
    private static final String BASE = "https://aitbc.io/schemas/";
    private static final Instant NOW = Instant.parse("2026-11-01T12:00:00Z");
    private static final Instant LATER = Instant.parse("2026-11-01T12:34:56.789Z");

    /** Fields unknown to every version. */
    private static final JsonNode UNKNOWN = Json.object()
            .put("text_of_tomorrow", "t")
            .put("number_of_tomorrow", new BigDecimal("1.5"))
            .putNull("nothing_of_tomorrow")
            .set("object_of_tomorrow", Json.object().set("list", Json.tree(List.of(1, true))));

    private static final Map<String, Class<?>> TYPES = Map.of(
            "task", Task.class,
            "assignment", Assignment.class,
            "cancellation", Cancellation.class,
            "result", TaskResult.class,
            "heartbeat", Heartbeat.class,
            "registration", Registration.class,
            "control", ControlMessage.class);

    private static final Map<String, Object> MESSAGES = messages();

    /** Messages by the name of their sample, which begins with the name of the schema. */
    private static Map<String, Object> messages() {
        Requirements requirements = new Requirements(
                "worker",
                List.of("hash", "gpu>=2", "cuda>=12.4"),
                List.of("storage"),
                List.of("spot"),
                0.7,
                "eu",
                new Location(50.1, 8.7),
                "agent-1",
                "key-1",
                null,
                Resources.NONE,
                Map.of());
        Task minimal = Task.of("task-1", Json.object(), Requirements.NONE).accepted("task-1", NOW);
        Task full = new Task(
                "task-2",
                Payload.of(Json.object().put("task_type", "echo").set("list", Json.tree(List.of(1, "two")))),
                Priority.HIGH,
                requirements,
                5,
                30,
                NOW,
                LATER,
                NOW,
                2,
                "agent-2",
                null,
                null,
                null,
                Map.of(),
                Map.of(),
                Map.of());
        Assignment assignment = Assignment.of(full, Priority.HIGH, "agent-1", LATER);
        Registration registration = new Registration(
                "agent-1",
                "worker",
                List.of("hash", "gpu:2", "cuda:12.4"),
                List.of("storage"),
                Json.object().put("http", "http://localhost:1"),
                Json.object().put("owner", "me"),
                List.of("spot"),
                "1.2.3",
                5,
                2.0,
                "eu",
                new Location(50.1, 8.7),
                "chain-1",
                "island-1",
                Resources.NONE,
                Delivery.KAFKA);
        Map<String, Object> messages = new TreeMap<>();
        messages.put("task.minimal", minimal);
        messages.put("task.full", full);
        messages.put("assignment.minimal", Assignment.of(minimal, Priority.LOW, "agent-1", NOW));
        messages.put("assignment.full", assignment);
        messages.put("cancellation", Cancellation.of("task-1", 2, "agent-1", NOW));
        messages.put(
                "result.completed",
                TaskResult.of(
                        assignment, TaskResult.Status.COMPLETED, Json.object().put("said", "hello"), null, NOW, LATER));
        messages.put(
                "result.failed",
                TaskResult.of(assignment, TaskResult.Status.FAILED, null, Json.tree("out of memory"), NOW, LATER));
        messages.put(
                "result.rejected",
                TaskResult.of(assignment, TaskResult.Status.REJECTED, null, Json.tree("draining"), null, null));
        messages.put(
                "result.progress",
                TaskResult.of(
                        assignment, TaskResult.Status.PROGRESS, Json.tree(new BigDecimal("0.25")), null, NOW, null));
        messages.put("registration.minimal", Registration.of("agent-1", "worker", List.of(), 1));
        messages.put("registration.full", registration);
        messages.put("heartbeat.bare", new Heartbeat("agent-1", null, null, null, null, null));
        for (AgentStatus status : AgentStatus.values()) {
            messages.put("heartbeat." + status.wireName(), new Heartbeat("agent-1", status, null, null, null, null));
        }
        messages.put(
                "heartbeat.full",
                new Heartbeat(
                        "agent-1",
                        AgentStatus.ACTIVE,
                        Map.of("cpu_usage", 0.5, "memory_usage", 75.0),
                        LATER,
                        "instance-1",
                        registration));
        messages.put(
                "control.clear_queue",
                new ControlMessage.ClearQueue("command-1", Priority.LOW, Map.of(0, 7L, 11, 1L << 40), NOW));
        messages.put("control.queue_cleared", new ControlMessage.QueueCleared("command-1", Priority.LOW, 11));
        messages.put("control.pause_queue", new ControlMessage.PauseQueue("command-2", Priority.URGENT, true, LATER));
        messages.put("control.switch_strategy", new ControlMessage.SwitchStrategy("round_robin", NOW));
        return messages;
    }

    static Stream<Arguments> stored() {
        return versions()
                .flatMap(version ->
                        names(version.resolve("messages")).map(name -> Arguments.of(version.getFileName(), name)));
    }

    static Stream<Arguments> writtenNow() {
        return versions()
                .flatMap(version -> MESSAGES.keySet().stream().map(name -> Arguments.of(version.getFileName(), name)));
    }

    @ParameterizedTest(name = "{1} of {0}")
    @MethodSource("stored")
    void messagesOfAnOlderVersionAreRead(Path version, String name) {
        assertThat(Json.read(stored(version, name).toString(), type(name))).isEqualTo(MESSAGES.get(name));
    }

    @ParameterizedTest(name = "{1} of {0}")
    @MethodSource("stored")
    void messagesHaveAllFieldsOfAnOlderVersion(Path version, String name) {
        assertThat(missing(stored(version, name), written(MESSAGES.get(name)))).isEmpty();
    }

    @ParameterizedTest(name = "{1} under the schema of {0}")
    @MethodSource("writtenNow")
    void messagesAreValidForAnOlderVersion(Path version, String name) {
        // An older version ignores unknown kinds of control messages.
        if (isKnown(version, name) || !name.startsWith("control.")) {
            assertThat(errors(version, schema(name), Json.text(MESSAGES.get(name))))
                    .isEmpty();
        }
    }

    @ParameterizedTest(name = "{1} of {0}")
    @MethodSource("stored")
    void additionsOfANewerVersionArePassedOnOrIgnored(Path version, String name) {
        ObjectNode newer = ofANewerVersion(stored(version, name));
        Object read = Json.read(newer.toString(), type(name));

        if (read instanceof Task || read instanceof Assignment) {
            assertThat(missing(newer, written(read))).isEmpty();
        } else {
            assertThat(read).isEqualTo(MESSAGES.get(name));
        }
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("versions")
    void additionsOfANewerVersionToATaskSurviveItsAttempts(Path version) {
        JsonNode newer = ofANewerVersion(stored(version, "task.full"));

        Task task = Json.read(newer, Task.class).accepted("task-2", NOW);
        Assignment assignment =
                Json.read(Json.bytes(Assignment.of(task, Priority.HIGH, "agent-1", NOW)), Assignment.class);
        Task retried =
                Json.read(Json.bytes(assignment.task().rejected("agent-1").attempt(3, LATER)), Task.class);

        for (JsonNode written : List.of(written(assignment), written(retried.redriven(4, 9)))) {
            assertThat(missing(UNKNOWN, written)).isEmpty();
            assertThat(missing(newer.get("requirements"), written.get("requirements")))
                    .isEmpty();
        }
    }

    @Test
    void everyMessageIsStored() {
        assertThat(versions()
                        .flatMap(version -> names(version.resolve("messages")))
                        .distinct())
                .containsExactlyInAnyOrderElementsOf(MESSAGES.keySet());
    }

    @Test
    void aMessageTypeOfANewerVersionIsRefusedAsUnknown() {
        assertThatThrownBy(() -> Json.read("{\"type\":\"drain_of_tomorrow\",\"x\":1}", ControlMessage.class))
                .isInstanceOf(Json.MalformedMessageException.class)
                .hasMessage("unknown type drain_of_tomorrow");
    }

    /** The same message with unknown fields, at the top level and in nested objects. */
    private static ObjectNode ofANewerVersion(JsonNode message) {
        ObjectNode newer = ((ObjectNode) message.deepCopy()).setAll((ObjectNode) UNKNOWN);
        for (String part : List.of("requirements", "registration")) {
            if (newer.get(part) instanceof ObjectNode known) {
                newer.set(part, ofANewerVersion(known));
            }
        }
        return newer;
    }

    /** Fields of a document that are missing from another, or have a different value there. */
    private static List<String> missing(JsonNode part, JsonNode whole) {
        List<String> missing = new ArrayList<>();
        part.forEachEntry((field, value) -> {
            JsonNode there = whole.path(field);
            if (value.isObject() && there.isObject()) {
                missing(value, there).forEach(inner -> missing.add(field + "." + inner));
            } else if (!value.equals(there)) {
                missing.add(field + " is " + there + " instead of " + value);
            }
        });
        return missing;
    }

    private static List<String> errors(Path version, String schema, String json) {
        SchemaRegistry registry = SchemaRegistry.withDefaultDialect(
                SpecificationVersion.DRAFT_2020_12,
                builder -> builder.schemaIdResolvers(
                        resolvers -> resolvers.mapPrefix(BASE, "classpath:samples/" + version + "/schemas/")));
        Schema loaded = registry.getSchema(SchemaLocation.of(BASE + schema + ".schema.json"));
        return loaded
                .validate(
                        json,
                        InputFormat.JSON,
                        context -> context.executionConfig(config -> config.formatAssertionsEnabled(true)))
                .stream()
                .map(Object::toString)
                .toList();
    }

    private static JsonNode written(Object message) {
        return Json.MAPPER.readTree(Json.text(message));
    }

    private static Class<?> type(String name) {
        return TYPES.get(schema(name));
    }

    private static String schema(String name) {
        return name.split("\\.")[0];
    }

    private static JsonNode stored(Path version, String name) {
        return Json.MAPPER.readTree(file(version, name));
    }

    private static boolean isKnown(Path version, String name) {
        return Files.exists(file(version, name));
    }

    private static Path file(Path version, String name) {
        return SAMPLES.resolve(version).resolve("messages").resolve(name + ".json");
    }

    private static Stream<String> names(Path folder) {
        return list(folder).map(file -> file.getFileName().toString().replaceFirst("\\.json$", ""));
    }

    private static Stream<Path> versions() {
        return list(SAMPLES).filter(Files::isDirectory);
    }

    private static Stream<Path> list(Path folder) {
        try (Stream<Path> files = Files.list(folder)) {
            return files.sorted().toList().stream();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static Path samples() {
        try {
            return Path.of(CompatibilityTest.class.getResource("/samples").toURI());
        } catch (URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }
}
