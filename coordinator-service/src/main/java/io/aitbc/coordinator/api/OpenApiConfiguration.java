package io.aitbc.coordinator.api;

import com.fasterxml.jackson.annotation.JsonAutoDetect;
import com.fasterxml.jackson.databind.JavaType;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Payload;
import io.aitbc.coordinator.security.AccessRules;
import io.aitbc.coordinator.security.Role;
import io.swagger.v3.core.converter.AnnotatedType;
import io.swagger.v3.core.converter.ModelConverter;
import io.swagger.v3.core.converter.ModelConverterContext;
import io.swagger.v3.oas.models.Operation;
import io.swagger.v3.oas.models.PathItem;
import io.swagger.v3.oas.models.info.Info;
import io.swagger.v3.oas.models.media.Content;
import io.swagger.v3.oas.models.media.MediaType;
import io.swagger.v3.oas.models.media.ObjectSchema;
import io.swagger.v3.oas.models.media.Schema;
import io.swagger.v3.oas.models.media.StringSchema;
import io.swagger.v3.oas.models.parameters.HeaderParameter;
import io.swagger.v3.oas.models.parameters.RequestBody;
import io.swagger.v3.oas.models.responses.ApiResponse;
import io.swagger.v3.oas.models.responses.ApiResponses;
import io.swagger.v3.oas.models.security.SecurityRequirement;
import io.swagger.v3.oas.models.security.SecurityScheme;
import io.swagger.v3.oas.models.servers.Server;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
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
    private static final String BEARER = "bearer";
    private static final String API_KEY = "apiKey";

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
                if (java != null && java.getRawClass() == Payload.class) {
                    return new ObjectSchema();
                }
                if (java != null && JsonNode.class.isAssignableFrom(java.getRawClass())) {
                    return ObjectNode.class.isAssignableFrom(java.getRawClass()) ? new ObjectSchema() : new Schema<>();
                }
                return chain.hasNext() ? chain.next().resolve(type, context, chain) : null;
            }
        };
    }

    @Bean
    ModelConverter recordSchemas() {
        return new RecordSchemas();
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
            // The default is the host that the request names, which is not for a client to choose.
            api.setServers(List.of(new Server().url("/")));
            api.getPaths()
                    .forEach((path, item) -> item.readOperationsMap().forEach((method, operation) -> {
                        illustrate(operation, examples.path(method + " " + path), examples.path("problem"));
                        protect(operation, method.name(), path);
                    }));
            api.getComponents()
                    .addSecuritySchemes(
                            BEARER,
                            new SecurityScheme()
                                    .type(SecurityScheme.Type.HTTP)
                                    .scheme("bearer")
                                    .description("An API key, or a JSON Web Token. Not needed while security is off."))
                    .addSecuritySchemes(
                            API_KEY,
                            new SecurityScheme()
                                    .type(SecurityScheme.Type.APIKEY)
                                    .in(SecurityScheme.In.HEADER)
                                    .name("X-API-Key")
                                    .description("An API key. Not needed while security is off."));
            api.addWebhooks(
                    "tasks/execute",
                    new PathItem()
                            .post(toAgents(
                                            "Execute an assignment",
                                            "Sent to agents registered with delivery `push`, at their endpoint `http`. Any response"
                                                    + " but 2xx, 429 and 503 may mean that the task is running: the request is"
                                                    + " repeated, with the same `assignment_id`.",
                                            "schemas/execute.schema.json")
                                    .addParametersItem(new HeaderParameter()
                                            .name("Idempotency-Key")
                                            .description("The `assignment_id`")
                                            .schema(new StringSchema()))
                                    .responses(new ApiResponses()
                                            .addApiResponse("200", result())
                                            .addApiResponse(
                                                    "202",
                                                    new ApiResponse()
                                                            .description("Accepted: the result follows, over"
                                                                    + " `POST /tasks/{task_id}/results`"))
                                            .addApiResponse(
                                                    "429",
                                                    new ApiResponse().description("Not accepted; see `Retry-After`"))
                                            .addApiResponse(
                                                    "503",
                                                    new ApiResponse()
                                                            .description("Not accepted; see `Retry-After`")))));
            api.addWebhooks(
                    "tasks/cancel",
                    new PathItem()
                            .post(toAgents(
                                            "Cancel an assignment",
                                            "Sent once to agents registered with delivery `push`; the response is ignored.",
                                            "schemas/cancellation.schema.json")
                                    .responses(new ApiResponses()
                                            .addApiResponse("200", new ApiResponse().description("Received")))));
        };
    }

    /** Documents which roles may use an operation. */
    private static void protect(Operation operation, String method, String path) {
        AccessRules.Rule rule = AccessRules.of(method, path).orElseThrow();
        if (!rule.isPublic()) {
            operation.addSecurityItem(new SecurityRequirement().addList(BEARER));
            operation.addSecurityItem(new SecurityRequirement().addList(API_KEY));
            operation.addExtension(
                    "x-roles",
                    rule.roles().stream().sorted().map(Role::wireName).toList());
        }
    }

    private static Operation toAgents(String summary, String description, String schema) {
        return new Operation()
                .addTagsItem("agents")
                .summary(summary)
                .description(description)
                .requestBody(new RequestBody()
                        .required(true)
                        .content(new Content()
                                .addMediaType(
                                        "application/json", new MediaType().schema(new Schema<>().$ref(schema)))));
    }

    private static ApiResponse result() {
        return new ApiResponse()
                .description(
                        "The result, as in `tasks.results`: a terminal `status`, an `error` or a `result`. A body that begins"
                                + " with `{` and cannot be read fails the attempt; any other body counts as 202")
                .content(new Content()
                        .addMediaType(
                                "application/json",
                                new MediaType()
                                        .schema(new ObjectSchema())
                                        .example(Map.of("status", "completed", "result", Map.of("sum", 5)))));
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
