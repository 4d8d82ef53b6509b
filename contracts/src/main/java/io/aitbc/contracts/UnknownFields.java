package io.aitbc.contracts;

import com.fasterxml.jackson.annotation.JsonAnySetter;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.lang.reflect.RecordComponent;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import tools.jackson.databind.JsonNode;

/** Finds fields in a document that its target record, or any nested record, does not declare. {@link Resources} may have any. */
final class UnknownFields {
    private static final Map<Class<?>, Map<String, Class<?>>> FIELDS = new ConcurrentHashMap<>();

    private UnknownFields() {}

    /** The paths of the unknown fields, such as {@code requirements.capabilites}, in document order. */
    static List<String> in(JsonNode json, Class<?> type) {
        List<String> found = new ArrayList<>();
        collect(json, type, "", found);
        return List.copyOf(found);
    }

    private static void collect(JsonNode json, Class<?> type, String prefix, List<String> found) {
        Map<String, Class<?>> fields = FIELDS.computeIfAbsent(type, UnknownFields::fieldsOf);
        json.forEachEntry((name, value) -> {
            Class<?> field = fields.get(name);
            if (field == null) {
                found.add(prefix + name);
            } else if (field.isRecord() && field != Resources.class) {
                collect(value, field, prefix + name + ".", found);
            }
        });
    }

    private static Map<String, Class<?>> fieldsOf(Class<?> type) {
        Map<String, Class<?>> fields = new HashMap<>();
        for (RecordComponent component : type.getRecordComponents()) {
            if (component.getAccessor().getAnnotation(JsonAnySetter.class) == null) {
                JsonProperty name = component.getAccessor().getAnnotation(JsonProperty.class);
                fields.put(name == null ? component.getName() : name.value(), component.getType());
            }
        }
        return fields;
    }
}
