package io.aitbc.coordinator.api;

import com.fasterxml.jackson.annotation.JsonAutoDetect;
import com.fasterxml.jackson.databind.JavaType;
import io.aitbc.contracts.Json;
import io.swagger.v3.core.converter.AnnotatedType;
import io.swagger.v3.core.converter.ModelConverter;
import io.swagger.v3.core.converter.ModelConverterContext;
import io.swagger.v3.oas.models.Operation;
import io.swagger.v3.oas.models.info.Info;
import io.swagger.v3.oas.models.media.Content;
import io.swagger.v3.oas.models.media.MediaType;
import io.swagger.v3.oas.models.media.ObjectSchema;
import io.swagger.v3.oas.models.media.Schema;
import io.swagger.v3.oas.models.responses.ApiResponse;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Iterator;
import org.jspecify.annotations.Nullable;
import org.springdoc.core.customizers.OpenApiCustomizer;
import org.springdoc.core.providers.ObjectMapperProvider;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.info.BuildProperties;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.Ordered;
import org.springframework.core.annotation.Order;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** Adds the examples of {@code openapi-examples.json}, which the tests send and compare, to the OpenAPI document. */
@Configuration(proxyBeanMethods = false)
class OpenApiConfiguration {
    private static final String EXAMPLES = "openapi-examples.json";

    /** Declares JSON nodes as any JSON: the OpenAPI library would treat the classes as beans. */
    @Bean
    @Order(Ordered.LOWEST_PRECEDENCE)
    ModelConverter jsonNodes(ObjectMapperProvider mappers) {
        mappers.jsonMapper().addMixIn(JsonNode.class, Opaque.class);
        return new ModelConverter() {
            @Override
            public @Nullable Schema<?> resolve(
                    AnnotatedType type, ModelConverterContext context, Iterator<ModelConverter> chain) {
                JavaType java = io.swagger.v3.core.util.Json.mapper().constructType(type.getType());
                if (java != null && JsonNode.class.isAssignableFrom(java.getRawClass())) {
                    return ObjectNode.class.isAssignableFrom(java.getRawClass()) ? new ObjectSchema() : new Schema<>();
                }
                return chain.hasNext() ? chain.next().resolve(type, context, chain) : null;
            }
        };
    }

    @JsonAutoDetect(
            getterVisibility = JsonAutoDetect.Visibility.NONE,
            isGetterVisibility = JsonAutoDetect.Visibility.NONE,
            setterVisibility = JsonAutoDetect.Visibility.NONE)
    private interface Opaque {}

    @Bean
    OpenApiCustomizer examples(ObjectProvider<BuildProperties> build) {
        JsonNode examples = examples();
        BuildProperties properties = build.getIfAvailable();
        return api -> {
            api.setInfo(new Info()
                    .title("Agent Coordinator")
                    .version(properties == null ? "unbuilt" : properties.getVersion())
                    .description("Dispatches tasks by priority to the agents that fit them best."
                            + " Every path is also served under /v1."));
            api.getPaths()
                    .forEach((path, item) -> item.readOperationsMap()
                            .forEach((method, operation) -> illustrate(
                                    operation, examples.path(method + " " + path), examples.path("problem"))));
        };
    }

    static JsonNode examples() {
        try (InputStream resource = OpenApiConfiguration.class.getResourceAsStream(EXAMPLES)) {
            return Json.MAPPER.readTree(resource);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void illustrate(Operation operation, JsonNode example, JsonNode problem) {
        if (example.has("request") && operation.getRequestBody() != null) {
            show(operation.getRequestBody().getContent(), example.get("request"));
        }
        ApiResponse ok = operation
                .getResponses()
                .getOrDefault("202", operation.getResponses().get("200"));
        if (example.has("response") && ok != null) {
            show(ok.getContent(), example.get("response"));
        }
        operation
                .getResponses()
                .addApiResponse(
                        "default",
                        new ApiResponse()
                                .description("Problem details (RFC 9457)"
                                        + (operation.getRequestBody() == null
                                                ? ""
                                                : "; 408 if the body is not received in time, 413 if it is too large"))
                                .content(new Content()
                                        .addMediaType(
                                                "application/problem+json", new MediaType().example(plain(problem)))));
    }

    private static void show(@Nullable Content content, JsonNode example) {
        if (content != null) {
            content.values().forEach(media -> media.setExample(plain(example)));
        }
    }

    /** Converts to maps, because the OpenAPI library does not support this JSON library. */
    private static Object plain(JsonNode json) {
        return Json.read(Json.text(json), Object.class);
    }
}
