package io.aitbc.coordinator.push;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.aitbc.contracts.Json;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Function;
import tools.jackson.databind.JsonNode;

/** An agent's HTTP server on a loopback port. */
final class HttpAgent implements AutoCloseable {
    private final HttpServer server;
    private final ExecutorService threads = Executors.newCachedThreadPool();
    /** The requests to /tasks/execute, in order of arrival. */
    final List<Request> executed = new CopyOnWriteArrayList<>();

    final List<JsonNode> cancelled = new CopyOnWriteArrayList<>();
    volatile Function<Request, Answer> answering;

    record Request(String idempotencyKey, String traceparent, JsonNode body) {}

    record Answer(int status, Map<String, String> headers, String body) {
        static Answer of(int status, String body) {
            return new Answer(status, Map.of(), body);
        }
    }

    private HttpAgent(HttpServer server, Function<Request, Answer> answering) {
        this.server = server;
        this.answering = answering;
        server.setExecutor(threads);
        server.createContext("/tasks/execute", this::execute);
        server.createContext("/tasks/cancel", exchange -> {
            cancelled.add(Json.MAPPER.readTree(exchange.getRequestBody()));
            write(exchange, Answer.of(200, ""));
        });
        server.start();
    }

    static HttpAgent start(Function<Request, Answer> answering) {
        return start(0, answering);
    }

    /** @param port 0 for a free one */
    static HttpAgent start(int port, Function<Request, Answer> answering) {
        try {
            return new HttpAgent(
                    HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 100), answering);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    int port() {
        return server.getAddress().getPort();
    }

    String url() {
        return "http://127.0.0.1:" + port();
    }

    private void execute(HttpExchange exchange) throws IOException {
        Request request = new Request(
                exchange.getRequestHeaders().getFirst("Idempotency-Key"),
                exchange.getRequestHeaders().getFirst("traceparent"),
                Json.MAPPER.readTree(exchange.getRequestBody()));
        executed.add(request);
        write(exchange, answering.apply(request));
    }

    private static void write(HttpExchange exchange, Answer answer) throws IOException {
        try (exchange) {
            answer.headers().forEach(exchange.getResponseHeaders()::set);
            byte[] body = answer.body().getBytes(StandardCharsets.UTF_8);
            exchange.sendResponseHeaders(answer.status(), body.length == 0 ? -1 : body.length);
            exchange.getResponseBody().write(body);
        }
    }

    @Override
    public void close() {
        server.stop(0);
        threads.shutdownNow();
    }
}
