package io.aitbc.worker.handlers;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Json;
import io.aitbc.worker.Handler;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Queries a language model. {@code task_data} {model, prompt, parameters} is sent to an OpenAI-compatible chat-completions
 * endpoint; {@code parameters} (temperature, max_tokens, …) are passed through unchanged.
 */
public final class Chat implements Handler {
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
    public JsonNode handle(Assignment assignment, Progress progress) throws IOException, InterruptedException {
        ObjectNode data = assignment.taskData();
        ObjectNode body =
                data.path("parameters") instanceof ObjectNode parameters ? parameters.deepCopy() : Json.object();
        body.put("model", TaskTypes.text(data, "model"));
        body.putArray("messages").addObject().put("role", "user").put("content", TaskTypes.text(data, "prompt"));
        HttpRequest.Builder request = HttpRequest.newBuilder(endpoint)
                .timeout(HttpCall.timeAllowed(assignment))
                .header("Content-Type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofByteArray(Json.bytes(body)));
        if (key != null) {
            request.header("Authorization", "Bearer " + key);
        }
        HttpResponse<String> response = client.send(request.build(), HttpResponse.BodyHandlers.ofString());
        if (response.statusCode() != 200) {
            throw new IOException(endpoint + " returned HTTP " + response.statusCode() + ": "
                    + response.body().substring(0, Math.min(500, response.body().length())));
        }
        JsonNode answer = Json.MAPPER.readTree(response.body());
        ObjectNode result = Json.object();
        result.set("content", answer.at("/choices/0/message/content"));
        result.set("finish_reason", answer.at("/choices/0/finish_reason"));
        result.set("model", answer.path("model"));
        result.set("usage", answer.path("usage"));
        return result;
    }
}
