package io.aitbc.coordinator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;
import static org.awaitility.Awaitility.await;

import io.aitbc.contracts.Json;
import io.aitbc.localstack.LocalPostgres;
import io.aitbc.localstack.LocalStack;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.regex.Pattern;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Sends requests that conform to the OpenAPI document, and many that do not. Every request is derived from a number: to repeat one, run
 * this class with {@code -Dfuzz.seed=<number> -Dfuzz.count=1}; for others, change the seed or increase the count.
 */
class RestFuzzTest {
    private static final long SEED = Long.getLong("fuzz.seed", 1);
    private static final long COUNT = Long.getLong("fuzz.count", 2_000);
    private static final int THREADS = 8;
    private static final int MOST_SHOWN = 5;
    private static final Duration LONGEST = Duration.ofSeconds(60);

    private static final Pattern NOT_FOR_PEOPLE = Pattern.compile(
            "\\p{Cntrl}|Exception|StreamRead|JsonRead|DeserializationFeature|StreamConstraints|\\b(java|javax|jakarta|org|com|io|tools)\\.\\w+\\.");

    @Test
    void noRequestCausesAServerError(@TempDir Path folder) throws Exception {
        try (LocalPostgres postgres = LocalPostgres.start(folder, LocalStack.freePort());
                RunningCoordinator coordinator = RunningCoordinator.start(
                        LocalStack.shared(), "fuzz-rest.", 4, "--aitbc.history.url=" + postgres.url())) {
            await().atMost(LONGEST).until(() -> coordinator.get("/tasks").code() == 200);
            JsonNode document = coordinator.get("/openapi.json").body();
            OpenApiContract contract = new OpenApiContract(document);
            List<Callable<@Nullable String>> requests = LongStream.range(SEED, SEED + COUNT)
                    .<Callable<@Nullable String>>mapToObj(
                            seed -> () -> complaint(seed, new Request(document, seed), contract, coordinator))
                    .toList();
            List<String> complaints = new ArrayList<>();
            ExecutorService threads = Executors.newFixedThreadPool(THREADS);
            try {
                for (Future<@Nullable String> complaint : threads.invokeAll(requests)) {
                    if (complaint.get() != null) {
                        complaints.add(complaint.get());
                    }
                }
            } finally {
                threads.shutdownNow();
            }
            if (!complaints.isEmpty()) {
                fail(complaints.size() + " complaints:\n"
                        + String.join("\n", complaints.subList(0, Math.min(MOST_SHOWN, complaints.size()))));
            }
            assertThat(coordinator.get("/health").code()).isEqualTo(200);
        }
    }

    private static @Nullable String complaint(
            long seed, Request request, OpenApiContract contract, RunningCoordinator coordinator) {
        String wrong;
        String answered = "nothing";
        try {
            Answer answer = Answer.to(request, coordinator.port());
            if (answer.code == 503 && answer.body.contains("Redis request failed: Command timed out")) {
                // On a busy machine, and not because of the request, which is sent again.
                coordinator.awaitHealthy();
                answer = Answer.to(request, coordinator.port());
            }
            answered = answer.toString();
            wrong = answer.wrong(request, contract);
        } catch (IOException | RuntimeException e) {
            wrong = request.breaksHttp ? null : e.toString();
        }
        return wrong == null
                ? null
                : wrong + " (again with -Dfuzz.seed=" + seed + " -Dfuzz.count=1)\n  asked: " + request
                        + "\n  answered: " + shortened(answered);
    }

    private static String shortened(String text) {
        return text.length() < 2_000 ? text : text.substring(0, 2_000) + "…";
    }

    /** A response, read to its end. */
    private record Answer(int code, String contentType, String body) {
        static Answer to(Request request, int port) throws IOException {
            try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port)) {
                socket.setSoTimeout((int) LONGEST.toMillis());
                try {
                    OutputStream out = socket.getOutputStream();
                    out.write(request.bytes());
                    socket.shutdownOutput();
                } catch (IOException e) {
                    // Refused before the request was read to its end; the response says why.
                }
                return of(read(socket.getInputStream()));
            }
        }

        /** To the end, except a stream of events, which has none. */
        private static byte[] read(InputStream in) throws IOException {
            ByteArrayOutputStream all = new ByteArrayOutputStream();
            byte[] some = new byte[16_384];
            for (int count = in.read(some); count >= 0; count = in.read(some)) {
                all.write(some, 0, count);
                String begin = new String(some, 0, count, StandardCharsets.ISO_8859_1);
                if (begin.startsWith("HTTP/1.1 200") && begin.contains("text/event-stream")) {
                    break;
                }
            }
            return all.toByteArray();
        }

        private static Answer of(byte[] bytes) throws IOException {
            String all = new String(bytes, StandardCharsets.ISO_8859_1);
            int headEnd = all.indexOf("\r\n\r\n");
            if (headEnd < 0) {
                throw new IOException("no HTTP answer: " + all);
            }
            String head = all.substring(0, headEnd);
            String body = all.substring(headEnd + 4);
            boolean chunked = head.toLowerCase().contains("transfer-encoding: chunked");
            return new Answer(
                    Integer.parseInt(head.substring(9, 12)),
                    head.lines()
                            .filter(line -> line.toLowerCase().startsWith("content-type:"))
                            .map(line -> line.substring(13).strip())
                            .findFirst()
                            .orElse(""),
                    new String(
                            (chunked ? unchunked(body) : body).getBytes(StandardCharsets.ISO_8859_1),
                            StandardCharsets.UTF_8));
        }

        private static String unchunked(String body) {
            StringBuilder whole = new StringBuilder();
            int at = 0;
            while (at < body.length()) {
                int lineEnd = body.indexOf("\r\n", at);
                int size = Integer.parseInt(body.substring(at, lineEnd), 16);
                whole.append(body, lineEnd + 2, lineEnd + 2 + size);
                at = lineEnd + 2 + size + 2;
            }
            return whole.toString();
        }

        @Nullable
        String wrong(Request request, OpenApiContract contract) {
            if (code >= 500) {
                return "an error of the server";
            }
            if (code < 400 && !request.breaksHttp && !contentType.startsWith("text/event-stream")) {
                return contract.violation(
                        request.method, request.target.replaceFirst("\\?.*", ""), code, contentType, body);
            }
            if (code < 400 || request.method.equals("HEAD") || body.isEmpty() && request.breaksHttp) {
                return null;
            }
            if (!contentType.startsWith("application/problem+json")) {
                return "not a problem document";
            }
            String detail = Json.MAPPER.readTree(body).path("detail").asString("");
            if (detail.isBlank() || detail.length() > 1_000) {
                return "no sentence";
            }
            return NOT_FOR_PEOPLE.matcher(detail).find() ? "not a sentence for people" : null;
        }
    }

    /** A request derived from the OpenAPI document and a number. */
    private static final class Request {
        private static final List<String> IDS = List.of("fuzz-1", "fuzz-2", "fuzz-3", "fuzz-4", "fuzz-5");
        private static final List<String> ODD_TEXTS = List.of(
                "",
                " ",
                "0",
                "-0",
                "-1",
                "1e400",
                "NaN",
                "9223372036854775808",
                "null",
                "true",
                "a b",
                "\u0000",
                "\n",
                "é😀",
                "%",
                "..",
                "x,y",
                "{}",
                "[]",
                "'\"<>",
                "-1s",
                "61s",
                "9223372036854775807s",
                "P9999999999999999D",
                "9".repeat(400),
                "x".repeat(3_000));
        // No empty path: Tomcat (to 11.0.29) reads "GET  HTTP/1.1" as HTTP/0.9, and the reused processor then answers
        // the next request line
        // that it cannot parse without a status line.
        private static final List<String> ODD_PATHS = List.of(
                "/",
                "//",
                "/..",
                "/../..",
                "/.",
                "/;x=1",
                "/%",
                "/%2F",
                "/%00",
                "/%ff",
                "/%zz",
                "/%5c..",
                "/%2e%2e/x",
                "/nothing",
                "/agents/",
                "/tasks/queues/",
                "/tasks/submit/",
                "/agents/a/b/c",
                "/docs",
                "/docs/x",
                "/openapi.json",
                "/openapi.json/x",
                "/actuator",
                "/actuator/health",
                "/actuator/env",
                "/swagger-ui/x",
                "/error",
                "/v1/v1",
                "/favicon.ico",
                "/" + "x".repeat(5_000),
                "*",
                "nothing",
                "/a b",
                "/é",
                "http://other/agents");
        private static final List<String> ODD_METHODS =
                List.of("GET", "HEAD", "OPTIONS", "PATCH", "PUT", "POST", "DELETE", "TRACE", "PROPFIND", "get", "X");
        private static final List<String> ODD_HEADERS = List.of(
                "Accept: text/html",
                "Accept: application/xml;q=x",
                "Accept: */*;q=9",
                "Accept: ,",
                "Accept-Language: \u00ff",
                "Accept-Encoding: gzip, x",
                "Cookie: a=\"b; c",
                "Authorization: Basic %%%",
                "Origin: null",
                "Range: bytes=9-1",
                "If-Modified-Since: never",
                "If-None-Match: x",
                "X-Forwarded-Host: ..",
                "X-HTTP-Method-Override: DELETE",
                "Forwarded: for=\"",
                "traceparent: 00-zz",
                "Expect: nothing",
                "Last-Event-ID: " + "x".repeat(4_000));
        private static final List<String> ODD_CONTENT_TYPES = List.of(
                "",
                "x",
                "*/*",
                "text/plain",
                "text/json;charset=none",
                "application/json;charset=utf-16",
                "application/json;charset=\u00ff",
                "application/*+json",
                "application/x-ndjson",
                "application/x-www-form-urlencoded",
                "multipart/form-data",
                "multipart/form-data; boundary=x",
                "application/octet-stream");

        private final JsonNode document;
        private final Mutations mutations;
        private final SplittableRandom random;

        private final String method;
        private final String target;
        private final List<String> headers = new ArrayList<>();
        private final byte[] body;
        /** Whether the request is invalid HTTP, which a server may refuse without parsing it. */
        private final boolean breaksHttp;

        Request(JsonNode document, long seed) {
            this.document = document;
            this.random = new SplittableRandom(seed);
            this.mutations = new Mutations(random);
            List<String> paths = List.copyOf(document.get("paths").propertyNames());
            String path = mutations.one(paths);
            JsonNode operations = document.get("paths").get(path);
            String name = mutations.one(List.copyOf(operations.propertyNames()));
            JsonNode operation = operations.get(name);
            boolean oddPath = mutations.chance(0.05);
            boolean oddMethod = mutations.chance(0.05);
            boolean hugeHeader = mutations.chance(0.01);
            boolean odderLength = mutations.chance(0.02);
            breaksHttp = oddPath || oddMethod || hugeHeader || odderLength;
            method = oddMethod ? mutations.one(ODD_METHODS) : name.toUpperCase();
            target = oddPath
                    ? mutations.one(ODD_PATHS)
                    : (mutations.chance(0.1) ? "/v1" : "") + filled(path) + query(operation);
            byte[] any = body(operation.at("/requestBody/content"));
            body = path.endsWith("/claim") ? impatient(any) : any;
            if (mutations.chance(0.1)) {
                headers.add(mutations.one(ODD_HEADERS));
            }
            if (hugeHeader) {
                headers.add("X-Huge: " + "x".repeat(random.nextInt(70_000)));
            }
            headers.add("Content-Type: "
                    + (mutations.chance(0.05) ? mutations.one(ODD_CONTENT_TYPES) : "application/json"));
            if (body.length > 0 || mutations.chance(0.5)) {
                headers.add("Content-Length: " + (body.length + (odderLength ? random.nextInt(-5, 5) : 0)));
            }
        }

        /** A claim without waiting time, which would be answered after half a minute. */
        private static byte[] impatient(byte[] claim) {
            String text = new String(claim, StandardCharsets.ISO_8859_1);
            if (text.isBlank()) {
                text = "{\"wait_seconds\":0}";
            } else if (text.contains("\"wait_seconds\"")) {
                text = text.replaceAll("(\"wait_seconds\" *: *)[0-9.eE+-]+", "$1" + 0);
            } else {
                text = text.replaceFirst("^\\{", "{\"wait_seconds\":0,").replaceFirst(",\\}$", "}");
            }
            return text.getBytes(StandardCharsets.ISO_8859_1);
        }

        private String filled(String path) {
            String filled = path;
            for (int open = filled.indexOf('{'); open >= 0; open = filled.indexOf('{')) {
                int close = filled.indexOf('}', open);
                String value = filled.substring(open + 1, close).equals("priority") && mutations.chance(0.9)
                        ? mutations.one(List.of("urgent", "LOW", "normal"))
                        : mutations.chance(0.8) ? mutations.one(IDS) : oddText();
                filled = filled.substring(0, open) + value + filled.substring(close + 1);
            }
            return filled;
        }

        private String query(JsonNode operation) {
            List<String> parts = new ArrayList<>();
            for (JsonNode parameter : operation.path("parameters")) {
                while (parameter.get("in").asString().equals("query") && mutations.chance(0.4)) {
                    parts.add(parameter.get("name").asString() + "="
                            + (mutations.chance(0.5)
                                    ? oddText()
                                    : URLEncoder.encode(
                                            plain(value(parameter.get("schema"))), StandardCharsets.UTF_8)));
                }
            }
            if (mutations.chance(0.03)) {
                parts.add(mutations.one(
                        List.of("%", "%ff", "%zz=1", "&&", "=", "a[]=1", "x".repeat(7_000), "?", "wait")));
            }
            return parts.isEmpty() ? "" : "?" + String.join("&", parts);
        }

        private String oddText() {
            return mutations.chance(0.1)
                    ? mutations.one(List.of("%2F", "%00", "%ff", "%", "..", "%2e%2e", ";", "%5c", "[", "|"))
                    : URLEncoder.encode(mutations.one(ODD_TEXTS), StandardCharsets.UTF_8);
        }

        private static String plain(JsonNode value) {
            return value.isString()
                    ? value.asString()
                    : value.isArray() && !value.isEmpty() ? plain(value.get(0)) : value.toString();
        }

        private byte[] body(JsonNode contents) {
            if (contents.isEmpty()) {
                return mutations.chance(0.05) ? mutations.garbage() : new byte[0];
            }
            JsonNode media = contents.properties().iterator().next().getValue();
            JsonNode good =
                    media.has("example") && mutations.chance(0.3) ? media.get("example") : value(media.get("schema"));
            return mutations.bytes(good);
        }

        /** Returns a value that is valid under a schema of the document. */
        private JsonNode value(JsonNode schema) {
            if (schema.has("$ref")) {
                return value(document.at(schema.get("$ref").asString().substring(1)));
            }
            if (schema.has("enum")) {
                return schema.get("enum").get(random.nextInt(schema.get("enum").size()));
            }
            int least = schema.path("minimum").asInt(0);
            return switch (schema.path("type").asString("object")) {
                case "string" -> Json.tree(text(schema.path("format").asString("")));
                case "integer" -> Json.tree(random.nextInt(least, Math.max(least, 20) + 1));
                case "number" -> Json.tree(random.nextDouble());
                case "boolean" -> Json.tree(random.nextInt(2) == 0);
                case "array" -> array(schema.get("items"));
                default -> object(schema);
            };
        }

        private String text(String format) {
            return format.equals("date-time")
                    ? mutations.one(List.of("2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z"))
                    : mutations.one(List.of("fuzz-1", "fuzz-2", "hash", "gpu>=2", "worker", "normal", "50ms"));
        }

        private ArrayNode array(JsonNode items) {
            ArrayNode array = Json.MAPPER.createArrayNode();
            while (mutations.chance(0.5)) {
                array.add(value(items));
            }
            return array;
        }

        private ObjectNode object(JsonNode schema) {
            ObjectNode object = Json.object();
            schema.path("properties").properties().forEach(property -> {
                if (mutations.chance(0.6)) {
                    object.set(property.getKey(), value(property.getValue()));
                }
            });
            if (schema.has("additionalProperties")
                    && schema.get("additionalProperties").isObject()) {
                object.set("cpu_usage", value(schema.get("additionalProperties")));
            }
            return object;
        }

        byte[] bytes() {
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            bytes.writeBytes((method + " " + target + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                            + String.join("\r\n", headers) + "\r\n\r\n")
                    .getBytes(StandardCharsets.UTF_8));
            bytes.writeBytes(body);
            return bytes.toByteArray();
        }

        @Override
        public String toString() {
            return shortened(new String(bytes(), StandardCharsets.UTF_8));
        }
    }
}
