package io.aitbc.agentctl.conformance;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.aitbc.contracts.Json;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** The part of a coordinator's REST interface that agents use: for agents that pull, and those that are pushed to. */
final class HttpDesk implements Link {
    private static final Duration PUSH_TIMEOUT = Duration.ofMinutes(2);
    private static final long MAX_WAIT_SECONDS = 60;

    private final Journal journal;
    private final HttpServer server;
    private final ExecutorService threads = Executors.newCachedThreadPool(task -> {
        Thread thread = new Thread(task, "conformance");
        thread.setDaemon(true);
        return thread;
    });
    private final HttpClient client =
            HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(5)).build();
    /** Not served yet, or not confirmed; by assignment id. */
    private final Map<String, ObjectNode> outbox = new LinkedHashMap<>();
    /** When each was served, in ns. */
    private final Map<String, Long> served = new ConcurrentHashMap<>();

    private final List<String> cancelled = new ArrayList<>();
    /** By instance: the open claim, which a later one of the same instance ends. */
    private final Map<String, Object> open = new ConcurrentHashMap<>();

    private boolean withUnknown;
    private volatile boolean closed;

    HttpDesk(int port, Journal journal) throws IOException {
        this.journal = journal;
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 100);
        server.setExecutor(threads);
        server.createContext("/", this::serve);
        server.start();
    }

    String url() {
        return "http://127.0.0.1:" + server.getAddress().getPort();
    }

    @Override
    public void close() {
        closed = true;
        synchronized (this) {
            notifyAll();
        }
        server.stop(0);
        threads.shutdownNow();
    }

    private boolean isPushed() {
        ObjectNode agent = journal.registration();
        return agent != null && agent.path("delivery").asString("").equals("push");
    }

    @Override
    public void give(ObjectNode assignment) {
        if (isPushed()) {
            threads.execute(() -> push(assignment));
            return;
        }
        synchronized (this) {
            String id = assignment.get("assignment_id").asString();
            outbox.put(id, assignment);
            served.remove(id);
            notifyAll();
        }
    }

    /** As a coordinator with delivery push does, but once. */
    private void push(ObjectNode assignment) {
        ObjectNode message = assignment.deepCopy();
        String id = assignment.get("assignment_id").asString();
        message.put("id", id)
                .put("sender_id", "agentctl")
                .put("receiver_id", assignment.get("agent_id").asString())
                .put("message_type", "task_assignment")
                .put("timestamp", Instant.now().toString())
                .put("correlation_id", assignment.get("task_id").asString())
                .put("ttl", 600);
        message.set("payload", assignment.deepCopy());
        try {
            HttpResponse<String> response =
                    send(request("/tasks/execute", message).header("Idempotency-Key", id));
            if (response.statusCode() / 100 == 2) {
                JsonNode body = response.body().isBlank() ? Json.object() : Json.MAPPER.readTree(response.body());
                if (body instanceof ObjectNode result && (result.has("result") || result.hasNonNull("error"))) {
                    if (!result.has("status")) {
                        result.put("status", result.hasNonNull("error") ? "failed" : "completed");
                    }
                    journal.reported(result.put("assignment_id", id));
                }
            }
        } catch (IOException e) {
            // The agent has ended, or refuses: the checks find no report.
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private HttpRequest.Builder request(String path, ObjectNode body) {
        String base = String.valueOf(
                journal.registration() == null
                        ? ""
                        : journal.registration().at("/endpoints/http").asString(""));
        return HttpRequest.newBuilder(URI.create(base.replaceFirst("/+$", "") + path))
                .timeout(PUSH_TIMEOUT)
                .header("Content-Type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString(body.toString()));
    }

    private URI uri(String path) {
        ObjectNode agent = Objects.requireNonNull(journal.registration());
        return URI.create(agent.at("/endpoints/http").asString("").replaceFirst("/+$", "") + path);
    }

    private HttpResponse<String> send(HttpRequest.Builder request) throws IOException, InterruptedException {
        return client.send(request.build(), HttpResponse.BodyHandlers.ofString());
    }

    @Override
    public void cancel(ObjectNode cancellation) {
        if (isPushed()) {
            threads.execute(() -> {
                try {
                    send(request("/tasks/cancel", cancellation));
                } catch (IOException e) {
                    // The check finds that the task was not cancelled.
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                }
            });
            return;
        }
        synchronized (this) {
            cancelled.add(cancellation.get("assignment_id").asString());
            outbox.remove(cancellation.get("assignment_id").asString());
            notifyAll();
        }
    }

    @Override
    public void giveUnknownMessage() {
        withUnknown = true;
    }

    @Override
    public boolean giveGarbage() {
        return false;
    }

    @Override
    public boolean isCommitted(String assignmentId) {
        return false;
    }

    @Override
    public @Nullable String silence(Duration timeout) {
        if (!isPushed()) {
            return null;
        }
        try {
            send(HttpRequest.newBuilder(uri("/health")).timeout(timeout));
            return null;
        } catch (IOException e) {
            return "while it is busy, it does not answer GET /health within " + timeout.toSeconds() + " s";
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return null;
        }
    }

    private void serve(HttpExchange exchange) throws IOException {
        String path = exchange.getRequestURI().getPath().replaceFirst("^/v1", "");
        byte[] bytes = exchange.getRequestBody().readAllBytes();
        int status = 200;
        ObjectNode answer = Json.object().put("status", "success");
        try {
            ObjectNode body = bytes.length == 0 ? Json.object() : (ObjectNode) Json.MAPPER.readTree(bytes);
            if (path.equals("/agents/register")) {
                journal.registered(body);
                answer.put("agent_id", body.path("agent_id").asString(""));
            } else if (path.endsWith("/assignments/claim")) {
                claim(body, answer);
            } else if (path.endsWith("/results")) {
                status = 202;
                if (!body.has("task_id")) {
                    body.put("task_id", path.split("/")[2]);
                }
                journal.reported(body);
                synchronized (this) {
                    outbox.remove(new Journal.Report(0, body).assignmentId());
                }
            } else if (exchange.getRequestMethod().equals("DELETE")) {
                journal.deregistered();
            } else {
                if (body.path("status").asString("").equals("inactive")) {
                    journal.deregistered();
                }
                journal.alive();
            }
        } catch (RuntimeException e) {
            status = 422;
            answer =
                    Json.object().put("detail", "the body is not a JSON object").put("status", 422);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        byte[] text = answer.toString().getBytes(StandardCharsets.UTF_8);
        exchange.getResponseHeaders().set("Content-Type", "application/json");
        exchange.sendResponseHeaders(status, text.length);
        try (exchange) {
            exchange.getResponseBody().write(text);
        }
    }

    /** Serves at most what the claim asks for. What is not confirmed is served again after ten seconds, as by a coordinator. */
    private synchronized void claim(ObjectNode body, ObjectNode answer) throws InterruptedException {
        Object me = new Object();
        String instance = body.path("instance_id").asString("default");
        open.put(instance, me);
        notifyAll();
        journal.alive();
        body.path("received").forEach(id -> outbox.remove(id.asString()));
        long end = System.nanoTime()
                + TimeUnit.SECONDS.toNanos(
                        Math.min(MAX_WAIT_SECONDS, body.path("wait_seconds").asInt(30)));
        List<ObjectNode> due = due(body);
        while (due.isEmpty() && cancelled.isEmpty() && open.get(instance) == me && System.nanoTime() < end && !closed) {
            wait(100);
            // An open claim is a sign of life.
            journal.alive();
            due = due(body);
        }
        due.forEach(one -> served.put(one.get("assignment_id").asString(), System.nanoTime()));
        answer.set("assignments", Json.tree(due));
        answer.set("cancelled", Json.tree(cancelled));
        cancelled.clear();
        if (withUnknown) {
            answer.put("from_a_later_version", true);
        }
        open.remove(instance, me);
    }

    private List<ObjectNode> due(ObjectNode claim) {
        return outbox.entrySet().stream()
                .filter(entry -> {
                    Long at = served.get(entry.getKey());
                    return at == null || System.nanoTime() - at > TimeUnit.SECONDS.toNanos(10);
                })
                .limit(claim.path("max").asInt(1))
                .map(Map.Entry::getValue)
                .toList();
    }
}
