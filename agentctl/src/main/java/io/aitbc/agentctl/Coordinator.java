package io.aitbc.agentctl;

import io.aitbc.contracts.Json;
import java.io.IOException;
import java.net.ConnectException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpConnectTimeoutException;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.net.http.HttpTimeoutException;
import java.nio.channels.UnresolvedAddressException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import tools.jackson.databind.JsonNode;

/** A client for a coordinator's REST interface. Thread-safe. */
final class Coordinator {
    private static final Duration CONNECT_TIMEOUT = Duration.ofSeconds(5);
    private static final Duration REQUEST_TIMEOUT = Duration.ofSeconds(30);
    private static final String JSON = "application/json";
    private static final int UNAUTHORIZED = 401;

    private final HttpClient http = HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .connectTimeout(CONNECT_TIMEOUT)
            .build();
    private final String url;
    private final String apiKey;

    /** Thrown when the coordinator refuses a request; the message is the reason it gave. */
    static final class RefusedException extends CommandFailedException {
        private final int status;

        RefusedException(int status, String detail) {
            super(detail);
            this.status = status;
        }

        int status() {
            return status;
        }
    }

    /**
     * @param apiKey an API key or a token; empty: none is sent
     * @throws IllegalArgumentException unless the URL is http or https and has a host
     */
    Coordinator(String url, String apiKey) {
        URI parsed = URI.create(url);
        if (parsed.getHost() == null || !("http".equals(parsed.getScheme()) || "https".equals(parsed.getScheme()))) {
            throw new IllegalArgumentException("http:// or https:// and a host are required");
        }
        this.url = url.replaceFirst("/+$", "");
        this.apiKey = apiKey;
    }

    JsonNode get(String path) {
        return call(request(path));
    }

    JsonNode post(String path) {
        return call(request(path).POST(BodyPublishers.noBody()));
    }

    JsonNode post(String path, JsonNode body) {
        return send("POST", path, JSON, Json.bytes(body));
    }

    JsonNode delete(String path) {
        return call(request(path).DELETE());
    }

    JsonNode put(String path, JsonNode body) {
        return send("PUT", path, JSON, Json.bytes(body));
    }

    /** @param lines one task per line */
    JsonNode submitLines(String lines) {
        return send("POST", "/tasks/submit/batch", "application/x-ndjson", lines.getBytes(StandardCharsets.UTF_8));
    }

    /** Returns the task once it has ended, or its current state after the wait time. */
    TaskState task(String id, Duration wait) {
        TaskState task = new TaskState(call(request("/tasks/" + segment(id) + "?wait=" + wait.toMillis() + "ms")
                .timeout(REQUEST_TIMEOUT.plus(wait))));
        if (task.status().isEmpty() || task.id().isEmpty()) {
            // For a reserved path such as "queues", the response is not a task.
            throw new RefusedException(404, "Task not found");
        }
        return task;
    }

    /** Escapes text for use as a path segment. */
    static String segment(String text) {
        return URLEncoder.encode(text, StandardCharsets.UTF_8).replace("+", "%20");
    }

    private JsonNode send(String method, String path, String type, byte[] body) {
        return call(
                request(path).method(method, BodyPublishers.ofByteArray(body)).header("Content-Type", type));
    }

    private HttpRequest.Builder request(String path) {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url + path))
                .timeout(REQUEST_TIMEOUT)
                .header("Accept", JSON);
        return apiKey.isEmpty() ? request : request.header("Authorization", "Bearer " + apiKey);
    }

    private JsonNode call(HttpRequest.Builder request) {
        try {
            HttpResponse<byte[]> response = http.send(request.build(), BodyHandlers.ofByteArray());
            return answer(response.statusCode(), response.body());
        } catch (IOException e) {
            throw new CommandFailedException(unreachable(e));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new CommandFailedException("Interrupted while waiting for " + url);
        }
    }

    private JsonNode answer(int status, byte[] body) {
        JsonNode json;
        try {
            json = Json.read(body, JsonNode.class);
        } catch (Json.MalformedMessageException e) {
            json = Json.object();
        }
        String detail = json.path("detail").asString("");
        if (status == UNAUTHORIZED && apiKey.isEmpty() && !detail.isEmpty()) {
            throw new RefusedException(
                    status, "The coordinator requires a key: set AGENTCTL_API_KEY, or --key-file to a file with it.");
        }
        if (!detail.isEmpty() && status >= 400) {
            throw new RefusedException(status, Json.sentence(detail));
        }
        if (status != 200 || json.isEmpty()) {
            throw new CommandFailedException("The server at " + url + " is not a coordinator: it answered " + status
                    + " to a coordinator request.");
        }
        return json;
    }

    private String unreachable(IOException e) {
        if (e.getCause() instanceof UnresolvedAddressException
                || e.getCause() != null && e.getCause().getCause() instanceof UnresolvedAddressException) {
            return "Unknown host in " + url + "; set --url or AGENTCTL_URL to the coordinator's URL.";
        }
        if (e instanceof ConnectException || e instanceof HttpConnectTimeoutException) {
            return "Cannot reach a coordinator at " + url + "; set --url or AGENTCTL_URL to its URL.";
        }
        return e instanceof HttpTimeoutException
                ? "The coordinator at " + url + " did not answer in time."
                : "The connection to the coordinator at " + url + " failed: "
                        + Json.sentence(String.valueOf(e.getMessage())) + ".";
    }
}
