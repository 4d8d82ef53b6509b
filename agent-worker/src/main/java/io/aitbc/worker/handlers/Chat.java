package io.aitbc.worker.handlers;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Json;
import io.aitbc.worker.AssignmentContext;
import io.aitbc.worker.Handler;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Queries a language model over an OpenAI-compatible chat-completions endpoint. {@code task_data} has {@code model}, and either {@code
 * messages}, passed through unchanged, or {@code prompt} with an optional {@code system} prompt. {@code tools}, {@code tool_choice},
 * {@code response_format} and the fields of {@code parameters} (temperature, max_tokens, …) are passed through unchanged.
 *
 * <p>With {@code "stream": true}, the text so far is reported as progress, and the result is the same as without. A task that the endpoint
 * calls invalid is not retried; a rate limit delays the next attempt as the endpoint asks.
 */
public final class Chat implements Handler {
    private static final List<String> PASSED_THROUGH = List.of("tools", "tool_choice", "response_format");
    /** Bad request, content too large, unprocessable content. */
    private static final Set<Integer> INVALID = Set.of(400, 413, 422);

    private static final int MAX_ERROR = 500;
    private static final String EVENT = "data:";
    private static final String END = "[DONE]";

    private final HttpClient client =
            HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(10)).build();
    private final URI endpoint;
    private final @Nullable String key;

    /**
     * @param baseUrl of the API, such as {@code http://localhost:11434/v1}
     * @param key sent as a bearer token; null: none
     */
    public Chat(String baseUrl, @Nullable String key) {
        this.endpoint = URI.create(baseUrl.replaceAll("/+$", "") + "/chat/completions");
        this.key = key;
    }

    @Override
    public JsonNode handle(Assignment assignment, AssignmentContext context) throws Exception {
        ObjectNode body = body(assignment.taskData());
        HttpRequest.Builder request = HttpRequest.newBuilder(endpoint)
                .timeout(HttpCall.timeAllowed(assignment))
                .header("Content-Type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofByteArray(Json.bytes(body)));
        if (key != null) {
            request.header("Authorization", "Bearer " + key);
        }
        HttpResponse<Stream<String>> response = client.send(request.build(), HttpResponse.BodyHandlers.ofLines());
        try (Stream<String> lines = response.body()) {
            RetryAfter.check(response);
            if (response.statusCode() != 200) {
                throw failure(response.statusCode(), lines);
            }
            return body.path("stream").asBoolean(false)
                    ? new StreamedAnswer(context).read(lines)
                    : result(Json.MAPPER.readTree(lines.collect(Collectors.joining("\n"))));
        }
    }

    private static ObjectNode body(ObjectNode data) {
        ObjectNode body =
                data.path("parameters") instanceof ObjectNode parameters ? parameters.deepCopy() : Json.object();
        body.put("model", TaskTypes.text(data, "model"));
        PASSED_THROUGH.stream().filter(data::hasNonNull).forEach(field -> body.set(field, data.get(field)));
        if (data.path("stream").asBoolean(false)) {
            body.put("stream", true);
        }
        if (data.path("messages") instanceof ArrayNode messages) {
            body.set("messages", messages);
            return body;
        }
        ArrayNode messages = body.putArray("messages");
        if (data.hasNonNull("system")) {
            messages.addObject().put("role", "system").put("content", TaskTypes.text(data, "system"));
        }
        messages.addObject().put("role", "user").put("content", TaskTypes.text(data, "prompt"));
        return body;
    }

    private Exception failure(int status, Stream<String> lines) {
        String text = lines.collect(Collectors.joining("\n"));
        String reason =
                endpoint + " returned HTTP " + status + ": " + text.substring(0, Math.min(MAX_ERROR, text.length()));
        // The same request would fail again.
        return INVALID.contains(status) ? new PermanentFailureException(reason) : new IOException(reason);
    }

    private static ObjectNode result(JsonNode answer) {
        ObjectNode result = Json.object();
        result.set("content", answer.at("/choices/0/message/content"));
        if (answer.at("/choices/0/message").hasNonNull("tool_calls")) {
            result.set("tool_calls", answer.at("/choices/0/message/tool_calls"));
        }
        result.set("finish_reason", answer.at("/choices/0/finish_reason"));
        result.set("model", answer.path("model"));
        result.set("usage", answer.path("usage"));
        return result;
    }

    /** Puts the server-sent events of a streamed answer together. */
    private static final class StreamedAnswer {
        private static final long REPORT_INTERVAL_NANOS = Duration.ofSeconds(1).toNanos();

        private final AssignmentContext context;
        private final StringBuilder content = new StringBuilder();
        private final ObjectNode answer = Json.object();
        private final ArrayNode toolCalls = Json.MAPPER.createArrayNode();
        private JsonNode finishReason = Json.MAPPER.missingNode();
        private long reportedNanos = System.nanoTime();

        StreamedAnswer(AssignmentContext context) {
            this.context = context;
        }

        ObjectNode read(Stream<String> lines) {
            lines.filter(line -> line.startsWith(EVENT))
                    .map(line -> line.substring(EVENT.length()).strip())
                    .takeWhile(event -> !event.equals(END))
                    .map(Json.MAPPER::readTree)
                    .forEach(this::add);
            ObjectNode message = Json.object().put("content", content.toString());
            if (!toolCalls.isEmpty()) {
                message.set("tool_calls", toolCalls);
            }
            ObjectNode choice = Json.object();
            choice.set("message", message);
            choice.set("finish_reason", finishReason);
            answer.putArray("choices").add(choice);
            return result(answer);
        }

        private void add(JsonNode event) {
            if (event.hasNonNull("model")) {
                answer.set("model", event.get("model"));
            }
            if (event.hasNonNull("usage")) {
                answer.set("usage", event.get("usage"));
            }
            JsonNode choice = event.at("/choices/0");
            if (choice.hasNonNull("finish_reason")) {
                finishReason = choice.get("finish_reason");
            }
            content.append(choice.at("/delta/content").asString(""));
            choice.at("/delta/tool_calls").forEach(this::addToolCall);
            if (System.nanoTime() - reportedNanos >= REPORT_INTERVAL_NANOS) {
                reportedNanos = System.nanoTime();
                context.progress(Json.object().put("content", content.toString()));
            }
        }

        /** The first part of a tool call has its id and name; the arguments follow in pieces. */
        private void addToolCall(JsonNode part) {
            int index = part.path("index").asInt(toolCalls.size());
            while (toolCalls.size() <= index) {
                toolCalls.addObject();
            }
            ObjectNode call = (ObjectNode) toolCalls.get(index);
            for (String field : List.of("id", "type")) {
                if (part.hasNonNull(field)) {
                    call.set(field, part.get(field));
                }
            }
            ObjectNode function = call.withObject("function");
            if (part.at("/function/name").isString()) {
                function.set("name", part.at("/function/name"));
            }
            function.put(
                    "arguments",
                    function.path("arguments").asString("")
                            + part.at("/function/arguments").asString(""));
        }
    }
}
