package io.aitbc.contracts;

import java.util.function.Supplier;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.databind.DatabindException;
import tools.jackson.databind.DeserializationContext;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.ValueDeserializer;
import tools.jackson.databind.deser.jackson.JsonNodeDeserializer;
import tools.jackson.databind.deser.std.DelegatingDeserializer;

/** Reads free-form JSON. A number whose exponent is out of range is an error of the document, which Jackson does not report as one. */
final class TreeDeserializer extends DelegatingDeserializer {
    private TreeDeserializer(ValueDeserializer<?> tree) {
        super(tree);
    }

    @SuppressWarnings("unchecked") // The deserializer for a type of node reads that type.
    static <T extends JsonNode> ValueDeserializer<T> of(Class<T> type) {
        return (ValueDeserializer<T>)
                (ValueDeserializer<?>) new TreeDeserializer(JsonNodeDeserializer.getDeserializer(type));
    }

    @Override
    protected ValueDeserializer<?> newDelegatingInstance(ValueDeserializer<?> tree) {
        return new TreeDeserializer(tree);
    }

    @Override
    public Object deserialize(JsonParser parser, DeserializationContext context) throws JacksonException {
        return inRange(parser, () -> super.deserialize(parser, context));
    }

    /** @throws DatabindException if a number that is read has an exponent out of range */
    static <T> T inRange(JsonParser parser, Supplier<T> read) {
        try {
            return read.get();
        } catch (NumberFormatException | ArithmeticException e) {
            NumberFormatException cause =
                    e instanceof NumberFormatException number ? number : new NumberFormatException(e.getMessage());
            throw DatabindException.from(parser, "a number is out of range", cause);
        }
    }
}
