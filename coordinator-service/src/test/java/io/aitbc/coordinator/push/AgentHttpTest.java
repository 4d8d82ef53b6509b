package io.aitbc.coordinator.push;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class AgentHttpTest {
    private static final Duration TIMEOUT = Duration.ofSeconds(30);

    private final AgentHttp open = new AgentHttp(true, Clock.systemUTC());
    private final AgentHttp guarded = new AgentHttp(false, Clock.systemUTC());

    @AfterEach
    void close() {
        open.close();
        guarded.close();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "127.0.0.1",
                "localhost",
                "[::1]",
                "10.0.0.1",
                "169.254.169.254",
                "[::ffff:127.0.0.1]",
                "[::127.0.0.1]",
                "0.0.0.0",
                "100.64.0.1",
                "[64:ff9b::a9fe:a9fe]",
                "[2002:7f00:1::]",
                "[fe80::1]",
                "[fd00::1]",
                "LOCALHOST"
            })
    void privateAddressesAreRefusedUnlessAllowed(String host) {
        try (HttpAgent agent = HttpAgent.start(request -> HttpAgent.Answer.of(200, ""))) {
            Reply reply = guarded.post(
                            URI.create("http://" + host + ":" + agent.port() + "/tasks/execute"),
                            Map.of(),
                            new byte[0],
                            TIMEOUT)
                    .join();

            assertThat(reply)
                    .isInstanceOfSatisfying(
                            Reply.NotSent.class,
                            notSent -> assertThat(notSent.why()).contains("private addresses are not allowed"));
            assertThat(agent.executed).isEmpty();
        }
    }

    /** The client takes them for names, or for nothing. */
    @ParameterizedTest
    @ValueSource(strings = {"127.0.0.1.", "[64:ff9b::127.0.0.1]", "0x7f000001"})
    void unusualSpellingsLeadNowhere(String host) {
        try (HttpAgent agent = HttpAgent.start(request -> HttpAgent.Answer.of(200, ""))) {
            URI uri = URI.create("http://" + host + ":" + agent.port() + "/tasks/execute");
            assertThat(guarded.post(uri, Map.of(), new byte[0], TIMEOUT).join()).isInstanceOf(Reply.NotSent.class);
            assertThat(agent.executed).isEmpty();
        }
    }

    @Test
    void aRedirectIsNotFollowed() {
        try (HttpAgent inside = HttpAgent.start(request -> HttpAgent.Answer.of(200, ""));
                HttpAgent agent = HttpAgent.start(request -> new HttpAgent.Answer(
                        302, Map.of("Location", "http://127.0.0.1:" + inside.port() + "/tasks/execute"), ""))) {
            assertThat(open.post(
                                    URI.create("http://127.0.0.1:" + agent.port() + "/tasks/execute"),
                                    Map.of(),
                                    new byte[0],
                                    TIMEOUT)
                            .join())
                    .isInstanceOfSatisfying(
                            Reply.Response.class,
                            response -> assertThat(response.status()).isEqualTo(302));
            assertThat(inside.executed).isEmpty();
        }
    }

    @Test
    void aRequestToAnUnknownHostIsNotSent() {
        assertThat(open.get(URI.create("http://no-such-host.invalid/health"), TIMEOUT)
                        .join())
                .isEqualTo(new Reply.NotSent("host no-such-host.invalid is unknown"));
    }

    @Test
    void aRequestToAClosedPortIsNotSent() throws IOException {
        int port;
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            port = socket.getLocalPort();
        }
        assertThat(open.get(URI.create("http://127.0.0.1:" + port), TIMEOUT).join())
                .isEqualTo(new Reply.NotSent("the connection is refused"));
    }

    @Test
    void aRequestThatIsNotHttpsIsNotSent() {
        try (HttpAgent agent = HttpAgent.start(request -> HttpAgent.Answer.of(200, ""))) {
            assertThat(open.get(URI.create("https://127.0.0.1:" + agent.port()), TIMEOUT)
                            .join())
                    .isInstanceOfSatisfying(
                            Reply.NotSent.class,
                            notSent -> assertThat(notSent.why()).startsWith("no TLS connection"));
        }
    }

    /** Half a response, a connection closed without one, and one that never ends. */
    @ParameterizedTest
    @ValueSource(strings = {"", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"})
    void aRequestWithoutACompleteResponseMayBeProcessed(String response) throws IOException {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            CompletableFuture<Reply> reply = open.post(
                    URI.create("http://127.0.0.1:" + socket.getLocalPort()),
                    Map.of(),
                    "{}".getBytes(StandardCharsets.UTF_8),
                    TIMEOUT);
            try (Socket connection = socket.accept()) {
                assertThat(connection.getInputStream().read()).isEqualTo('P');
                connection.getOutputStream().write(response.getBytes(StandardCharsets.UTF_8));
            }
            assertThat(reply.join()).isEqualTo(new Reply.NoResponse("the connection was closed"));
        }
    }

    @Test
    void aRequestWithoutAResponseEndsInTime() throws IOException {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            assertThat(open.get(URI.create("http://127.0.0.1:" + socket.getLocalPort()), Duration.ofMillis(200))
                            .join())
                    .isEqualTo(new Reply.NoResponse("no response within 0.2 s"));
        }
    }

    @Test
    void retryAfterIsANumberOfSecondsOrADate() {
        Instant now = Instant.parse("2026-07-01T12:00:00Z");
        assertThat(AgentHttp.retryAfter("120", now)).isEqualTo(Duration.ofMinutes(2));
        assertThat(AgentHttp.retryAfter("soon", now)).isNull();
        assertThat(AgentHttp.retryAfter(null, now)).isNull();
        assertThat(AgentHttp.retryAfter("Wed, 21 Oct 2015 07:28:00 GMT", now)).isEqualTo(Duration.ZERO);
        assertThat(AgentHttp.retryAfter("Wed, 1 Jul 2026 13:00:00 GMT", now)).isEqualTo(Duration.ofHours(1));
    }
}
