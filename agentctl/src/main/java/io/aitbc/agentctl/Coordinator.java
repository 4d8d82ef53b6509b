package io.aitbc.agentctl;

import io.aitbc.contracts.Json;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.ConnectException;
import java.net.HttpURLConnection;
import java.net.SocketTimeoutException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.UnknownHostException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/** A client for a coordinator's REST interface. Thread-safe. Uses {@link HttpURLConnection}: {@code HttpClient} would add a third of a second to each command. */
final class Coordinator {
    private static final Duration CONNECT_TIMEOUT = Duration.ofSeconds(5);
    private static final Duration REQUEST_TIMEOUT = Duration.ofSeconds(30);
    private static final String JSON = "application/json";
    private static final int BAD_REQUEST = 400;
    private static final int UNAUTHORIZED = 401;
    private static final byte[] NOTHING = {};

    static {
        // Otherwise a POST is repeated if its connection breaks.
        System.setProperty("sun.net.http.retryPost", "false");
    }

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
        return call("GET", path, REQUEST_TIMEOUT, null, NOTHING);
    }

    JsonNode post(String path) {
        return call("POST", path, REQUEST_TIMEOUT, null, NOTHING);
    }

    JsonNode post(String path, JsonNode body) {
        return call("POST", path, REQUEST_TIMEOUT, JSON, Json.bytes(body));
    }

    JsonNode delete(String path) {
        return call("DELETE", path, REQUEST_TIMEOUT, null, NOTHING);
    }

    JsonNode put(String path, JsonNode body) {
        return call("PUT", path, REQUEST_TIMEOUT, JSON, Json.bytes(body));
    }

    /** @param lines one task per line */
    JsonNode submitLines(String lines) {
        return call(
                "POST",
                "/tasks/submit/batch",
                REQUEST_TIMEOUT,
                "application/x-ndjson",
                lines.getBytes(StandardCharsets.UTF_8));
    }

    /** Returns the task once it has ended, or its current state after the wait time. */
    TaskState task(String id, Duration wait) {
        TaskState task = new TaskState(call(
                "GET",
                "/tasks/" + segment(id) + "?wait=" + wait.toMillis() + "ms",
                REQUEST_TIMEOUT.plus(wait),
                null,
                NOTHING));
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

    /** @param type of the body; null if there is none */
    private JsonNode call(String method, String path, Duration timeout, @Nullable String type, byte[] body) {
        try {
            HttpURLConnection connection =
                    (HttpURLConnection) URI.create(url + path).toURL().openConnection();
            connection.setRequestMethod(method);
            connection.setConnectTimeout((int) CONNECT_TIMEOUT.toMillis());
            connection.setReadTimeout((int) timeout.toMillis());
            connection.setInstanceFollowRedirects(false);
            connection.setRequestProperty("Accept", JSON);
            if (!apiKey.isEmpty()) {
                connection.setRequestProperty("Authorization", "Bearer " + apiKey);
            }
            if (method.equals("POST") || method.equals("PUT")) {
                connection.setDoOutput(true);
                // Otherwise it would be that of a form.
                connection.setRequestProperty("Content-Type", type == null ? JSON : type);
                try (OutputStream out = connection.getOutputStream()) {
                    out.write(body);
                }
            }
            int status = connection.getResponseCode();
            InputStream content = status < BAD_REQUEST ? connection.getInputStream() : connection.getErrorStream();
            try (content) {
                return answer(status, content == null ? NOTHING : content.readAllBytes());
            }
        } catch (IOException e) {
            throw new CommandFailedException(unreachable(e));
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
        if (!detail.isEmpty() && status >= BAD_REQUEST) {
            throw new RefusedException(status, Json.sentence(detail));
        }
        if (status != 200 || json.isEmpty()) {
            throw new CommandFailedException("The server at " + url + " is not a coordinator: it answered " + status
                    + " to a coordinator request.");
        }
        return json;
    }

    private String unreachable(IOException e) {
        if (e instanceof UnknownHostException) {
            return "Unknown host in " + url + "; set --url or AGENTCTL_URL to the coordinator's URL.";
        }
        // The message is the only difference between the two timeouts.
        boolean isConnecting = e instanceof SocketTimeoutException
                && String.valueOf(e.getMessage()).toLowerCase(Locale.ROOT).contains("connect");
        if (e instanceof ConnectException || isConnecting) {
            return "Cannot reach a coordinator at " + url + "; set --url or AGENTCTL_URL to its URL.";
        }
        return e instanceof SocketTimeoutException
                ? "The coordinator at " + url + " did not answer in time."
                : "The connection to the coordinator at " + url + " failed: "
                        + Json.sentence(String.valueOf(e.getMessage())) + ".";
    }
}
