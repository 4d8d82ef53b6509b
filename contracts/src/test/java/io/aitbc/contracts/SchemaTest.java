package io.aitbc.contracts;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.annotation.JsonAnySetter;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.networknt.schema.Error;
import com.networknt.schema.InputFormat;
import com.networknt.schema.Schema;
import com.networknt.schema.SchemaLocation;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SpecificationVersion;
import java.math.BigDecimal;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;

/** The published JSON Schemas agree with the records. */
class SchemaTest {
    private static final String BASE = "https://aitbc.io/schemas/";
    private static final SchemaRegistry REGISTRY = SchemaRegistry.withDefaultDialect(
            SpecificationVersion.DRAFT_2020_12,
            builder -> builder.schemaIdResolvers(resolvers -> resolvers.mapPrefix(BASE, "classpath:schemas/")));

    private static final Instant NOW = Instant.parse("2026-11-01T12:00:00Z");

    private static final Requirements REQUIREMENTS = new Requirements(
            "worker",
            List.of("hash", "gpu>=2", "cuda>=12.4"),
            List.of("s"),
            List.of("t"),
            0.7,
            "eu",
            new Location(50.1, 8.7),
            "agent-1",
            "k",
            null,
            Resources.of(Map.of("gpu", new BigDecimal("0.5"), "memory_gb", new BigDecimal(2000))),
            Map.of("wish_of_tomorrow", Json.tree("w")));
    private static final Task TASK = new Task(
            "t-1",
            Payload.of(Json.object().put("task_type", "echo")),
            Priority.HIGH,
            REQUIREMENTS,
            2,
            30,
            NOW,
            NOW,
            NOW,
            1,
            "agent-2",
            null,
            null,
            2.5,
            Map.of("team", "search"),
            Map.of("openai/gpt-5", 1L),
            Map.of("later_field", Json.tree(1)));
    private static final Registration REGISTRATION = new Registration(
            "agent-1",
            "worker",
            List.of("hash"),
            List.of(),
            Json.object().put("http", "http://localhost:1"),
            Json.object(),
            List.of("gpu"),
            "1.2.3",
            5,
            2.0,
            "eu",
            new Location(1, 2),
            "c",
            "i",
            Resources.of(Map.of("gpu", new BigDecimal(4), "memory_gb", new BigDecimal("63.5"))),
            Delivery.KAFKA);

    private static TaskResult failure() {
        return TaskResult.of(
                Assignment.of(TASK, Priority.LOW, "agent-1", NOW),
                TaskResult.Status.FAILED,
                null,
                Json.tree("too long a prompt"),
                NOW,
                NOW);
    }

    private static TaskResult completion() {
        return TaskResult.of(
                Assignment.of(TASK, Priority.LOW, "agent-1", NOW),
                TaskResult.Status.COMPLETED,
                Json.tree(List.of(1, 2)),
                null,
                NOW,
                NOW);
    }

    /** A provider may ask for more than a day: the result must not be lost for that. */
    @Test
    void aLongerRetryDelayCountsAsADay() {
        assertThat(failure().retryAfter(Duration.ofDays(30)).retryAfterSeconds())
                .isEqualTo(86_400);
    }

    static Stream<Arguments> messages() {
        return Stream.of(
                Arguments.of("task", TASK),
                Arguments.of("task", Task.of("t-2", Json.object(), Requirements.NONE)),
                Arguments.of("requirements", REQUIREMENTS),
                Arguments.of("assignment", Assignment.of(TASK, Priority.LOW, "agent-1", NOW)),
                Arguments.of("result", completion()),
                Arguments.of("result", failure().notRetryable()),
                Arguments.of("result", failure().retryAfter(Duration.ofMillis(1_500))),
                Arguments.of("registration", REGISTRATION),
                Arguments.of("registration", Registration.of("a", "worker", List.of(), 1)),
                Arguments.of(
                        "heartbeat",
                        new Heartbeat(
                                "agent-1", AgentStatus.ACTIVE, Map.of("cpu_usage", 0.5), NOW, "i-1", REGISTRATION)),
                Arguments.of("heartbeat", Heartbeat.of(REGISTRATION)),
                Arguments.of("heartbeat", new Heartbeat("agent-1", null, null, null, null, null)),
                Arguments.of("claim", new Claim(10, 0, "i-1", List.of("t-1:1"))),
                Arguments.of("claim", new Claim(null, null, null, null)),
                Arguments.of(
                        "audit",
                        new AuditRecord(
                                "i-1",
                                NOW,
                                new AuditRecord.Caller("n", "agent", "k-1", "agent-1", "tenant"),
                                "10.0.0.1",
                                "192.0.2.7",
                                "DELETE /agents/{agent_id}",
                                Json.object().put("agent_id", "agent-2"),
                                403,
                                "not its own",
                                7L)),
                Arguments.of("audit", new AuditRecord("i-1", NOW, null, null, null, null, null, 401, null, null)),
                Arguments.of("event", TaskEvent.accepted(TASK, Priority.HIGH)),
                Arguments.of("event", TaskEvent.assigned(TASK, Priority.HIGH, "agent-1", NOW)),
                Arguments.of("event", TaskEvent.assigned(TASK.attempt(2, NOW), Priority.HIGH, "agent-1", NOW)),
                Arguments.of("event", TaskEvent.completed(completion(), NOW)),
                Arguments.of("event", TaskEvent.completed(completion(), NOW).truncate()),
                Arguments.of(
                        "event",
                        TaskEvent.failed("t-1", 1, "a", NOW, "overdue", Json.tree("e"), TASK.attempt(2, NOW), NOW)),
                Arguments.of("event", TaskEvent.failed("t-1", 3, "a", null, "failed", Json.object(), null, NOW)),
                Arguments.of("event", TaskEvent.recordLost("t-1", 1, Json.tree("gone"), NOW)),
                Arguments.of("event", TaskEvent.cancelled("t-1", 1, "agent-1", NOW)),
                Arguments.of("event", TaskEvent.cancelled("t-1", 1, null, NOW)),
                Arguments.of("event", TaskEvent.expired("t-1", 1, NOW)),
                Arguments.of("event", TaskEvent.redriven("t-1", 4, Priority.LOW, NOW)),
                Arguments.of("control", new ControlMessage.ClearQueue("c", Priority.LOW, Map.of(0, 7L), NOW)),
                Arguments.of("control", new ControlMessage.QueueCleared("c", Priority.LOW, 3)),
                Arguments.of("cancellation", Cancellation.of("t-1", 2, "agent-1", NOW)),
                Arguments.of("control", new ControlMessage.PauseQueue("c", Priority.LOW, true, NOW)),
                Arguments.of("control", new ControlMessage.SwitchStrategy("RANDOM", NOW)),
                Arguments.of("control", new ControlMessage.SetFairnessWeight("c", "acme", 2.5, NOW)),
                Arguments.of("control", new ControlMessage.SetFairnessWeight("c", "acme", null, NOW)),
                Arguments.of("control", new ControlMessage.Probe("c", NOW)));
    }

    @ParameterizedTest
    @MethodSource("messages")
    void writtenMessageIsValidAndReadsBackEqual(String schema, Object message) {
        String json = Json.text(message);

        assertThat(errors(schema, json)).as(json).isEmpty();
        Class<?> type = message instanceof ControlMessage ? ControlMessage.class : message.getClass();
        assertThat(Json.read(json, type)).isEqualTo(message);
    }

    @ParameterizedTest
    @MethodSource("messages")
    void schemaNamesExactlyTheFieldsOfTheRecord(String schema, Object message) {
        if (message instanceof ControlMessage) {
            assertThat(propertiesOf(schema)).containsAll(fieldsOf(message.getClass()));
        } else {
            assertThat(propertiesOf(schema)).isEqualTo(fieldsOf(message.getClass()));
        }
    }

    @Test
    void schemaNamesExactlyTheDetailsAndTypesOfEvents() {
        JsonNode schema = Json.MAPPER.readTree(SchemaTest.class.getResourceAsStream("/schemas/event.schema.json"));

        assertThat(new TreeSet<>(schema.at("/properties/data/properties").propertyNames()))
                .isEqualTo(fieldsOf(TaskEvent.Change.class));
        assertThat(schema.at("/properties/type/enum").valueStream().map(JsonNode::asString))
                .containsExactlyElementsOf(Arrays.stream(TaskEvent.Kind.values())
                        .map(TaskEvent.Kind::type)
                        .toList());
    }

    static Stream<Arguments> malformed() {
        return Stream.of(
                Arguments.of("task", Task.class, "{}", "task_data is required"),
                Arguments.of("task", Task.class, "{\"task_data\":\"x\"}", "task_data has the wrong type"),
                Arguments.of("task", Task.class, "{\"task_data\":{},\"task_id\":\"a b\"}", "task_id must be"),
                Arguments.of("task", Task.class, "{\"task_data\":{},\"task_id\":7}", "task_id has the wrong type"),
                Arguments.of("task", Task.class, "{\"task_data\":{},\"task_id\":\".\"}", "neither . nor .. but was"),
                Arguments.of("task", Task.class, "{\"task_data\":{},\"task_id\":\"..\"}", "neither . nor .. but was"),
                Arguments.of(
                        "task",
                        Task.class,
                        "{\"task_data\":{},\"task_id\":\"status\"}",
                        "task_id must not be \"status\""),
                Arguments.of("task", Task.class, "{\"task_data\":{},\"not_before\":1700000000000}", "not_before has"),
                Arguments.of("task", Task.class, "{\"task_data\":{},\"expires_at\":1e300}", "expires_at has"),
                Arguments.of("task", Task.class, "{\"task_data\":{},\"submitted_at\":0}", "submitted_at has"),
                Arguments.of("task", Task.class, "{\"task_data\":{},\"chain_id\":7}", "chain_id has the wrong type"),
                Arguments.of(
                        "task",
                        Task.class,
                        "{\"task_data\":{},\"max_attempts\":99999999999999999999}",
                        "max_attempts is a number out of range"),
                Arguments.of(
                        "requirements", Requirements.class, "{\"agent_id\":\"..\"}", "requirements.agent_id must be"),
                Arguments.of("requirements", Requirements.class, "{\"chain_id\":[]}", "chain_id has the wrong type"),
                Arguments.of(
                        "registration",
                        Registration.class,
                        "{\"agent_id\":\".\",\"agent_type\":\"w\"}",
                        "agent_id must be"),
                Arguments.of("heartbeat", Heartbeat.class, "{\"agent_id\":\"..\"}", "agent_id must be"),
                Arguments.of(
                        "heartbeat", Heartbeat.class, "{\"agent_id\":\"a\",\"sent_at\":1.5}", "sent_at has the wrong"),
                Arguments.of(
                        "result",
                        TaskResult.class,
                        "{\"task_id\":\"t\",\"attempt\":1,\"agent_id\":\"a\",\"status\":\"completed\",\"finished_at\":17}",
                        "finished_at has the wrong"),
                Arguments.of(
                        "result",
                        TaskResult.class,
                        "{\"task_id\":\"t\",\"attempt\":1,\"agent_id\":\"a\",\"status\":\"failed\",\"retryable\":\"no\"}",
                        "retryable has the wrong"),
                Arguments.of(
                        "result",
                        TaskResult.class,
                        "{\"task_id\":\"t\",\"attempt\":1,\"agent_id\":\"a\",\"status\":\"failed\",\"retry_after_seconds\":-1}",
                        "retry_after_seconds must be a number from 0"),
                Arguments.of(
                        "cancellation",
                        Cancellation.class,
                        "{\"type\":\"cancellation\",\"assignment_id\":\"t:1\",\"task_id\":\"t\",\"attempt\":1,\"agent_id\":\"a\","
                                + "\"cancelled_at\":17}",
                        "cancelled_at has the wrong"),
                Arguments.of(
                        "control",
                        ControlMessage.class,
                        "{\"type\":\"switch_strategy\",\"strategy\":\"random\",\"issued_at\":17}",
                        "issued_at has the wrong"),
                Arguments.of("claim", Claim.class, "{\"max\":0}", "max must be from 1 to 1000"),
                Arguments.of("claim", Claim.class, "{\"wait_seconds\":61}", "wait_seconds must be from 0 to 60"),
                Arguments.of("claim", Claim.class, "{\"instance_id\":\"a b\"}", "instance_id must be"),
                Arguments.of("claim", Claim.class, "{\"received\":\"t:1\"}", "received has the wrong"),
                Arguments.of("task", Task.class, "{\"task_data\":{},\"max_attempts\":0}", "max_attempts must be"),
                Arguments.of("task", Task.class, "{\"task_data\":{},\"max_attempts\":1.5}", "max_attempts has"),
                Arguments.of("task", Task.class, "{\"task_data\":{},\"max_attempts\":\"3\"}", "max_attempts has"),
                Arguments.of("task", Task.class, "{\"task_data\":{},\"priority\":\"asap\"}", "Invalid priority: asap"),
                Arguments.of(
                        "task",
                        Task.class,
                        "{\"task_data\":{},\"requirements\":{\"capabilities\":\"gpu\"}}",
                        "requirements.capabilities has the wrong type or form (expected an array)"),
                Arguments.of(
                        "task",
                        Task.class,
                        "{\"task_data\":{},\"requirements\":{\"min_health_score\":2}}",
                        "requirements.min_health_score must be from 0.0 to 1.0"),
                Arguments.of(
                        "task",
                        Task.class,
                        "{\"task_data\":{},\"requirements\":{\"capabilities\":[\"cuda>=new\"]}}",
                        "\"cuda>=new\" in capabilities must be a name, >= and a number"),
                Arguments.of(
                        "requirements", Requirements.class, "{\"capabilities\":[\">=1\"]}", "must be a name, >= and"),
                Arguments.of(
                        "requirements",
                        Requirements.class,
                        "{\"affinity_key\":7}",
                        "affinity_key has the wrong type or form (expected a string)"),
                Arguments.of(
                        "cancellation",
                        Cancellation.class,
                        "{\"type\":\"x\",\"assignment_id\":\"t:1\",\"task_id\":\"t\",\"attempt\":1,\"agent_id\":\"a\"}",
                        "type must be"),
                Arguments.of("registration", Registration.class, "{\"agent_id\":\"a\"}", "agent_type is required"),
                Arguments.of(
                        "registration",
                        Registration.class,
                        "{\"agent_id\":\"a\",\"agent_type\":\"w\",\"location\":{\"lat\":91,\"lon\":0}}",
                        "location.lat must be"),
                Arguments.of(
                        "heartbeat",
                        Heartbeat.class,
                        "{\"agent_id\":\"a\",\"status\":\"sleepy\"}",
                        "Invalid status: sleepy"),
                Arguments.of(
                        "heartbeat",
                        Heartbeat.class,
                        "{\"agent_id\":\"a\",\"load_metrics\":{\"cpu\":-1}}",
                        "load_metrics.cpu must be"),
                Arguments.of(
                        "heartbeat",
                        Heartbeat.class,
                        "{\"agent_id\":\"a\",\"load_metrics\":{\"cpu\":\"NaN\"}}",
                        "load_metrics.cpu"),
                Arguments.of(
                        "heartbeat",
                        Heartbeat.class,
                        "{\"agent_id\":\"a\",\"load_metrics\":{\"cpu\":1e16}}",
                        "load_metrics.cpu must be a number from 0 to 1e15"),
                Arguments.of(
                        "heartbeat",
                        Heartbeat.class,
                        "{\"agent_id\":\"a\",\"load_metrics\":{"
                                + IntStream.rangeClosed(0, 200)
                                        .mapToObj(i -> "\"m" + i + "\":1")
                                        .collect(Collectors.joining(","))
                                + "}}",
                        "load_metrics must have at most 200 entries"),
                Arguments.of(
                        "heartbeat",
                        Heartbeat.class,
                        "{\"agent_id\":\"a\",\"instance_id\":\"two words\"}",
                        "instance_id must be"),
                Arguments.of(
                        "result",
                        TaskResult.class,
                        "{\"task_id\":\"t\",\"attempt\":1,\"agent_id\":\"a\",\"status\":\"done\"}",
                        "Invalid result status: done"),
                Arguments.of(
                        "control",
                        ControlMessage.class,
                        "{\"type\":\"clear_queue\",\"command_id\":\"c\",\"priority\":\"low\"}",
                        "end_offsets is required"),
                Arguments.of(
                        "control",
                        ControlMessage.class,
                        "{\"type\":\"clear_queue\",\"command_id\":\"c\",\"priority\":\"low\",\"end_offsets\":{\"0\":null}}",
                        "each entry of end_offsets is required"),
                Arguments.of(
                        "control",
                        ControlMessage.class,
                        "{\"type\":\"queue_cleared\",\"command_id\":\"c\",\"priority\":\"low\"}",
                        "partition is required"),
                Arguments.of(
                        "control",
                        ControlMessage.class,
                        "{\"type\":\"pause_queue\",\"command_id\":\"c\",\"priority\":\"low\"}",
                        "paused is required"),
                Arguments.of(
                        "control",
                        ControlMessage.class,
                        "{\"type\":\"set_fairness_weight\",\"command_id\":\"c\",\"weight\":2}",
                        "fairness_key is required"),
                Arguments.of(
                        "control",
                        ControlMessage.class,
                        "{\"type\":\"set_fairness_weight\",\"command_id\":\"c\",\"fairness_key\":\"a\",\"weight\":0}",
                        "weight must be from 0.001 to 1000.0 but was 0.0"),
                Arguments.of("control", ControlMessage.class, "{\"type\":\"switch_strategy\"}", "strategy is required"),
                Arguments.of("control", ControlMessage.class, "{\"type\":\"probe\"}", "command_id is required"));
    }

    @ParameterizedTest
    @MethodSource("malformed")
    void malformedMessageIsRefusedBySchemaAndCodecInOneSentence(
            String schema, Class<?> type, String json, String sentence) {
        assertThat(errors(schema, json)).isNotEmpty();
        assertThatThrownBy(() -> Json.read(json, type))
                .isInstanceOf(Json.MalformedMessageException.class)
                .hasMessageContaining(sentence);
    }

    /** Error messages are for readers who do not know the JSON library used here. */
    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
            {"task_data":{"a":NaN}}              | not valid JSON at line 1, column 22: Non-standard token 'NaN'
            {"task_data":{"a":+5}}               | JSON spec does not allow numbers to have plus signs
            {"task_data":{"a":01}}               | Leading zeroes not allowed
            {"task_data":{"a":1,}}               | was expecting double-quote to start property name
            {"task_data":{}} {}                  | unexpected content after the end of the document
            /* no comment */ {}                  | maybe a (non-standard) comment?
            {"task_data":                        | not valid JSON at line 1, column 14: Unexpected end-of-input
            {"task_data":{"a":1e99999999999}}    | task_data is a number out of range
            {"task_data":{"a":1e2147483648}}     | task_data is a number out of range
            {"task_data":{},"max_attempts":9999999999} | max_attempts is a number out of range
            {"task_data":{"a":1,"b":2,"a":3}}    | "a" appears twice in task_data
            DEEP                                 | task_data is nested deeper than 200 levels
            LONG NUMBER                          | task_data contains a number with more than 1000 digits
            LONG NAME                            | task_data contains a name with more than 50000 characters
            """)
    void errorsAreExplainedWithoutNamingALibrary(String json, String sentence) {
        String sent = switch (json) {
            case "DEEP" -> "{\"task_data\":" + "{\"a\":".repeat(300) + "1" + "}".repeat(301);
            case "LONG NUMBER" -> "{\"task_data\":{\"a\":" + "1".repeat(2_000) + "}}";
            case "LONG NAME" -> "{\"task_data\":{\"" + "a".repeat(60_000) + "\":1}}";
            default -> json;
        };
        assertThatThrownBy(() -> Json.read(sent, Task.class))
                .isInstanceOf(Json.MalformedMessageException.class)
                .hasMessageContaining(sentence)
                .message()
                .doesNotContain("Feature", "Constraints", "jackson", "java.", "`", "REDACTED");
    }

    @Test
    void aDuplicateKeyIsRefusedAnywhereInATree() {
        for (String json : List.of(
                "{\"task_data\":{},\"a\":1,\"a\":1}",
                "{\"task_data\":{\"x\":[{\"a\":1,\"a\":2}]}}",
                "{\"task_data\":{},\"requirements\":{\"a\":1,\"a\":2}}")) {
            assertThatThrownBy(() -> Json.read(json, JsonNode.class))
                    .as(json)
                    .isInstanceOf(Json.MalformedMessageException.class)
                    .hasMessageContaining("\"a\" appears twice");
        }
    }

    @Test
    void unknownFieldsAreReported() {
        JsonNode task = Json.read(
                "{\"task_data\":{\"any\":{\"thing\":1}},\"requirments\":{\"capabilities\":[\"gpu\"]},\"chain_id\":\"c\",\"payment\":{},"
                        + "\"requirements\":{\"capabilites\":[],\"location\":{\"lat\":1,\"lon\":2,\"alt\":3}}}",
                JsonNode.class);
        assertThat(Json.readReportingUnknownFields(task, Task.class).unknownFields())
                .containsExactly("requirments", "payment", "requirements.capabilites", "requirements.location.alt");
        JsonNode registration = Json.read(
                "{\"agent_id\":\"a\",\"agent_type\":\"w\",\"metadata\":{\"x\":1},\"capabilites\":[\"gpu\"]}",
                JsonNode.class);
        assertThat(Json.readReportingUnknownFields(registration, Registration.class)
                        .unknownFields())
                .containsExactly("capabilites");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
            {"task_data":{},"chain_id":"c"}                                     | c
            {"task_data":{},"requirements":{"chain_id":"c"}}                    | c
            {"task_data":{},"chain_id":"c","requirements":{"chain_id":"c"}}     | c
            {"task_data":{},"chain_id":"","requirements":{"chain_id":"c"}}      | c
            {"task_data":{},"chain_id":""}                                      |
            {"task_data":{}}                                                    |
            """)
    void theChainOfATaskIsARequirementWhereverItIsGiven(String json, String chain) {
        Task task = Json.read(json, Task.class).accepted("t", NOW);

        Task again = Json.read(Json.bytes(task), Task.class);
        Task retried = Assignment.of(again, Priority.LOW, "a", NOW).task().attempt(2, null);

        assertThat(retried.requirements().chainId()).isEqualTo(chain);
        assertThat(retried.requirements().conditions().chainId()).isEqualTo(chain);
    }

    @Test
    void twoChainsForOneTaskAreRefused() {
        assertThatThrownBy(() -> Json.read(
                        "{\"task_data\":{},\"chain_id\":\"a\",\"requirements\":{\"chain_id\":\"b\"}}", Task.class))
                .hasMessage("chain_id must equal requirements.chain_id but was \"a\", not \"b\"");
    }

    @Test
    void textThatIsNotJsonIsRefusedInOneSentence() {
        for (String text : List.of("", "nope", "{", "[1]", "null", "{} {}", "{\"task_data\":{\"\\ud800\":1}}")) {
            assertThatThrownBy(() -> Json.read(text, Task.class))
                    .as(text)
                    .isInstanceOf(Json.MalformedMessageException.class)
                    .message()
                    .doesNotContain("\n");
        }
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
            {"type":"clear_queue","command_id":"c","priority":"low"}                         | end_offsets is required
            {"type":"clear_queue","command_id":"c","priority":"low","end_offsets":{"0":null}} | each entry of end_offsets is required
            {"type":"queue_cleared","command_id":"c","partition":1}                           | priority is required
            {"type":"pause_queue","command_id":"c","priority":"low"}                          | paused is required
            {"type":"switch_strategy"}                                                        | strategy is required
            """)
    void incompleteControlMessageIsRefused(String json, String sentence) {
        assertThatThrownBy(() -> Json.read(json, ControlMessage.class))
                .isInstanceOf(Json.MalformedMessageException.class)
                .hasMessage(sentence);
    }

    @Test
    void deepJsonIsRefused() {
        String deep = "{\"task_data\":" + "{\"a\":".repeat(5_000) + "1" + "}".repeat(5_001);

        assertThatThrownBy(() -> Json.read(deep, Task.class)).isInstanceOf(Json.MalformedMessageException.class);
    }

    @Test
    void aFieldOfATaskIsNotTakenForOneOfTheAssignment() {
        Task task = Json.read(
                "{\"task_data\":{},\"task_id\":\"t\",\"type\":\"compute\",\"agent_id\":\"x\",\"deadline\":\"soon\"}",
                Task.class);

        String json = Json.text(Assignment.of(task.accepted("t", NOW), Priority.LOW, "agent-1", NOW));

        assertThat(Json.MAPPER.readTree(json).has("type")).isFalse();
        assertThat(Json.read(json, Assignment.class).agentId()).isEqualTo("agent-1");
    }

    @Test
    void unknownFieldsOfATaskReachTheAssignment() {
        Task task = Json.read("{\"task_data\":{},\"task_id\":\"t\",\"novel\":{\"x\":1}}", Task.class);

        String assignment = Json.text(Assignment.of(task.accepted("t", NOW), Priority.LOW, "a", NOW));

        assertThat(Json.MAPPER.readTree(assignment).at("/novel/x").asInt()).isEqualTo(1);
    }

    @Test
    void numbersArePassedOnUnchanged() {
        String numbers = "[0.1234567890123456789,1.0,1E+400,1E+6,12345678901234567890123]";
        Task task = Json.read("{\"task_data\":{\"x\":" + numbers + "}}", Task.class);

        assertThat(Json.text(task.payload().tree().get("x"))).isEqualTo(numbers);
    }

    @Test
    void taskIdIsAlsoReadFromTaskData() {
        Task task = Json.read("{\"task_data\":{\"task_id\":\"inner\"}}", Task.class);

        assertThat(task.taskId()).isEqualTo("inner");
    }

    private static List<Error> errors(String schema, String json) {
        Schema loaded = REGISTRY.getSchema(SchemaLocation.of(BASE + schema + ".schema.json"));
        return loaded.validate(
                json, InputFormat.JSON, context -> context.executionConfig(c -> c.formatAssertionsEnabled(true)));
    }

    private static Set<String> propertiesOf(String schema) {
        JsonNode tree =
                Json.MAPPER.readTree(SchemaTest.class.getResourceAsStream("/schemas/" + schema + ".schema.json"));
        return new TreeSet<>(tree.get("properties").propertyNames());
    }

    private static Set<String> fieldsOf(Class<?> message) {
        return Arrays.stream(message.getRecordComponents())
                .filter(component -> component.getAccessor().getAnnotation(JsonAnySetter.class) == null)
                .filter(component -> !component.getName().equals("unknown"))
                .map(component -> component.getAccessor().getAnnotation(JsonProperty.class))
                .map(JsonProperty::value)
                .collect(Collectors.toCollection(TreeSet::new));
    }
}
