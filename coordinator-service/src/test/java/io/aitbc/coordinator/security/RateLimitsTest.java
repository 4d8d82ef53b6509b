package io.aitbc.coordinator.security;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.awaitility.Awaitility.await;

import io.aitbc.contracts.Json;
import io.aitbc.coordinator.RunningCoordinator;
import io.aitbc.localstack.LocalStack;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.security.crypto.bcrypt.BCryptPasswordEncoder;

class RateLimitsTest {
    private static final Duration LONG = Duration.ofSeconds(60);
    private static final HttpClient HTTP = HttpClient.newHttpClient();
    private static final String ADMIN_KEY = "admin-key-for-tests-of-32-characters-or-more";
    private static final int SUBMITTER_LIMIT = 40;

    private static RunningCoordinator one;
    private static RunningCoordinator other;

    @BeforeAll
    static void start() {
        one = coordinator();
        other = coordinator();
        await().atMost(LONG)
                .until(() -> one.get("/coordinators").body().get("coordinators").size() == 2);
    }

    private static RunningCoordinator coordinator() {
        return RunningCoordinator.start(
                LocalStack.shared(),
                "limits.",
                10,
                "--aitbc.security=on",
                "--aitbc.admin.key=" + ADMIN_KEY,
                "--aitbc.jwt.secret=a secret of at least 32 bytes, for tests",
                "--aitbc.users.list=ada:viewer:" + UsersTest.hash("right"),
                "--aitbc.limits.submitter=" + SUBMITTER_LIMIT,
                "--aitbc.limits.anonymous=1",
                "--aitbc.limits.failures-per-minute=5");
    }

    @AfterAll
    static void stop() {
        other.close();
        one.close();
    }

    private static String key(String role, String more) {
        return one.post("/keys", "{\"name\":\"x\",\"role\":\"" + role + "\"" + more + "}")
                .body()
                .get("api_key")
                .asString();
    }

    private static HttpRequest request(
            RunningCoordinator at, @Nullable String key, String method, String path, @Nullable String body) {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + at.port() + path))
                .timeout(LONG)
                .header("Content-Type", "application/json")
                .method(
                        method,
                        body == null ? HttpRequest.BodyPublishers.noBody() : HttpRequest.BodyPublishers.ofString(body));
        return (key == null ? request : request.header("X-API-Key", key)).build();
    }

    private static HttpResponse<String> send(
            RunningCoordinator at, @Nullable String key, String method, String path, @Nullable String body)
            throws Exception {
        return HTTP.send(request(at, key, method, path, body), HttpResponse.BodyHandlers.ofString());
    }

    /** Both coordinators together accept no more than the limit, within 10 %, and each of them refuses what exceeds its half. */
    @Test
    void twoCoordinatorsShareALimit() throws Exception {
        String key = key("submitter", "");
        // Until both know of each other, one has a larger share.
        await().atMost(LONG).until(() -> policy(one, key).equals("\"requests\";q=20;w=1"));
        await().atMost(LONG).until(() -> policy(other, key).equals("\"requests\";q=20;w=1"));
        int half = 160;
        AtomicInteger accepted = new AtomicInteger();
        List<CompletableFuture<Void>> callers = new ArrayList<>();
        long began = System.nanoTime();
        for (RunningCoordinator at : List.of(one, other)) {
            AtomicInteger missing = new AtomicInteger(half);
            AtomicBoolean refused = new AtomicBoolean();
            for (int i = 0; i < 3; i++) {
                callers.add(CompletableFuture.runAsync(() -> {
                    while ((missing.get() > 0 || !refused.get()) && System.nanoTime() - began < LONG.toNanos()) {
                        try {
                            // Cheap: also a busy machine must exceed the limit.
                            int code =
                                    send(at, key, "GET", "/tasks/unknown", null).statusCode();
                            if (code == 404) {
                                missing.decrementAndGet();
                                accepted.incrementAndGet();
                            } else if (code == 429) {
                                refused.set(true);
                            }
                        } catch (Exception e) {
                            throw new IllegalStateException(e);
                        }
                    }
                }));
            }
        }
        callers.forEach(CompletableFuture::join);
        double seconds = (System.nanoTime() - began) / 1e9;

        // Not because the callers gave up.
        assertThat(seconds).isLessThan(LONG.toSeconds());

        // The buckets may have held a second's worth.
        assertThat((double) accepted.get()).isLessThanOrEqualTo(1.1 * SUBMITTER_LIMIT * (seconds + 1));
    }

    private static String policy(RunningCoordinator at, String key) throws Exception {
        return send(at, key, "GET", "/tasks/queues", null)
                .headers()
                .firstValue("RateLimit-Policy")
                .orElse("");
    }

    @Test
    void aRefusalSaysWhenToComeBack() throws Exception {
        String key = key("submitter", "");
        HttpResponse<String> last = send(one, key, "GET", "/tasks/queues", null);
        assertThat(last.headers().firstValue("RateLimit").orElse("")).matches("\"requests\";r=\\d+;t=1");
        while (last.statusCode() == 200) {
            last = send(one, key, "GET", "/tasks/queues", null);
        }

        assertThat(last.statusCode()).isEqualTo(429);
        assertThat(last.headers().firstValue("Retry-After")).contains("1");
        assertThat(last.headers().firstValue("RateLimit")).contains("\"requests\";r=0;t=1");
        assertThat(last.headers().firstValue("RateLimit-Policy")).isPresent();
        assertThat(Json.MAPPER.readTree(last.body()).get("detail").asString())
                .isEqualTo("too many requests: the limit is 40 per second");
    }

    @Test
    void aBatchCountsAsItsTasks() throws Exception {
        String key = key("submitter", "");
        String batch = "[" + "{\"task_data\":{},\"requirements\":{\"capabilities\":[\"none\"]}},".repeat(199) + "{}]";

        assertThat(send(one, key, "POST", "/tasks/submit/batch", batch).statusCode())
                .isEqualTo(200);

        HttpResponse<String> next = send(one, key, "POST", "/tasks/submit", "{\"task_data\":{}}");
        assertThat(next.statusCode()).isEqualTo(429);
        assertThat(Long.parseLong(next.headers().firstValue("Retry-After").orElseThrow()))
                .isBetween(2L, 15L);
    }

    @Test
    void eachCredentialHasItsOwnLimit() throws Exception {
        String noisy = key("submitter", "");
        String quiet = key("submitter", "");
        exhaust(noisy, "GET", "/tasks/queues");

        assertThat(send(one, quiet, "GET", "/tasks/queues", null).statusCode()).isEqualTo(200);
    }

    @Test
    void callsOfAgentsAreCountedApart() {
        RateLimitSettings settings = new RateLimitSettings(0, 0, 0, 0, 0.1, 0.1, 0);
        try (RateLimits limits = new RateLimits(settings, () -> 1)) {
            Caller agent = new Caller("a", Role.AGENT, "a", null, null, "key-1", null);
            limits.require(agent, "", false);
            assertThatExceptionOfType(ThrottledException.class).isThrownBy(() -> limits.require(agent, "", false));

            limits.require(agent, "", true);
            assertThatExceptionOfType(ThrottledException.class).isThrownBy(() -> limits.require(agent, "", true));
        }
    }

    /** Who is refused as an agent has no limit of agents. */
    @Test
    void callsOfAgentsThatTheCallerMayNotMakeCountAsItsOwn() throws Exception {
        exhaust(key("submitter", ""), "POST", "/agents/any/heartbeat");
    }

    /** Sends requests until one is over the limit. */
    private static void exhaust(String key, String method, String path) throws Exception {
        int sent = 0;
        while (send(one, key, method, path, method.equals("GET") ? null : "{}").statusCode() != 429) {
            assertThat(sent++).isLessThan(10_000);
        }
    }

    @Test
    void tokensForTasksShareALimit() {
        try (RateLimits limits = new RateLimits(new RateLimitSettings(0, 0, 0, 0, 0.1, 0, 0), () -> 1)) {
            limits.require(new Caller("ada", Role.VIEWER, null, "acme", "task-1", null, null), "", false);
            assertThatExceptionOfType(ThrottledException.class)
                    .isThrownBy(() -> limits.require(
                            new Caller("ada", Role.VIEWER, null, "acme", "task-2", null, null), "", false));
        }
    }

    @Test
    void addressesOfOneIpv6NetworkShareALimit() {
        try (RateLimits limits = new RateLimits(new RateLimitSettings(0.1, 0, 0, 0, 0, 0, 0), () -> 1)) {
            limits.require(null, "2001:db8:1:2::1", false);
            assertThatExceptionOfType(ThrottledException.class)
                    .isThrownBy(() -> limits.require(null, "2001:db8:1:2:ffff::2", false));
            limits.require(null, "2001:db8:1:3::1", false);
        }
    }

    /** The cookie holds a credential too, and public pages are served all the same. */
    @Test
    void invalidCookiesAreSlowed() throws Exception {
        HttpRequest guess = HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + other.port() + "/auth/session"))
                .header("Cookie", Credentials.COOKIE + "=aitbc_guess")
                .build();
        await().atMost(LONG)
                .until(() ->
                        HTTP.send(guess, HttpResponse.BodyHandlers.ofString()).statusCode() == 429);
    }

    @Test
    void addressesWithoutACredentialAreLimitedButNotHealthAndFiles() throws Exception {
        await().atMost(LONG)
                .until(() -> send(one, null, "GET", "/tasks/queues", null).statusCode() == 429);
        for (int i = 0; i < 50; i++) {
            assertThat(send(one, null, "GET", "/health", null).statusCode()).isEqualTo(200);
            assertThat(send(one, null, "GET", "/dashboard/index.html", null).statusCode())
                    .isEqualTo(200);
        }
    }

    /** Guessing is slowed; a valid key from the same address is not. */
    @Test
    void invalidKeysAreSlowed() throws Exception {
        await().atMost(LONG)
                .until(() ->
                        send(one, "aitbc_guess", "GET", "/tasks/queues", null).statusCode() == 429);

        assertThat(Json.MAPPER
                        .readTree(send(one, "aitbc_guess", "GET", "/tasks/queues", null)
                                .body())
                        .get("detail")
                        .asString())
                .isEqualTo("too many failed attempts to authenticate");
        assertThat(send(one, ADMIN_KEY, "GET", "/tasks/queues", null).statusCode())
                .isEqualTo(200);
    }

    /** Without REST, so that no limit of addresses interferes. */
    @Test
    void passwordsAreNotComparedAfterTooManyFailures() {
        Users users = UsersTest.users("ada:viewer:" + UsersTest.hash("right"));
        try (RateLimits limits = new RateLimits(new RateLimitSettings(0, 0, 0, 0, 0, 0, 5), () -> 1)) {
            Logins logins = new Logins(users, limits);
            for (int i = 0; i < 5; i++) {
                assertThatExceptionOfType(InvalidCredentialException.class)
                        .isThrownBy(() -> logins.login("ada", "wrong", "10.0.0.1"));
            }
            assertThatExceptionOfType(ThrottledException.class)
                    .isThrownBy(() -> logins.login("ada", "right", "10.0.0.1"))
                    .satisfies(e -> assertThat(e.retryAfterSeconds()).isBetween(1L, 12L));
            assertThat(logins.login("ada", "right", "10.0.0.2").id()).isEqualTo("ada");
            // One user guessed from many addresses.
            for (int i = 0; i < 20; i++) {
                String address = "10.0.1." + i;
                assertThatExceptionOfType(InvalidCredentialException.class)
                        .isThrownBy(() -> logins.login("ada", "wrong", address));
            }
            assertThatExceptionOfType(ThrottledException.class)
                    .isThrownBy(() -> logins.login("ada", "wrong", "10.0.2.1"));
        }
    }

    /** Each comparison takes a processor: the others wait, or are sent away. Neither counts as a failure. */
    @Test
    void aFloodOfLoginsIsSentAway() {
        Users users = UsersTest.users("ada:viewer:" + new BCryptPasswordEncoder(10).encode("right"));
        try (RateLimits limits = new RateLimits(new RateLimitSettings(0, 0, 0, 0, 0, 0, 40), () -> 1)) {
            Logins logins = new Logins(users, limits);
            Queue<String> refusals = new ConcurrentLinkedQueue<>();
            AtomicInteger signedIn = new AtomicInteger();
            ExecutorService callers = Executors.newFixedThreadPool(60);
            for (int i = 0; i < 60; i++) {
                callers.execute(() -> {
                    try {
                        logins.login("ada", "right", "10.0.0.1");
                        signedIn.incrementAndGet();
                    } catch (ThrottledException e) {
                        refusals.add(e.getMessage());
                    }
                });
            }
            callers.shutdown();
            await().atMost(LONG).until(callers::isTerminated);
            assertThat(signedIn.get()).isGreaterThanOrEqualTo(16);
            assertThat(refusals)
                    .hasSize(60 - signedIn.get())
                    .allMatch("too many callers sign in at the same time"::equals);
            assertThat(logins.login("ada", "right", "10.0.0.1").id()).isEqualTo("ada");
        }
    }

    @ParameterizedTest
    @ValueSource(doubles = {-1, 1_000_001, Double.NaN, Double.POSITIVE_INFINITY})
    void aLimitHasBounds(double perSecond) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new RateLimitSettings(0, 0, 0, perSecond, 0, 0, 0))
                .withMessage("aitbc.limits.submitter must be from 0 to 1000000");
    }

    @Test
    void slowLimitsWork() {
        Caller caller = new Caller("slow", Role.VIEWER, null, null, null, null, null);
        try (RateLimits limits = new RateLimits(new RateLimitSettings(0, 0, 0, 0, 0.1, 0, 0), () -> 1)) {
            assertThat(limits.require(caller, "", false).orElseThrow().remaining())
                    .isZero();
            assertThatExceptionOfType(ThrottledException.class)
                    .isThrownBy(() -> limits.require(caller, "", false))
                    .withMessage("too many requests: the limit is 0.1 per second")
                    .satisfies(e -> assertThat(e.retryAfterSeconds()).isBetween(9L, 10L));
        }
    }
}
