package io.aitbc.benchmarks.load;

import io.aitbc.benchmarks.cluster.ChildProcess;
import io.aitbc.contracts.Json;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** Many agents in one process that claim their assignments over HTTP, and complete them at once. */
public final class PullAgents {
    static final int CLAIM_SECONDS = 50;
    static final int MAX = 10;
    /** Agents that register at the same time. */
    private static final int STEP = 50;

    private final HttpClient http = HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .connectTimeout(Duration.ofSeconds(30))
            .build();
    private final List<String> coordinators;
    private final AtomicLong failures = new AtomicLong();
    private volatile boolean leaving;

    private PullAgents(List<String> coordinators) {
        this.coordinators = coordinators;
    }

    /** @param args the URLs of the coordinators */
    public static void main(String[] args) throws IOException {
        ChildProcess.listen(new PullAgents(List.of(args))::execute);
        System.exit(0);
    }

    private Object execute(List<String> order) {
        switch (order.get(0)) {
            case "join" -> join(Integer.parseInt(order.get(1)), Integer.parseInt(order.get(2)));
            case "leave" -> leaving = true;
            case "failures" -> {
                return Map.of("failures", failures.get());
            }
            default -> throw new IllegalArgumentException(order.get(0));
        }
        return Map.of();
    }

    /** Adds the agents of these numbers. */
    private void join(int from, int to) {
        for (int start = from; start < to; start += STEP) {
            List<CompletableFuture<?>> registered = new ArrayList<>();
            for (int number = start; number < Math.min(to, start + STEP); number++) {
                registered.add(join(number));
            }
            CompletableFuture.allOf(registered.toArray(CompletableFuture[]::new))
                    .join();
        }
    }

    private CompletableFuture<?> join(int number) {
        String id = "pull-" + number;
        String coordinator = coordinators.get(number % coordinators.size());
        ObjectNode registration = Json.object()
                .put("agent_id", id)
                .put("agent_type", "worker")
                .put("capacity", MAX)
                .put("delivery", "pull");
        return post(coordinator + "/agents/register", registration).thenAccept(done -> claim(coordinator, id));
    }

    private void claim(String coordinator, String agentId) {
        if (leaving) {
            return;
        }
        ObjectNode claim = Json.object().put("max", MAX).put("wait_seconds", CLAIM_SECONDS);
        post(coordinator + "/agents/" + agentId + "/assignments/claim", claim)
                .thenCompose(answer -> complete(coordinator, agentId, answer))
                .whenComplete((done, failure) -> {
                    if (failure != null && failures.getAndIncrement() == 0) {
                        System.out.println("the first failure: " + failure);
                    }
                    Executor next =
                            failure == null ? Runnable::run : CompletableFuture.delayedExecutor(1, TimeUnit.SECONDS);
                    next.execute(() -> claim(coordinator, agentId));
                });
    }

    private CompletableFuture<?> complete(String coordinator, String agentId, JsonNode answer) {
        List<CompletableFuture<?>> reported = new ArrayList<>();
        for (JsonNode assignment : answer.get("assignments")) {
            ObjectNode result = Json.object()
                    .put("attempt", assignment.get("attempt").asInt())
                    .put("agent_id", agentId)
                    .put("status", "completed");
            reported.add(
                    report(coordinator + "/tasks/" + assignment.get("task_id").asString() + "/results", result));
        }
        return CompletableFuture.allOf(reported.toArray(CompletableFuture[]::new));
    }

    /** Repeats a report that is not accepted, as agents must. */
    private CompletableFuture<?> report(String url, ObjectNode result) {
        return post(url, result)
                .handle((accepted, failure) -> {
                    if (failure == null) {
                        return CompletableFuture.completedFuture(accepted);
                    }
                    failures.incrementAndGet();
                    return CompletableFuture.supplyAsync(
                                    () -> report(url, result), CompletableFuture.delayedExecutor(1, TimeUnit.SECONDS))
                            .thenCompose(repeated -> repeated);
                })
                .thenCompose(done -> done);
    }

    private CompletableFuture<JsonNode> post(String url, ObjectNode body) {
        HttpRequest request = HttpRequest.newBuilder(URI.create(url))
                .header("Content-Type", "application/json")
                .timeout(Duration.ofSeconds(CLAIM_SECONDS + 30))
                .POST(HttpRequest.BodyPublishers.ofString(Json.text(body)))
                .build();
        return http.sendAsync(request, HttpResponse.BodyHandlers.ofString()).thenApply(response -> {
            // A repeated report may have been accepted before: its attempt is no longer live.
            if (response.statusCode() >= 300 && response.statusCode() != 409) {
                throw new CompletionException(new IOException(url + ": " + response.statusCode() + response.body()));
            }
            return Json.MAPPER.readTree(response.body());
        });
    }
}
