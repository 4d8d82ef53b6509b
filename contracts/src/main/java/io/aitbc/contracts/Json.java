package io.aitbc.contracts;

import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.TokenStreamLocation;
import tools.jackson.core.exc.InputCoercionException;
import tools.jackson.core.exc.StreamConstraintsException;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.MapperFeature;
import tools.jackson.databind.ObjectReader;
import tools.jackson.databind.cfg.CoercionAction;
import tools.jackson.databind.cfg.CoercionInputShape;
import tools.jackson.databind.exc.InvalidTypeIdException;
import tools.jackson.databind.exc.MismatchedInputException;
import tools.jackson.databind.exc.ValueInstantiationException;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.module.SimpleModule;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.databind.type.LogicalType;

/**
 * The JSON codec for all messages: UTF-8, snake_case, ISO 8601 times, unknown fields ignored, no silent type coercion.
 *
 * <p>Rejects duplicate keys in free-form JSON, and anywhere in a document read as a tree, as REST bodies are. Detecting them
 * among the fields of a record read from Kafka would require the parser to track every name, which made reading a task 8 %
 * slower.
 */
public final class Json {
    /** Deeper documents are rejected; real tasks are far below this limit. */
    private static final int MAX_DEPTH = 200;
    /** Levels of nesting that an event adds around a task, a result or an error. */
    private static final int EVENT_DEPTH = 2;

    private static final int MAX_SENTENCE_LENGTH = 500;
    private static final Pattern DUPLICATE = Pattern.compile("Duplicate property \"(.*)\" for .*", Pattern.DOTALL);
    /** Text that the parser adds about itself: configuration hints, and where the document starts. */
    private static final Pattern PARSER_DETAIL =
            Pattern.compile("(: enable | \\((enable|not recognized|start marker|although)).*", Pattern.DOTALL);

    private static final Pattern LIBRARY_DETAIL = Pattern.compile("`|Feature|Constraints|\\b(java|tools)\\.");
    private static final Pattern UNPRINTABLE = Pattern.compile("[\\p{Cc}\\p{Cs}]");

    public static final JsonMapper MAPPER = mapper(MAX_DEPTH);

    private static JsonMapper mapper(int maxDepth) {
        return JsonMapper.builder(JsonFactory.builder()
                        .streamReadConstraints(StreamReadConstraints.builder()
                                .maxNestingDepth(maxDepth)
                                .build())
                        .build())
                .nodeFactory(TreeDeserializer.NODES)
                .disable(MapperFeature.ALLOW_COERCION_OF_SCALARS)
                .disable(DeserializationFeature.ACCEPT_FLOAT_AS_INT)
                .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
                // Preserves numbers that are passed through: as doubles, 1e400 would become a string and 1e6 would take
                // three times the space.
                .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
                .enable(DeserializationFeature.FAIL_ON_READING_DUP_TREE_KEY)
                .withCoercionConfig(
                        LogicalType.Textual,
                        config -> config.setCoercion(CoercionInputShape.Integer, CoercionAction.Fail)
                                .setCoercion(CoercionInputShape.Float, CoercionAction.Fail)
                                .setCoercion(CoercionInputShape.Boolean, CoercionAction.Fail))
                .addModule(new SimpleModule()
                        .addSerializer(Instant.class, new TimeSerializer())
                        .addSerializer(Payload.class, new PayloadSerializer())
                        .addSerializer(Assignment.class, new AssignmentWriter())
                        .addSerializer(TaskEvent.class, new TaskEventWriter())
                        .addDeserializer(Payload.class, new PayloadDeserializer())
                        .addDeserializer(Task.class, new TaskReader())
                        .addDeserializer(TaskResult.class, new TaskResultReader())
                        .addDeserializer(Instant.class, new TimeDeserializer())
                        .addDeserializer(JsonNode.class, TreeDeserializer.of(JsonNode.class))
                        .addDeserializer(ObjectNode.class, TreeDeserializer.of(ObjectNode.class))
                        .addDeserializer(ArrayNode.class, TreeDeserializer.of(ArrayNode.class)))
                .build();
    }

    /** Readers by type: creating one takes longer than reading a message. An event embeds a task, a result or an error, each as deep as allowed. */
    private static final Map<Class<?>, ObjectReader> READERS = new ConcurrentHashMap<>(
            Map.of(TaskEvent.class, mapper(MAX_DEPTH + EVENT_DEPTH).readerFor(TaskEvent.class)));

    private static final Set<Class<?>> WITH_PAYLOAD = Set.of(Task.class, Assignment.class, TaskEvent.class);

    private Json() {}

    public static ObjectNode object() {
        return MAPPER.createObjectNode();
    }

    public static byte[] bytes(Object message) {
        return MAPPER.writeValueAsBytes(message);
    }

    public static String text(Object message) {
        return MAPPER.writeValueAsString(message);
    }

    /** @throws MalformedMessageException with a one-sentence reason, if the bytes are not such a message */
    public static <T> T read(byte[] json, Class<T> type) {
        try {
            ObjectReader reader = READERS.computeIfAbsent(type, MAPPER::readerFor);
            return requirePresent(
                    (WITH_PAYLOAD.contains(type) ? reader.withAttribute(PayloadDeserializer.SOURCE, json) : reader)
                            .readValue(json));
        } catch (JacksonException e) {
            throw new MalformedMessageException(reason(e), e);
        }
    }

    /** @throws MalformedMessageException with a one-sentence reason, if the text is not such a message */
    public static <T> T read(String json, Class<T> type) {
        // The byte parser accepts less than the text parser. Whatever is accepted here must be readable again from
        // Kafka.
        return read(json.getBytes(StandardCharsets.UTF_8), type);
    }

    /** @throws MalformedMessageException with a one-sentence reason, if the document is not such a message */
    public static <T> T read(JsonNode json, Class<T> type) {
        try {
            return requirePresent(MAPPER.treeToValue(json, type));
        } catch (JacksonException e) {
            throw new MalformedMessageException(reason(e), e);
        }
    }

    /** Parses a time as coordinators write it, such as {@code 2026-11-01T12:00:00.123Z}; null for any other text. */
    public static @Nullable Instant canonicalTime(String text) {
        return TimeDeserializer.parseCanonical(text);
    }

    public static JsonNode tree(Object value) {
        return MAPPER.valueToTree(value);
    }

    private static <T> T requirePresent(@Nullable T value) {
        if (value == null) {
            throw new MalformedMessageException("the message is null");
        }
        return value;
    }

    /** Sanitises text for display: a single line of bounded length, whatever input it quotes. */
    public static String sentence(String text) {
        String cut = text.length() <= MAX_SENTENCE_LENGTH ? text : text.substring(0, MAX_SENTENCE_LENGTH) + "…";
        return UNPRINTABLE.matcher(cut).replaceAll("\uFFFD");
    }

    /** A message, and the paths of the fields in its document that are unknown in a message of this type. */
    public record Parsed<T>(T message, List<String> unknownFields) {}

    /**
     * Reads a message that may have been written by hand, and collects fields that may be misspelt.
     *
     * @throws MalformedMessageException with a one-sentence reason, if the document is not such a message
     */
    public static <T> Parsed<T> readReportingUnknownFields(JsonNode json, Class<T> type) {
        return new Parsed<>(read(json, type), UnknownFields.in(json, type));
    }

    /** The reason why a document was rejected, as one sentence, with the path to the error if known. */
    public static String reason(JacksonException e) {
        if (e instanceof ValueInstantiationException && e.getCause() instanceof IllegalArgumentException cause) {
            return String.valueOf(cause.getMessage());
        }
        if (e instanceof InvalidTypeIdException unknown) {
            return "unknown type " + unknown.getTypeId();
        }
        if (e instanceof MismatchedInputException mismatch) {
            return reasonOfMismatch(mismatch);
        }
        if (e instanceof InputCoercionException || e.getCause() instanceof NumberFormatException) {
            return path(e).isEmpty() ? "a number is out of range" : path(e) + " is a number out of range";
        }
        if (e instanceof StreamConstraintsException) {
            return place(e) + " " + limitExceeded(e.getOriginalMessage());
        }
        if (e.getCause() instanceof IllegalArgumentException cause && cause.getMessage() != null) {
            return String.valueOf(cause.getMessage());
        }
        String sentence =
                PARSER_DETAIL.matcher(firstSentence(e.getOriginalMessage())).replaceFirst("");
        return "not valid JSON" + location(e.getLocation())
                + (LIBRARY_DETAIL.matcher(sentence).find() ? "" : ": " + sentence);
    }

    private static String reasonOfMismatch(MismatchedInputException e) {
        if (e.getCause() instanceof IllegalArgumentException cause) {
            return String.valueOf(cause.getMessage());
        }
        String path = path(e);
        Matcher duplicate = DUPLICATE.matcher(e.getOriginalMessage());
        if (duplicate.matches()) {
            return "\"" + duplicate.group(1) + "\" appears twice"
                    + (path.isEmpty() ? location(e.getLocation()) : " in " + path);
        }
        if (e.getOriginalMessage().startsWith("Trailing token")) {
            return "not valid JSON" + location(e.getLocation()) + ": unexpected content after the end of the document";
        }
        return path.isEmpty()
                ? "the message must be a JSON object"
                : path + " has the wrong type or form (expected " + expected(e) + ")";
    }

    private static String limitExceeded(String message) {
        StreamReadConstraints limits = MAPPER.tokenStreamFactory().streamReadConstraints();
        if (message.startsWith("Document nesting depth")) {
            return "is nested deeper than " + limits.getMaxNestingDepth() + " levels";
        }
        if (message.startsWith("Number value length")) {
            return "contains a number with more than " + limits.getMaxNumberLength() + " digits";
        }
        if (message.startsWith("Name length")) {
            return "contains a name with more than " + limits.getMaxNameLength() + " characters";
        }
        return "is too large";
    }

    /** The path to the error, or the whole message. */
    private static String place(JacksonException e) {
        String path = path(e);
        return path.isEmpty() ? "the message" : path;
    }

    private static String location(@Nullable TokenStreamLocation location) {
        return location == null || location.getLineNr() < 1
                ? ""
                : " at line " + location.getLineNr() + ", column " + location.getColumnNr();
    }

    private static String expected(MismatchedInputException mismatch) {
        Class<?> type = mismatch.getTargetType();
        if (type == null) {
            return "another type";
        }
        if (java.time.temporal.Temporal.class.isAssignableFrom(type)) {
            return "an ISO 8601 time, such as 2026-01-01T00:00:00Z";
        }
        if (java.util.Collection.class.isAssignableFrom(type)) {
            return "an array";
        }
        if (type == Integer.class || type == int.class || type == Long.class) {
            return "a whole number";
        }
        if (Number.class.isAssignableFrom(type) || type == double.class) {
            return "a number";
        }
        if (type == String.class || type.isEnum()) {
            return "a string";
        }
        if (type == Boolean.class || type == boolean.class) {
            return "true or false";
        }
        return "an object";
    }

    private static String path(JacksonException e) {
        StringBuilder path = new StringBuilder();
        for (JacksonException.Reference step : e.getPath()) {
            if (step.getPropertyName() != null) {
                path.append(path.isEmpty() ? "" : ".").append(step.getPropertyName());
            } else {
                path.append('[').append(step.getIndex()).append(']');
            }
        }
        return path.toString();
    }

    private static String firstSentence(String message) {
        int end = message.indexOf('\n');
        return end < 0 ? message : message.substring(0, end);
    }

    /** Thrown for bytes that are not the expected message; the exception message is the reason, as one sentence. */
    public static final class MalformedMessageException extends RuntimeException {
        public MalformedMessageException(String message) {
            super(sentence(message));
        }

        MalformedMessageException(String message, Throwable cause) {
            super(sentence(message), cause);
        }
    }
}
