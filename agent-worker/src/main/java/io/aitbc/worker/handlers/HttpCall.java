package io.aitbc.worker.handlers;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Json;
import io.aitbc.worker.AssignmentContext;
import io.aitbc.worker.Handler;
import java.io.IOException;
import java.net.ConnectException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Calls {@code task_data.url} with {@code method} (default GET), {@code headers} and {@code body}. The result contains {@code
 * status_code} and up to 64 KiB of the body. A status of 429, or of 500 or above, fails the attempt; the next one respects {@code Retry-After}.
 */
public final class HttpCall implements Handler {
    private static final int MAX_BODY = 64 * 1024;

    private final HttpClient client =
            HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(10)).build();

    @Override
    public JsonNode handle(Assignment assignment, AssignmentContext context) throws Exception {
        ObjectNode data = assignment.taskData();
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(TaskTypes.text(data, "url")))
                .timeout(timeAllowed(assignment))
                .method(
                        data.path("method").asString("GET"),
                        data.hasNonNull("body")
                                ? HttpRequest.BodyPublishers.ofString(
                                        data.get("body").isString()
                                                ? data.get("body").asString()
                                                : Json.text(data.get("body")))
                                : HttpRequest.BodyPublishers.noBody());
        data.path("headers")
                .properties()
                .forEach(header ->
                        request.header(header.getKey(), header.getValue().asString()));
        HttpResponse<String> response;
        try {
            response = client.send(request.build(), HttpResponse.BodyHandlers.ofString());
        } catch (ConnectException e) {
            // The original exception has no message.
            throw new ConnectException("cannot connect to " + request.build().uri());
        }
        RetryAfter.check(response);
        if (response.statusCode() >= 500) {
            throw new IOException(request.build().uri() + " returned HTTP " + response.statusCode());
        }
        String body = response.body();
        ObjectNode result = Json.object().put("status_code", response.statusCode());
        result.put("body", body.length() <= MAX_BODY ? body : body.substring(0, MAX_BODY));
        return result.put("truncated", body.length() > MAX_BODY);
    }

    /** Returns the full timeout of the attempt. The remaining time would depend on the local clock, which may be wrong. */
    static Duration timeAllowed(Assignment assignment) {
        Duration allowed = Duration.between(assignment.assignedAt(), assignment.deadline());
        return allowed.compareTo(Duration.ofSeconds(1)) < 0 ? Duration.ofSeconds(1) : allowed;
    }
}
