package io.aitbc.contracts;

import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.regex.Pattern;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.MapperFeature;
import tools.jackson.databind.cfg.CoercionAction;
import tools.jackson.databind.cfg.CoercionInputShape;
import tools.jackson.databind.exc.InvalidTypeIdException;
import tools.jackson.databind.exc.MismatchedInputException;
import tools.jackson.databind.exc.ValueInstantiationException;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.module.SimpleModule;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.databind.type.LogicalType;

/** The one JSON form of all messages: UTF-8, snake_case, ISO 8601 times, unknown fields ignored, no silent coercion of types. */
public final class Json {
    /** Deeper documents are refused: nothing that people write by hand or for a task comes near. */
    private static final int MAX_DEPTH = 200;

    private static final int LONGEST_SENTENCE = 500;
    private static final Pattern UNPRINTABLE = Pattern.compile("[\\p{Cc}\\p{Cs}]");

    public static final JsonMapper MAPPER = JsonMapper.builder(JsonFactory.builder()
                    .streamReadConstraints(StreamReadConstraints.builder()
                            .maxNestingDepth(MAX_DEPTH)
                            .build())
                    .build())
            .disable(MapperFeature.ALLOW_COERCION_OF_SCALARS)
            .disable(DeserializationFeature.ACCEPT_FLOAT_AS_INT)
            .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
            // What is passed on is passed on as it came: as a double, 1e400 would become a text, and 1e6 three times as
            // long.
            .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
            .withCoercionConfig(
                    LogicalType.Textual,
                    config -> config.setCoercion(CoercionInputShape.Integer, CoercionAction.Fail)
                            .setCoercion(CoercionInputShape.Float, CoercionAction.Fail)
                            .setCoercion(CoercionInputShape.Boolean, CoercionAction.Fail))
            .addModule(new SimpleModule().addDeserializer(Instant.class, new TimeReader()))
            .build();

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

    /** @throws MalformedMessageException saying in one sentence what is wrong with the bytes */
    public static <T> T read(byte[] json, Class<T> type) {
        try {
            return present(MAPPER.readValue(json, type));
        } catch (JacksonException e) {
            throw new MalformedMessageException(reason(e), e);
        }
    }

    /** @throws MalformedMessageException saying in one sentence what is wrong with the text */
    public static <T> T read(String json, Class<T> type) {
        // The reader of bytes takes less than that of text: what is taken here is to be written to Kafka, and read from
        // there.
        return read(json.getBytes(StandardCharsets.UTF_8), type);
    }

    /** @throws MalformedMessageException saying in one sentence what is wrong with the document */
    public static <T> T read(JsonNode json, Class<T> type) {
        try {
            return present(MAPPER.treeToValue(json, type));
        } catch (JacksonException e) {
            throw new MalformedMessageException(reason(e), e);
        }
    }

    public static JsonNode tree(Object value) {
        return MAPPER.valueToTree(value);
    }

    private static <T> T present(T value) {
        if (value == null) {
            throw new MalformedMessageException("the message is null", null);
        }
        return value;
    }

    /** A text for people in one line of a length that they read, whatever it quotes of what was sent. */
    public static String sentence(String text) {
        String cut = text.length() <= LONGEST_SENTENCE ? text : text.substring(0, LONGEST_SENTENCE) + "…";
        return UNPRINTABLE.matcher(cut).replaceAll("\uFFFD");
    }

    /** One sentence for people about what Jackson found wrong, with the path to the place where there is one. */
    public static String reason(JacksonException e) {
        if (e instanceof ValueInstantiationException && e.getCause() instanceof IllegalArgumentException cause) {
            return cause.getMessage();
        }
        if (e instanceof InvalidTypeIdException unknown) {
            return "unknown type " + unknown.getTypeId();
        }
        if (e instanceof MismatchedInputException mismatch) {
            if (mismatch.getCause() instanceof IllegalArgumentException cause) {
                return cause.getMessage();
            }
            String path = path(mismatch);
            return path.isEmpty()
                    ? "the message must be a JSON object"
                    : path + " has the wrong type or form (expected " + expected(mismatch) + ")";
        }
        if (e.getCause() instanceof IllegalArgumentException cause && cause.getMessage() != null) {
            return cause.getMessage();
        }
        return "not valid JSON: " + firstSentence(e.getOriginalMessage());
    }

    private static String expected(MismatchedInputException mismatch) {
        Class<?> type = mismatch.getTargetType();
        if (type == null) {
            return "another type";
        }
        if (java.time.temporal.Temporal.class.isAssignableFrom(type)) {
            return "an ISO 8601 time";
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

    /** Bytes that are not the message they should be; the text says why in one sentence. */
    public static final class MalformedMessageException extends RuntimeException {
        MalformedMessageException(String message, Throwable cause) {
            super(sentence(message), cause);
        }
    }
}
