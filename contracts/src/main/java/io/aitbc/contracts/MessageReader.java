package io.aitbc.contracts;

import java.time.Instant;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.type.TypeReference;
import tools.jackson.databind.DeserializationContext;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.ValueDeserializer;
import tools.jackson.databind.deser.std.StdDeserializer;
import tools.jackson.databind.exc.ValueInstantiationException;

/**
 * Reads the messages of which there are most, in half the time that Jackson takes to collect the arguments of a record's constructor. The
 * errors are the same.
 *
 * @param <M> the message
 * @param <F> its fields while it is read
 */
abstract class MessageReader<M, F> extends StdDeserializer<M> {
    static final TypeReference<Map<String, Long>> UNITS = new TypeReference<>() {};

    private static final TimeDeserializer TIME = new TimeDeserializer();
    private static final ValueDeserializer<JsonNode> TREE = TreeDeserializer.of(JsonNode.class);

    MessageReader(Class<M> type) {
        super(type);
    }

    abstract F begin();

    /** Reads the value of a field, at its first token. */
    abstract void read(String name, F fields, JsonParser parser, DeserializationContext context);

    /** @throws IllegalArgumentException if a field is invalid */
    abstract M end(F fields);

    @Override
    public final M deserialize(JsonParser parser, DeserializationContext context) {
        if (!parser.isExpectedStartObjectToken()) {
            @SuppressWarnings("unchecked") // Of the type asked for.
            M message = (M) context.handleUnexpectedToken(getValueType(context), parser);
            return message;
        }
        F fields = begin();
        for (String name = parser.nextName(); name != null; name = parser.nextName()) {
            parser.nextToken();
            try {
                read(name, fields, parser, context);
            } catch (JacksonException e) {
                throw e.prependPath(handledType(), name);
            }
        }
        try {
            return end(fields);
        } catch (IllegalArgumentException e) {
            throw ValueInstantiationException.from(parser, e.getMessage(), getValueType(context), e);
        }
    }

    static @Nullable String text(JsonParser parser, DeserializationContext context) {
        return parser.hasToken(JsonToken.VALUE_STRING) ? parser.getString() : value(parser, context, String.class);
    }

    static @Nullable Integer integer(JsonParser parser, DeserializationContext context) {
        return parser.hasToken(JsonToken.VALUE_NUMBER_INT)
                ? (Integer) parser.getIntValue()
                : value(parser, context, Integer.class);
    }

    static @Nullable Instant time(JsonParser parser, DeserializationContext context) {
        return parser.hasToken(JsonToken.VALUE_NULL) ? null : TIME.deserialize(parser, context);
    }

    static JsonNode tree(JsonParser parser, DeserializationContext context) {
        return TREE.deserialize(parser, context);
    }

    static <T> @Nullable T value(JsonParser parser, DeserializationContext context, Class<T> type) {
        return parser.hasToken(JsonToken.VALUE_NULL) ? null : context.readValue(parser, type);
    }

    static <T> @Nullable T map(JsonParser parser, DeserializationContext context, TypeReference<T> type) {
        return parser.hasToken(JsonToken.VALUE_NULL) ? null : context.readValue(parser, type);
    }
}
