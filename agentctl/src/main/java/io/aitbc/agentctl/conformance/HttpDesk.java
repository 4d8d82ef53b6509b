package io.aitbc.agentctl.conformance;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Claim;
import io.aitbc.contracts.Heartbeat;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.PushMessage;
import io.aitbc.contracts.Registration;
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
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** The part of a coordinator's REST interface that agents use: for agents that pull, and those that are pushed to. */
final class HttpDesk implements Link {
    private static final Duration PUSH_TIMEOUT = Duration.ofSeconds(60);
    /** An agent that has not processed an assignment after that many requests has rejected it. */
    private static final int MAX_PUSHES = 4;

    private static final Set<Integer> OVERLOADED = Set.of(429, 503);
    private static final Set<String> ENDINGS = Set.of("completed", "failed", "rejected");
    /** Statuses of a response that say nothing about the progress of the task. */
    private static final Set<String> GENERAL = Set.of("", "success", "ok", "error");

    private static final Pattern JSON_TYPE = Pattern.compile("(?i)application/([^;]+\\+)?json\\s*(;.*)?");
    /** As JSON. */
    private static final Set<String> NO_ERROR = Set.of("\"\"", "false");

    private static final long REDELIVERY_NANOS = TimeUnit.SECONDS.toNanos(10);
    private static final long NOTICE_NANOS = TimeUnit.MINUTES.toNanos(1);

    private record Served(String instanceId, long nanos) {}

    private final Journal journal;
    private final HttpServer server;
    private final ExecutorService threads = Executors.newCachedThreadPool(task -> {
        Thread thread = new Thread(task, "conformance");
        thread.setDaemon(true);
        return thread;
    });
    private final HttpClient client =
            HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(5)).build();
    /** Ids of assignments that were posted to the agent. */
    private final Set<String> posted = ConcurrentHashMap.newKeySet();
    /** Not served yet, or not confirmed; by assignment id. */
    private final Map<String, ObjectNode> outbox = new LinkedHashMap<>();
    /** By assignment id, the last time. */
    private final Map<String, Served> served = new HashMap<>();
    /** Ids of assignments that an instance has confirmed. */
    private final Set<String> confirmed = new HashSet<>();
    /** Ids of assignments. */
    private final Set<String> cancelled = new LinkedHashSet<>();
    /** By the id of a cancelled assignment: when its instance was first notified. */
    private final Map<String, Long> notified = new HashMap<>();
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

    private String delivery() {
        ObjectNode agent = journal.registration();
        return agent == null ? "" : agent.path("delivery").asString("");
    }

    private boolean isPushed() {
        return delivery().equals("push");
    }

    @Override
    public void give(ObjectNode assignment) {
        journal.given(assignment.get("task_id").asString());
        if (isPushed()) {
            threads.execute(() -> push(assignment));
            return;
        }
        synchronized (this) {
            outbox.put(assignment.get("assignment_id").asString(), assignment);
            notifyAll();
        }
    }

    /** Repeats what was not processed, as coordinators do. */
    private void push(ObjectNode json) {
        Assignment assignment = Json.read(json, Assignment.class);
        ObjectNode message = PushMessage.of(assignment, json, Instant.now());
        boolean isNew = posted.add(assignment.assignmentId());
        try {
            HttpResponse<String> response = execute(assignment, message);
            for (int i = 1;
                    i < MAX_PUSHES && OVERLOADED.contains(response.statusCode()) && journal.isLive(assignment.taskId());
                    i++) {
                TimeUnit.SECONDS.sleep(1L << (i - 1));
                response = execute(assignment, message);
            }
            ObjectNode result = null;
            if (response.statusCode() / 100 == 2) {
                result = result(response.body());
            } else if (OVERLOADED.contains(response.statusCode()) && isNew) {
                // It is given back. One that was posted before may be running.
                result = Json.object()
                        .put("status", "rejected")
                        .put("error", "it responds with status " + response.statusCode());
            }
            if (result != null) {
                journal.reported(result.put("task_id", assignment.taskId())
                        .put("attempt", assignment.attempt())
                        .put("agent_id", assignment.agentId()));
            }
        } catch (Journal.RefusedException e) {
            if (e.isViolation()) {
                journal.violated("its response is not a valid result: " + e.getMessage());
            }
        } catch (IOException e) {
            // The agent has ended, or refuses: the checks find no report.
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private HttpResponse<String> execute(Assignment assignment, ObjectNode message)
            throws IOException, InterruptedException {
        journal.delivered(assignment.taskId());
        return send(request("/tasks/execute", message).header("Idempotency-Key", assignment.assignmentId()));
    }

    /** The result that a response is; null if the agent has only accepted the assignment. */
    private static @Nullable ObjectNode result(String text) {
        JsonNode body;
        try {
            body = Json.MAPPER.readTree(text);
        } catch (JacksonException e) {
            // An acknowledgement in words.
            return null;
        }
        if (!(body instanceof ObjectNode result)) {
            return null;
        }
        String status = result.path("status").asString("").toLowerCase(Locale.ROOT);
        if (ENDINGS.contains(status)) {
            return result;
        } else if (!GENERAL.contains(status)) {
            return null;
        }
        // Some libraries write absent errors as empty text or as false.
        if (result.hasNonNull("error") && !NO_ERROR.contains(result.get("error").toString())) {
            return result.put("status", "failed");
        }
        return result.hasNonNull("result") ? result.put("status", "completed") : null;
    }

    private HttpRequest.Builder request(String path, ObjectNode body) {
        return HttpRequest.newBuilder(uri(path))
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
        journal.cancelled(cancellation.get("task_id").asString());
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
            String id = cancellation.get("assignment_id").asString();
            cancelled.add(id);
            outbox.remove(id);
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
            int status = send(HttpRequest.newBuilder(uri("/health")).timeout(timeout))
                    .statusCode();
            // It need not have this endpoint: 404, 405 or 501.
            return status < 500 && status != 429 || status == 501
                    ? null
                    : "while it is busy, it answers GET /health with " + status;
        } catch (IOException e) {
            return "while it is busy, it does not answer GET /health within " + timeout.toSeconds() + " s";
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return null;
        }
    }

    private void serve(HttpExchange exchange) throws IOException {
        String request =
                exchange.getRequestMethod() + " " + exchange.getRequestURI().getPath();
        byte[] bytes = exchange.getRequestBody().readAllBytes();
        int status = 200;
        ObjectNode answer = Json.object().put("status", "success");
        String type = "application/json";
        try {
            Endpoint.Call call = Endpoint.find(
                    exchange.getRequestMethod(), exchange.getRequestURI().getPath());
            answer(call, read(exchange, bytes), answer);
            status = call.endpoint() == Endpoint.REPORT ? 202 : status;
        } catch (Json.MalformedMessageException | Journal.RefusedException e) {
            Journal.RefusedException refusal = e instanceof Journal.RefusedException refused
                    ? refused
                    : new Journal.RefusedException(422, String.valueOf(e.getMessage()), true);
            status = refusal.status();
            answer = Json.object().put("status", status).put("detail", refusal.getMessage());
            type = "application/problem+json";
            String outcome = status + ": " + refusal.getMessage();
            if (refusal.isViolation()) {
                journal.violated("coordinators answer its " + request + " with " + outcome);
            } else if (status != 409) {
                journal.misdirected("its " + request + " was answered with " + outcome);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        byte[] text = answer.toString().getBytes(StandardCharsets.UTF_8);
        exchange.getResponseHeaders().set("Content-Type", type);
        exchange.sendResponseHeaders(status, text.length);
        try (exchange) {
            exchange.getResponseBody().write(text);
        }
    }

    private void answer(Endpoint.Call call, ObjectNode body, ObjectNode answer) throws InterruptedException {
        if (call.isAboutAgent() && !journal.isRegistered(call.id())) {
            throw new Journal.RefusedException(404, "Agent not found", false);
        }
        switch (call.endpoint()) {
            case HEALTH -> answer.put("status", "healthy");
            case REGISTER -> {
                String agentId = Json.read(body, Registration.class).agentId();
                journal.registered(body);
                answer.put("agent_id", agentId);
            }
            case AGENT -> answer.set("agent", Objects.requireNonNull(journal.registration()));
            case DEREGISTER -> journal.deregistered();
            case HEARTBEAT, STATUS -> {
                AgentStatus status = Json.read(body.put("agent_id", call.id()), Heartbeat.class)
                        .status();
                if (call.endpoint() == Endpoint.STATUS && status == null) {
                    throw new Journal.RefusedException(422, "status is required", true);
                }
                journal.alive();
                if (status == AgentStatus.INACTIVE) {
                    journal.left();
                }
            }
            case CLAIM -> {
                if (!delivery().equals("pull")) {
                    throw new Journal.RefusedException(
                            409,
                            "agent " + call.id()
                                    + " does not pull its assignments: register it with delivery pull to claim them",
                            true);
                }
                claim(Json.read(body, Claim.class), answer);
            }
            case REPORT -> report(call.id(), body);
        }
    }

    private static ObjectNode read(HttpExchange exchange, byte[] body) {
        // The body of a GET or a DELETE is not read.
        if (body.length == 0 || Set.of("GET", "DELETE").contains(exchange.getRequestMethod())) {
            return Json.object();
        }
        String type = exchange.getRequestHeaders().getFirst("Content-Type");
        if (type == null || !JSON_TYPE.matcher(type).matches()) {
            throw new Journal.RefusedException(
                    415, "the body must be JSON, sent with Content-Type: application/json", true);
        }
        return Json.read(body, ObjectNode.class);
    }

    private synchronized void report(String taskId, ObjectNode body) {
        if (!body.has("task_id")) {
            body.put("task_id", taskId);
        }
        if (!body.path("task_id").asString("").equals(taskId)) {
            throw new Journal.RefusedException(422, "task_id must equal the one in the path", true);
        }
        journal.reported(body);
        // Also progress confirms an assignment.
        confirm(Assignment.id(taskId, body.path("attempt").asInt()));
    }

    private synchronized void confirm(String assignmentId) {
        outbox.remove(assignmentId);
        confirmed.add(assignmentId);
    }

    /** Serves at most what the claim asks for. */
    private synchronized void claim(Claim claim, ObjectNode answer) throws InterruptedException {
        Object me = new Object();
        open.put(claim.instanceId(), me);
        notifyAll();
        journal.alive();
        claim.received().forEach(this::confirm);
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(claim.waitSeconds());
        List<ObjectNode> due = due(claim);
        while (due.isEmpty()
                && !hasNewCancellation(claim)
                && open.get(claim.instanceId()) == me
                && System.nanoTime() < end
                && !closed) {
            wait(100);
            // An open claim is a heartbeat.
            journal.alive();
            due = due(claim);
        }
        if (!open.remove(claim.instanceId(), me)) {
            // Ended by a newer claim: the agent may not read this answer.
            answer.putArray("assignments");
            answer.putArray("cancelled");
            return;
        }
        for (ObjectNode one : due) {
            String id = one.get("assignment_id").asString();
            served.put(id, new Served(claim.instanceId(), System.nanoTime()));
            journal.delivered(one.get("task_id").asString());
            if (!journal.isLive(one.get("task_id").asString())) {
                // What has ended is served once more, as by an answer that was on its way.
                outbox.remove(id);
            }
        }
        answer.set("assignments", Json.tree(due));
        List<String> lost = lost(claim);
        lost.forEach(id -> notified.putIfAbsent(id, System.nanoTime()));
        answer.set("cancelled", Json.tree(lost));
        if (withUnknown) {
            answer.put("from_a_later_version", true);
        }
    }

    /** Only the first notice ends the wait of a claim. */
    private boolean hasNewCancellation(Claim claim) {
        return !notified.keySet().containsAll(lost(claim));
    }

    /** Cancelled assignments that the instance may be working on: named for a minute, because an answer may get lost. */
    private List<String> lost(Claim claim) {
        long now = System.nanoTime();
        return cancelled.stream()
                .filter(id -> isServedTo(claim, id) && now - notified.getOrDefault(id, now) <= NOTICE_NANOS)
                .toList();
    }

    private boolean isServedTo(Claim claim, String assignmentId) {
        Served last = served.get(assignmentId);
        return last != null && last.instanceId().equals(claim.instanceId());
    }

    /**
     * Not served yet, or not confirmed: then served again to the same instance at once, to another one after ten seconds. What an
     * instance has confirmed is repeated only to that instance.
     */
    private List<ObjectNode> due(Claim claim) {
        return outbox.entrySet().stream()
                .filter(entry -> {
                    Served last = served.get(entry.getKey());
                    return last == null
                            || isServedTo(claim, entry.getKey())
                            || !confirmed.contains(entry.getKey())
                                    && System.nanoTime() - last.nanos() > REDELIVERY_NANOS;
                })
                .limit(claim.max())
                .map(Map.Entry::getValue)
                .toList();
    }
}
