package io.aitbc.contracts;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashSet;
import java.util.Set;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.databind.DatabindException;
import tools.jackson.databind.DeserializationContext;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.deser.std.StdDeserializer;
import tools.jackson.databind.node.ObjectNode;

/** Checks a payload as strictly as if it were read, and takes its bytes out of those of the message. */
final class PayloadDeserializer extends StdDeserializer<Payload> {
    /** Attribute of the bytes that are read; if absent, a payload is read as a tree. */
    static final Object SOURCE = new Object();

    PayloadDeserializer() {
        super(Payload.class);
    }

    @Override
    public Payload deserialize(JsonParser parser, DeserializationContext context) {
        if (!parser.hasToken(JsonToken.START_OBJECT)) {
            return (Payload) context.handleUnexpectedToken(getValueType(context), parser);
        }
        long start = parser.currentTokenLocation().getByteOffset();
        if (!(context.getAttribute(SOURCE) instanceof byte[] source) || !isAt(source, start, '{')) {
            // Another encoding than UTF-8, or no text at all.
            return Payload.of(context.readValue(parser, ObjectNode.class));
        }
        check(parser, context);
        long end = parser.currentLocation().getByteOffset();
        byte[] json = Arrays.copyOfRange(source, (int) start, (int) end);
        checkUtf8(json, parser);
        return Payload.of(json);
    }

    /** The parser skips texts without decoding them, and accepts forms that strict decoders refuse. */
    private static void checkUtf8(byte[] json, JsonParser parser) {
        int bits = 0;
        for (byte one : json) {
            bits |= one;
        }
        if (bits >= 0) {
            return;
        }
        try {
            StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(json));
        } catch (CharacterCodingException e) {
            throw DatabindException.from(
                    parser, "invalid UTF-8", new IllegalArgumentException("task_data is not valid UTF-8"));
        }
    }

    private static boolean isAt(byte[] source, long offset, char character) {
        return offset >= 0 && offset < source.length && source[(int) offset] == character;
    }

    private static void check(JsonParser parser, DeserializationContext context) {
        Deque<Set<String>> names = new ArrayDeque<>();
        names.push(new HashSet<>());
        while (!names.isEmpty()) {
            switch (parser.nextToken()) {
                case START_OBJECT -> names.push(new HashSet<>());
                case END_OBJECT -> names.pop();
                case PROPERTY_NAME -> {
                    if (!names.element().add(parser.currentName())) {
                        context.reportInputMismatch(
                                JsonNode.class, "Duplicate property \"%s\" for `ObjectNode`", parser.currentName());
                    }
                }
                case VALUE_NUMBER_FLOAT ->
                    TreeDeserializer.inRange(parser, () -> TreeDeserializer.readable(parser.getDecimalValue()));
                default -> {
                    // The parser has checked it.
                }
            }
        }
    }
}
