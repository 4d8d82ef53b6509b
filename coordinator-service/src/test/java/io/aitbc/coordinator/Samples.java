package io.aitbc.coordinator;

import io.aitbc.contracts.Json;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** Messages and state written by a version of the coordinator. */
public record Samples(Path folder) {
    public static Stream<Samples> versions() {
        try (Stream<Path> folders =
                Files.list(Path.of(Samples.class.getResource("/samples").toURI()))) {
            return folders.filter(Files::isDirectory).map(Samples::new).toList().stream();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }

    public ObjectNode read(String name) {
        return Json.MAPPER.readTree(folder.resolve(name + ".json")).asObject();
    }

    @Override
    public String toString() {
        return folder.getFileName().toString();
    }

    /** Returns the document with fields unknown to every version. */
    public static ObjectNode ofANewerVersion(JsonNode document) {
        ObjectNode newer = document.deepCopy().asObject();
        newer.put("text_of_tomorrow", "t").putNull("nothing_of_tomorrow");
        newer.putObject("object_of_tomorrow").put("agent-1", 1);
        return newer;
    }

    /** Returns the parts of a document that are missing from another, or have another form there. Additional parts are ignored. */
    public static List<String> missing(JsonNode part, JsonNode whole) {
        List<String> missing = new ArrayList<>();
        if (!form(part).equals(form(whole))) {
            missing.add(" is " + whole + " instead of " + part);
        } else if (part.isArray()) {
            for (int i = 0; i < part.size(); i++) {
                String place = "[" + i + "]";
                missing(part.get(i), whole.path(i)).forEach(inner -> missing.add(place + inner));
            }
        } else {
            part.forEachEntry((field, value) ->
                    missing(value, whole.path(field)).forEach(inner -> missing.add("." + field + inner)));
        }
        return missing;
    }

    /** Returns the form of a value. Fields of hashes are strings, whatever they hold. */
    private static String form(JsonNode value) {
        if (!value.isString()) {
            return value.getNodeType().name();
        }
        String text = value.asString();
        if (text.matches("-?\\d+(\\.\\d+)?")) {
            return "number in text";
        }
        if (text.startsWith("{") || text.startsWith("[")) {
            return "JSON in text";
        }
        try {
            Instant.parse(text);
            return "time in text";
        } catch (DateTimeParseException e) {
            return "text";
        }
    }
}
