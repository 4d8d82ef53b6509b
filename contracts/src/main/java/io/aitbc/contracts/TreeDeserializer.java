package io.aitbc.contracts;

import java.math.BigDecimal;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.databind.DatabindException;
import tools.jackson.databind.DeserializationContext;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.ValueDeserializer;
import tools.jackson.databind.deser.jackson.JsonNodeDeserializer;
import tools.jackson.databind.deser.std.DelegatingDeserializer;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ValueNode;

/**
 * Reads free-form JSON. A number that is out of range is an error of the document, which Jackson does not report as one; so is a number that could not be
 * read again once it is written.
 */
final class TreeDeserializer extends DelegatingDeserializer {
    private static final int SAFE_EXPONENT = 1_000_000;
    /** What Jackson reads. */
    private static final int MAX_NUMBER_LENGTH = 1_000;
    /** Sign, point and exponent. */
    private static final int MAX_PUNCTUATION = 13;

    /** Makes nodes of numbers that can be read again. */
    static final JsonNodeFactory NODES = new JsonNodeFactory() {
        @Override
        public ValueNode numberNode(@Nullable BigDecimal number) {
            return super.numberNode(number == null ? null : readable(number));
        }
    };

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

    /** @throws NumberFormatException if the number, once written, could not be read */
    static BigDecimal readable(BigDecimal number) {
        boolean isOrdinary = Math.abs((long) number.scale()) < SAFE_EXPONENT
                && number.precision() < MAX_NUMBER_LENGTH - MAX_PUNCTUATION;
        if (!isOrdinary) {
            String text = number.toString();
            if (text.length() > MAX_NUMBER_LENGTH) {
                throw new NumberFormatException(text.length() + " characters");
            }
            return new BigDecimal(text);
        }
        return number;
    }

    /** @throws DatabindException if a number that is read is out of range */
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
