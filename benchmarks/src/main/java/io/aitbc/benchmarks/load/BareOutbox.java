package io.aitbc.benchmarks.load;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.aitbc.benchmarks.cluster.ChildProcess;
import io.aitbc.contracts.Json;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** The limit that HTTP sets for agents that pull: claims and results, answered from memory. A claim always gets as many assignments as it requests. */
public final class BareOutbox {
    private static final int BACKLOG = 10_000;
    private static final int THREADS = 16;

    /** An assignment as a coordinator serves it, with 200 bytes of text. */
    private static final String ASSIGNMENT = """
            {"assignment_id":"t-%1$d:1","task_id":"t-%1$d","attempt":1,"agent_id":"bare","priority":"normal",\
            "task_data":{"text":"%2$s"},"requirements":{},"max_attempts":3,"timeout_seconds":300,\
            "submitted_at":"2026-01-01T00:00:00Z","assigned_at":"2026-01-01T00:00:00Z","deadline":"2026-01-01T00:05:00Z"}\
            """;

    private final Queue<HttpExchange> claims = new ArrayDeque<>();
    private final HttpServer server;
    private int offered;
    private int completed;

    private BareOutbox() throws IOException {
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), BACKLOG);
        server.setExecutor(Executors.newFixedThreadPool(THREADS));
        server.createContext("/", this::handle);
        server.start();
    }

    public static void main(String[] args) throws IOException {
        // By default, the server closes idle connections beyond 200 while clients reuse them.
        System.setProperty("sun.net.httpserver.maxIdleConnections", "100000");
        System.setProperty("sun.net.httpserver.idleInterval", "3600");
        ChildProcess.listen(new BareOutbox()::execute);
        System.exit(0);
    }

    private synchronized Object execute(List<String> order) {
        switch (order.get(0)) {
            case "offer" -> {
                offered += Integer.parseInt(order.get(1));
                serve();
            }
            case "state" -> {}
            default -> throw new IllegalArgumentException(order.get(0));
        }
        return Map.of("port", server.getAddress().getPort(), "completed", completed);
    }

    private void handle(HttpExchange exchange) throws IOException {
        byte[] body = exchange.getRequestBody().readAllBytes();
        Json.MAPPER.readTree(body);
        String path = exchange.getRequestURI().getPath();
        synchronized (this) {
            if (path.endsWith("/claim")) {
                claims.add(exchange);
                CompletableFuture.delayedExecutor(PullAgents.CLAIM_SECONDS, TimeUnit.SECONDS)
                        .execute(() -> expire(exchange));
                serve();
                return;
            }
            completed += path.endsWith("/results") ? 1 : 0;
        }
        answer(exchange, "{\"status\":\"success\"}");
    }

    private synchronized void expire(HttpExchange claim) {
        if (claims.remove(claim)) {
            answer(claim, "{\"status\":\"success\",\"assignments\":[],\"cancelled\":[]}");
        }
    }

    private void serve() {
        while (offered > 0 && !claims.isEmpty()) {
            int served = Math.min(offered, PullAgents.MAX);
            int first = offered;
            offered -= served;
            String assignments = IntStream.range(0, served)
                    .mapToObj(i -> ASSIGNMENT.formatted(first - i, "x".repeat(200)))
                    .collect(Collectors.joining(","));
            answer(claims.remove(), "{\"status\":\"success\",\"assignments\":[" + assignments + "],\"cancelled\":[]}");
        }
    }

    private static void answer(HttpExchange exchange, String text) {
        try (exchange) {
            byte[] body = text.getBytes(StandardCharsets.UTF_8);
            exchange.getResponseHeaders().add("Content-Type", "application/json");
            exchange.sendResponseHeaders(200, body.length);
            exchange.getResponseBody().write(body);
        } catch (IOException e) {
            // The clients close at the end of a run, with claims open.
        }
    }
}
