package io.aitbc.coordinator;

import io.aitbc.contracts.Json;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.random.RandomGenerator;
import java.util.stream.Stream;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.databind.util.RawValue;

/** Derives invalid messages from valid ones, reproducibly for a given random sequence. */
final class Mutations {
    /** JSON values, and malformed ones, that a reader may not expect. */
    private static final List<String> ODD_VALUES = List.of(
            "null",
            "true",
            "0",
            "-0",
            "-0.0",
            "-1",
            "0.5",
            "NaN",
            "1e400",
            "-1e400",
            "1e-400",
            "1e1000000000",
            "2147483648",
            "-9223372036854775809",
            "9223372036854775807",
            "1700000000000",
            "1e300",
            "9223372036854775808",
            "123456789012345678901234567890",
            "9".repeat(2_000),
            "\"\"",
            "\" \"",
            "\"1\"",
            "\".\"",
            "\"..\"",
            "\"status\"",
            "\"queues\"",
            "\"a b\"",
            "\"../..\"",
            "\"\\u0000\"",
            "\"\\n\\r\\t\\u001b[31m\"",
            "\"\\ud800\"",
            "\"x\\udc00y\"",
            "\"\\ud83d\\ude00 é \u202e\"",
            "\"" + "x".repeat(100_000) + "\"",
            "\"-1000000000-01-01T00:00:00Z\"",
            "\"+1000000000-12-31T23:59:59.999999999Z\"",
            "\"0000-00-00T00:00:00Z\"",
            "\"1969-12-31T23:59:59.999Z\"",
            "[]",
            "[null]",
            "[[1]]",
            "{}",
            "{\"\":{\"\\u0000\":1}}",
            "{\"task_id\":\"\\ud800\"}",
            "[".repeat(2_000) + "]".repeat(2_000),
            "{\"a\":".repeat(2_000) + "1" + "}".repeat(2_000));

    private final RandomGenerator random;

    Mutations(RandomGenerator random) {
        this.random = random;
    }

    <T> T one(List<T> values) {
        return values.get(random.nextInt(values.size()));
    }

    boolean chance(double probability) {
        return random.nextDouble() < probability;
    }

    /** Returns a message, possibly with mutated values or bytes. */
    byte[] bytes(JsonNode good) {
        JsonNode message = good;
        while (chance(0.5)) {
            message = changed(message);
        }
        byte[] bytes = Json.bytes(message);
        return chance(0.15) ? spoilt(message, bytes) : bytes;
    }

    /** Returns the document with one value changed, removed, or added. */
    private JsonNode changed(JsonNode good) {
        JsonNode document = good.deepCopy();
        List<JsonNode> containers = containers(document).toList();
        if (containers.isEmpty() || chance(0.05)) {
            return oddValue();
        }
        JsonNode container = one(containers);
        if (container instanceof ObjectNode object) {
            List<String> names = List.copyOf(object.propertyNames());
            String name = names.isEmpty() || chance(0.1) ? "unknown" : one(names);
            if (chance(0.3)) {
                object.remove(name);
            } else {
                object.set(name, oddValue());
            }
        } else if (container instanceof ArrayNode array) {
            if (array.isEmpty() || chance(0.5)) {
                array.add(oddValue());
            } else {
                array.set(random.nextInt(array.size()), oddValue());
            }
        }
        return document;
    }

    private static Stream<JsonNode> containers(JsonNode node) {
        return node.isContainer()
                ? Stream.concat(Stream.of(node), node.valueStream().flatMap(Mutations::containers))
                : Stream.empty();
    }

    private JsonNode oddValue() {
        return Json.MAPPER.getNodeFactory().rawValueNode(new RawValue(one(ODD_VALUES)));
    }

    /** Returns bytes that may no longer be valid JSON or UTF-8. */
    private byte[] spoilt(JsonNode message, byte[] bytes) {
        int at = random.nextInt(bytes.length + 1);
        return switch (random.nextInt(8)) {
            case 0 -> new byte[0];
            case 1 -> Arrays.copyOf(bytes, at);
            case 2 -> with(bytes, at, new byte[] {(byte) 0xC0, (byte) 0x80, (byte) 0xFF});
            case 3 -> with(bytes, at, new byte[] {(byte) random.nextInt()});
            case 4 -> with(bytes, bytes.length, bytes);
            case 5 -> new String(bytes, StandardCharsets.UTF_8).getBytes(StandardCharsets.UTF_16);
            case 6 -> repeated(message, bytes);
            default -> garbage();
        };
    }

    /** Returns the object with one of its members duplicated, with another value. */
    private byte[] repeated(JsonNode message, byte[] bytes) {
        if (!message.isObject() || message.isEmpty()) {
            return bytes;
        }
        String name = one(List.copyOf(message.propertyNames()));
        String text = new String(bytes, StandardCharsets.UTF_8).strip();
        return ("{" + Json.text(name) + ":" + one(ODD_VALUES) + "," + text.substring(1))
                .getBytes(StandardCharsets.UTF_8);
    }

    byte[] garbage() {
        byte[] garbage = new byte[random.nextInt(300)];
        random.nextBytes(garbage);
        return garbage;
    }

    private static byte[] with(byte[] bytes, int at, byte[] inserted) {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        all.write(bytes, 0, at);
        all.writeBytes(inserted);
        all.write(bytes, at, bytes.length - at);
        return all.toByteArray();
    }
}
