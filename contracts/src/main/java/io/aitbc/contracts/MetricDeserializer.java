package io.aitbc.contracts;

import java.util.regex.Pattern;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.databind.DeserializationContext;
import tools.jackson.databind.deser.std.StdDeserializer;

/** Reads a number, also one written as text: clients of the AITBC coordinator send both. */
final class MetricDeserializer extends StdDeserializer<Double> {
    private static final Pattern NUMBER = Pattern.compile("[0-9]{1,30}(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?");

    MetricDeserializer() {
        super(Double.class);
    }

    @Override
    public Double deserialize(JsonParser parser, DeserializationContext context) {
        if (parser.hasToken(JsonToken.VALUE_STRING)
                && NUMBER.matcher(parser.getString()).matches()) {
            return Double.valueOf(parser.getString());
        }
        return parser.currentToken().isNumeric()
                ? Double.valueOf(parser.getDoubleValue())
                : (Double) context.handleUnexpectedToken(getValueType(context), parser);
    }
}
