package io.aitbc.coordinator.security;

import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.coordinator.RunningCoordinator;
import io.aitbc.localstack.LocalStack;
import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.TreeMap;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Security headers and CORS: with security off, and on with one allowed origin. */
class BrowserRulesTest {
    private static final String ADMIN_KEY = "admin-key-for-tests-of-32-characters-or-more";
    private static final String KEY = "X-API-Key: " + ADMIN_KEY;
    private static final String FRIEND = "https://app.example.com";
    private static final String UPGRADE =
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

    private static RunningCoordinator open;
    private static RunningCoordinator secured;

    @BeforeAll
    static void start() {
        open = RunningCoordinator.start(LocalStack.shared(), "browser.", 9);
        secured = RunningCoordinator.start(
                LocalStack.shared(),
                "browser-secured.",
                10,
                "--aitbc.security=on",
                "--aitbc.admin.key=" + ADMIN_KEY,
                "--aitbc.cors.origins=" + FRIEND + ", http://localhost:5173");
    }

    @AfterAll
    static void stop() {
        secured.close();
        open.close();
    }

    /** Without Connection: close if it is an upgrade. */
    private record Response(String status, TreeMap<String, String> headers, String body) {
        static Response of(RunningCoordinator coordinator, String request, String... headers) throws IOException {
            return ofHost(coordinator, "127.0.0.1:" + coordinator.port(), request, headers);
        }

        static Response ofHost(RunningCoordinator coordinator, String host, String request, String... headers)
                throws IOException {
            try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), coordinator.port())) {
                socket.setSoTimeout(30_000);
                boolean isUpgrade = List.of(headers).contains(UPGRADE.strip());
                socket.getOutputStream()
                        .write((request + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: "
                                        + (isUpgrade ? "Upgrade" : "close") + "\r\n"
                                        + String.join("\r\n", headers) + (headers.length == 0 ? "" : "\r\n") + "\r\n")
                                .getBytes(StandardCharsets.ISO_8859_1));
                StringBuilder text = new StringBuilder();
                for (int c = socket.getInputStream().read();
                        c >= 0;
                        c = socket.getInputStream().read()) {
                    text.append((char) c);
                    if (isUpgrade && text.indexOf("\r\n\r\n") > 0) {
                        break;
                    }
                }
                String[] parts = text.toString().split("\r\n\r\n", 2);
                TreeMap<String, String> all = new TreeMap<>(String.CASE_INSENSITIVE_ORDER);
                parts[0].lines().skip(1).forEach(line -> {
                    String[] header = line.split(": ?", 2);
                    all.merge(header[0], header[1], (one, other) -> one + "\n" + other);
                });
                return new Response(
                        parts[0].lines().findFirst().orElse("").replaceFirst("HTTP/1.1 ", ""), all, parts[1]);
            }
        }

        int code() {
            return Integer.parseInt(status.substring(0, 3));
        }
    }

    @ParameterizedTest
    @CsvSource(
            nullValues = "-",
            value = {
                "GET /, 200, no-store",
                "GET /tasks/status, 200, no-store",
                "GET /metrics, 200, no-store",
                "GET /tasks/none, 404, no-store",
                "GET /nowhere, 404, no-store",
                "POST /tasks/submit, 422, no-store",
                "DELETE /tasks/status, -, no-store",
                "TRACE /, -, no-store",
                "GET /tasks/a%2fb, 400, no-store",
                "GET /tasks/a|b, 400, no-store",
                "GET /\u00e9, 400, no-store",
                "GET /tasks/, 308, no-store",
                "GET /docs, 302, no-store",
                "GET /openapi.json, 200, no-store",
                "GET /swagger-ui/index.html, 200, -",
                "GET /dashboard/, 200, no-cache",
                "GET /dashboard/app.js, 200, no-cache",
                "GET /schemas/task.schema.json, 200, no-cache",
                "GET /actuator/health, 200, no-store",
            })
    void everyResponseHasTheHeaders(String request, Integer code, String cacheControl) throws IOException {
        for (RunningCoordinator coordinator : List.of(open, secured)) {
            Response response = Response.of(coordinator, request, KEY, "Content-Type: application/json");
            if (code != null && !(coordinator == secured && code == 400)) {
                assertThat(response.code()).as("%s", response).isEqualTo(code);
            }
            assertHeaders(response);
            if (cacheControl != null) {
                assertThat(response.headers).containsEntry("Cache-Control", cacheControl);
            }
        }
        Response refused = Response.of(secured, "GET /tasks/status");
        assertThat(refused.code()).isEqualTo(401);
        assertHeaders(refused);
    }

    private static void assertHeaders(Response response) {
        assertThat(response.headers)
                .containsEntry("X-Content-Type-Options", "nosniff")
                .containsEntry("X-Frame-Options", "DENY")
                .containsEntry("Referrer-Policy", "same-origin")
                .doesNotContainKey("Strict-Transport-Security")
                .doesNotContainKey("Server");
        assertThat(response.headers.get("Content-Security-Policy"))
                .contains("default-src 'self'", "frame-ancestors 'none'")
                .doesNotContain("script-src", "unsafe-eval");
    }

    @Test
    void onlyTheApiDocumentationMayHaveStylesInItsElements() throws IOException {
        assertThat(Response.of(open, "GET /swagger-ui/index.html").headers.get("Content-Security-Policy"))
                .contains("style-src 'self' 'unsafe-inline'");
        assertThat(Response.of(open, "GET /dashboard/").headers.get("Content-Security-Policy"))
                .doesNotContain("unsafe");
    }

    /** As a proxy says it, on the same machine. */
    @Test
    void overTlsBrowsersAreToldToStayWithIt() throws IOException {
        assertThat(Response.of(open, "GET /health", "X-Forwarded-Proto: https").headers)
                .containsEntry("Strict-Transport-Security", "max-age=31536000");
    }

    /** A simple request: browsers send it without asking first. */
    @ParameterizedTest
    @ValueSource(strings = {"https://evil.example", "null", "http://127.0.0.1:1", "http://localhost", "%%%"})
    void aPageOfAnotherOriginChangesNothing(String origin) throws IOException {
        for (RunningCoordinator coordinator : List.of(open, secured)) {
            for (String request : List.of("POST /tasks/queues/low/pause", "GET /tasks/status")) {
                Response response = Response.of(coordinator, request, "Origin: " + origin, KEY);
                assertThat(response.code()).as("%s", response).isEqualTo(403);
                assertThat(response.body).contains("AITBC_CORS_ORIGINS names the origins that may");
                assertNotAllowed(response);
            }
        }
        assertThat(open.get("/tasks/queues").body().get("paused").toString()).doesNotContain("low");
    }

    @Test
    void thePagesOfThisCoordinatorMayCallIt() throws IOException {
        assertThat(Response.of(open, "POST /tasks/queues/low/resume", "Origin: http://127.0.0.1:" + open.port())
                        .code())
                .isEqualTo(200);
    }

    private static void assertNotAllowed(Response response) {
        assertThat(response.headers.keySet()).noneMatch(name -> name.startsWith("Access-Control-"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"/tasks/submit", "/events", "/v1/keys"})
    void aBrowserAsksWhetherItMaySendAKey(String path) throws IOException {
        String[] question = {
            "Origin: " + FRIEND,
            "Access-Control-Request-Method: POST",
            "Access-Control-Request-Headers: authorization,content-type,x-api-key"
        };
        Response allowed = Response.of(secured, "OPTIONS " + path, question);
        assertThat(allowed.code()).isEqualTo(200);
        assertThat(allowed.headers)
                .containsEntry("Access-Control-Allow-Origin", FRIEND)
                .containsEntry("Access-Control-Allow-Headers", "authorization, content-type, x-api-key")
                .doesNotContainKey("Access-Control-Allow-Credentials");
        assertThat(allowed.headers.get("Access-Control-Allow-Methods")).contains("POST");

        Response unset = Response.of(open, "OPTIONS " + path, question);
        assertThat(unset.code()).isEqualTo(403);
        assertNotAllowed(unset);

        question[2] = "Access-Control-Request-Headers: x-forwarded-for";
        assertNotAllowed(Response.of(secured, "OPTIONS " + path, question));
    }

    /** Also its refusals, so that the page can say why. */
    @Test
    void aConfiguredOriginMayReadResponses() throws IOException {
        String origin = "Origin: http://localhost:5173";
        for (String[] headers : new String[][] {{origin, KEY}, {origin}}) {
            Response response = Response.of(secured, "GET /tasks/status", headers);
            assertThat(response.code()).isEqualTo(headers.length == 2 ? 200 : 401);
            assertThat(response.headers)
                    .containsEntry("Access-Control-Allow-Origin", "http://localhost:5173")
                    .doesNotContainKey("Access-Control-Allow-Credentials");
            assertThat(response.headers.get("Vary")).contains("Origin");
        }
    }

    /** A browser sends its cookies with an upgrade, whatever page asks for it. */
    @ParameterizedTest
    @ValueSource(strings = {"/ws", "/v1/ws"})
    void aWebSocketIsForConfiguredOriginsOnly(String path) throws IOException {
        String upgrade = UPGRADE.strip();
        String cookie = "Cookie: aitbc_session=" + ADMIN_KEY;
        assertThat(Response.of(secured, "GET " + path, "Origin: https://evil.example", cookie, upgrade)
                        .code())
                .isEqualTo(403);
        assertThat(Response.of(open, "GET " + path, "Origin: https://evil.example", upgrade)
                        .code())
                .isEqualTo(403);
        assertThat(Response.of(open, "GET " + path, "Origin: " + FRIEND, upgrade)
                        .code())
                .isEqualTo(403);
        assertThat(Response.of(secured, "GET " + path, "Origin: " + FRIEND, KEY, upgrade)
                        .code())
                .isEqualTo(101);
        assertThat(Response.of(secured, "GET " + path, "Origin: http://127.0.0.1:" + secured.port(), cookie, upgrade)
                        .code())
                .isEqualTo(101);
    }

    /** No script or style is in a page itself: the policy would stop it, and what an attacker writes into a page. */
    @ParameterizedTest
    @ValueSource(strings = {"/dashboard/", "/swagger-ui/index.html"})
    void pagesHaveNoScriptOfTheirOwn(String page) throws IOException {
        assertThat(Response.of(open, "GET " + page).body)
                .doesNotContainPattern(
                        Pattern.compile("<style|style=| on[a-z]+=|javascript:", Pattern.CASE_INSENSITIVE));
    }

    /** A cache could keep the response for others. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "GET /dashboard",
                "GET /docs",
                "GET /openapi.json",
                "GET /tasks/",
                "GET /v1//evil.example/",
                "GET /",
                "GET /nowhere"
            })
    void noResponseRepeatsTheHostThatAClientNames(String request) throws IOException {
        for (RunningCoordinator coordinator : List.of(open, secured)) {
            for (String header : List.of(
                    "Host: evil.example",
                    "X-Forwarded-Host: evil.example",
                    "X-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 666",
                    "X-Forwarded-Prefix: //evil.example",
                    "Forwarded: host=evil.example",
                    "X-Original-URL: //evil.example",
                    "Referer: https://evil.example")) {
                Response response = header.startsWith("Host")
                        ? Response.ofHost(coordinator, "evil.example", request, KEY)
                        : Response.of(coordinator, request, KEY, header);
                String location = response.headers.getOrDefault("Location", "/");
                assertThat(location).as("%s", response).startsWith("/").doesNotStartWith("//");
                if (!request.contains("evil")) {
                    assertThat(response.toString()).doesNotContain("evil.example");
                }
            }
        }
    }

    /** In the path, the query, a header and a body. */
    @Test
    void nothingThatAClientSendsBecomesAHeader() throws IOException {
        for (RunningCoordinator coordinator : List.of(open, secured)) {
            for (String request : List.of(
                    "GET /tasks/x%0d%0aX-Evil:%201",
                    "GET /nowhere/%0d%0aX-Evil:%201/",
                    "GET /tasks/%0d%0aX-Evil:%201/",
                    "GET /dashboard%0d%0aX-Evil:%201",
                    "GET /tasks/dead-letter?limit=%0d%0aX-Evil:%201",
                    "GET /roles/%E5%98%8A%E5%98%8DX-Evil:%201")) {
                Response response = Response.of(
                        coordinator, request, KEY, "traceparent: 00-x\tX-Evil: 1", "X-Request-Id: a%0d%0aX-Evil: 1");
                assertThat(response.headers).doesNotContainKey("X-Evil");
            }
        }
    }
}
