package io.aitbc.coordinator;

import com.networknt.schema.Schema;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SpecificationVersion;
import io.aitbc.contracts.Json;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.MissingNode;
import tools.jackson.databind.node.ObjectNode;

/** Holds responses against the OpenAPI document that the coordinator serves. */
final class OpenApiContract {
    private static final SchemaRegistry REGISTRY =
            SchemaRegistry.withDefaultDialect(SpecificationVersion.DRAFT_2020_12);
    private static final Pattern VARIABLE = Pattern.compile("\\{[^}]+}");

    private final JsonNode components;
    private final List<Path> paths;
    private final Map<JsonNode, Schema> schemas = new ConcurrentHashMap<>();

    private record Path(Pattern pattern, long variables, JsonNode item) {
        static Path of(String template, JsonNode item) {
            return new Path(
                    Pattern.compile("(/v1)?" + VARIABLE.matcher(template).replaceAll("[^/]+")),
                    VARIABLE.matcher(template).results().count(),
                    item);
        }
    }

    OpenApiContract(JsonNode document) {
        this.components = document.get("components").deepCopy();
        this.components.get("schemas").forEach(OpenApiContract::close);
        this.paths = document.get("paths").properties().stream()
                .map(path -> Path.of(path.getKey(), path.getValue()))
                .sorted(Comparator.comparingLong(Path::variables))
                .toList();
    }

    /** Refuses fields that the document does not name, unless the schema is open. */
    private static void close(JsonNode schema) {
        if (schema.has("properties") && !schema.has("additionalProperties")) {
            ((ObjectNode) schema).put("additionalProperties", false);
        }
    }

    /** Why a response is not as documented; null if it is, or if its path is not part of the API. */
    @Nullable
    String violation(String method, String path, int code, String contentType, String body) {
        JsonNode operation = paths.stream()
                .filter(one -> one.pattern.matcher(path).matches())
                .findFirst()
                .map(one -> one.item.path(method.toLowerCase()))
                .orElse(null);
        boolean isRedirect = code == 308;
        if (operation == null || operation.isMissingNode() && code == 405 || isRedirect || method.equals("HEAD")) {
            return null;
        }
        JsonNode responses = operation.path("responses");
        JsonNode response = responses.path(String.valueOf(code));
        if (response.isMissingNode()) {
            return code >= 400 && responses.has("default") && contentType.startsWith("application/problem+json")
                    ? null
                    : "status " + code + " is not documented";
        }
        String type = withoutParameters(contentType);
        JsonNode media = response.path("content").properties().stream()
                .filter(one -> Set.of(type, "*/*").contains(withoutParameters(one.getKey())))
                .findFirst()
                .map(Map.Entry::getValue)
                .orElse(MissingNode.getInstance());
        if (media.isMissingNode()) {
            return body.isEmpty() ? null : type + " is not documented for status " + code;
        }
        if (!type.endsWith("json") || !media.has("schema")) {
            return null;
        }
        String errors =
                schemas.computeIfAbsent(media.get("schema"), this::schema).validate(Json.MAPPER.readTree(body)).stream()
                        .map(error -> error.getInstanceLocation() + ": " + error.getMessage())
                        .limit(5)
                        .collect(Collectors.joining("; "));
        return errors.isEmpty() ? null : errors;
    }

    private static String withoutParameters(String contentType) {
        return contentType.replaceFirst(";.*", "");
    }

    private Schema schema(JsonNode schema) {
        ObjectNode whole = schema.deepCopy().asObject();
        close(whole);
        whole.set("components", components);
        return REGISTRY.getSchema(whole);
    }
}
