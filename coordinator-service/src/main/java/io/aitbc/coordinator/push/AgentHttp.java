package io.aitbc.coordinator.push;

import io.aitbc.contracts.PublicAddress;
import io.netty.buffer.Unpooled;
import io.netty.channel.ConnectTimeoutException;
import io.netty.handler.timeout.ReadTimeoutException;
import java.io.ByteArrayOutputStream;
import java.net.ConnectException;
import java.net.URI;
import java.net.UnknownHostException;
import java.time.Clock;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Function;
import javax.net.ssl.SSLException;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.http.client.FilteredHostException;
import org.springframework.boot.http.client.HttpClientSettings;
import org.springframework.boot.http.client.HttpRedirects;
import org.springframework.boot.http.client.InetAddressFilter;
import org.springframework.boot.http.client.ReactorHttpClientBuilder;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.netty.ByteBufFlux;
import reactor.netty.http.client.HttpClient;
import reactor.netty.http.client.HttpClientResponse;
import reactor.netty.internal.shaded.reactor.pool.PoolAcquirePendingLimitException;
import reactor.netty.internal.shaded.reactor.pool.PoolAcquireTimeoutException;
import reactor.netty.resources.ConnectionProvider;
import reactor.netty.resources.LoopResources;

/**
 * Sends requests to agents, without following redirects. They are limited in time, size of the response, and to allowed addresses. A
 * request occupies no thread. Thread-safe.
 */
final class AgentHttp implements AutoCloseable {
    static final int MAX_RESPONSE_BYTES = 1024 * 1024;

    private static final Duration CONNECT_TIMEOUT = Duration.ofSeconds(5);
    /** A connection that rests longer may have been closed by the agent, unnoticed. */
    private static final Duration MAX_IDLE = Duration.ofSeconds(10);

    private static final int THREADS = 2;
    /** To one host and port. */
    private static final int MAX_CONNECTIONS = 10_000;

    private static final int MAX_PROBES = 100;
    /** Waiting for a connection. */
    private static final int MAX_PENDING = 1_000;

    /** Stricter than Spring's own filter, for example with IPv4 addresses within IPv6. */
    private static final InetAddressFilter PUBLIC = InetAddressFilter.adapt(PublicAddress::includes);

    private final LoopResources threads = LoopResources.create("push-http", THREADS, true);
    private final ConnectionProvider connections = connections("push", MAX_CONNECTIONS);
    /** Of their own, so that probes do not wait for slow agents on the same host. */
    private final ConnectionProvider probes = connections("probe", MAX_PROBES);

    private final HttpClient client;
    private final HttpClient prober;
    private final Clock clock;

    /** @param clock for a delay that an agent gives as a date */
    AgentHttp(boolean allowPrivateAddresses, Clock clock) {
        this.clock = clock;
        HttpClientSettings settings = HttpClientSettings.defaults()
                .withConnectTimeout(CONNECT_TIMEOUT)
                .withRedirects(HttpRedirects.DONT_FOLLOW)
                .withInetAddressFilter(allowPrivateAddresses ? InetAddressFilter.all() : PUBLIC);
        this.client = client(connections, settings);
        this.prober = client(probes, settings);
    }

    private static ConnectionProvider connections(String name, int most) {
        return ConnectionProvider.builder(name)
                .maxConnections(most)
                .pendingAcquireMaxCount(MAX_PENDING)
                .pendingAcquireTimeout(CONNECT_TIMEOUT)
                .maxIdleTime(MAX_IDLE)
                .evictInBackground(MAX_IDLE)
                .disposeInactivePoolsInBackground(MAX_IDLE, MAX_IDLE.multipliedBy(6))
                .build();
    }

    private HttpClient client(ConnectionProvider pool, HttpClientSettings settings) {
        return new ReactorHttpClientBuilder()
                .withHttpClientFactory(
                        () -> HttpClient.create(pool).runOn(threads).disableRetry(true))
                .build(settings);
    }

    @Override
    public void close() {
        connections.dispose();
        probes.dispose();
        threads.dispose();
    }

    CompletableFuture<Reply> get(URI uri, Duration timeout) {
        return send(prober, uri, timeout, http -> http.get().uri(uri));
    }

    /** @param headers in addition to the type of the body, which is JSON */
    CompletableFuture<Reply> post(URI uri, Map<String, String> headers, byte[] body, Duration timeout) {
        return send(
                client,
                uri,
                timeout,
                http -> http.headers(all -> {
                            all.set("Content-Type", "application/json").set("Content-Length", body.length);
                            headers.forEach(all::set);
                        })
                        .post()
                        .uri(uri)
                        .send(Mono.fromSupplier(() -> Unpooled.wrappedBuffer(body))));
    }

    private CompletableFuture<Reply> send(
            HttpClient with, URI uri, Duration timeout, Function<HttpClient, HttpClient.ResponseReceiver<?>> request) {
        AtomicBoolean sent = new AtomicBoolean();
        HttpClient http = with.doOnRequest((head, connection) -> sent.set(true)).responseTimeout(timeout);
        return request.apply(http)
                .response(this::read)
                .single()
                // Also for a response that never ends.
                .timeout(timeout.plus(CONNECT_TIMEOUT))
                .onErrorResume(e -> {
                    if (e instanceof PoolAcquireTimeoutException || e instanceof PoolAcquirePendingLimitException) {
                        return Mono.just(new Reply.NoConnection());
                    }
                    String why = why(e, uri, timeout);
                    return Mono.just(sent.get() ? new Reply.NoResponse(why) : new Reply.NotSent(why));
                })
                .toFuture();
    }

    private Flux<Reply> read(HttpClientResponse response, ByteBufFlux content) {
        ByteArrayOutputStream body = new ByteArrayOutputStream();
        Duration retryAfter = retryAfter(response.responseHeaders().get("Retry-After"), clock.instant());
        return content.asByteArray()
                .doOnNext(body::writeBytes)
                .takeUntil(chunk -> body.size() > MAX_RESPONSE_BYTES)
                .then(Mono.fromSupplier(() -> {
                    boolean tooLarge = body.size() > MAX_RESPONSE_BYTES;
                    return (Reply) new Reply.Response(
                            response.status().code(),
                            retryAfter,
                            tooLarge ? new byte[0] : body.toByteArray(),
                            tooLarge);
                }))
                .flux();
    }

    /** Seconds or a date (RFC 9110, section 10.2.3); null if it is neither. */
    static @Nullable Duration retryAfter(@Nullable String header, Instant now) {
        if (header == null) {
            return null;
        }
        String text = header.trim();
        try {
            if (text.matches("\\d{1,9}")) {
                return Duration.ofSeconds(Long.parseLong(text));
            }
            Duration until = Duration.between(now, ZonedDateTime.parse(text, DateTimeFormatter.RFC_1123_DATE_TIME));
            return until.isNegative() ? Duration.ZERO : until;
        } catch (DateTimeException e) {
            return null;
        }
    }

    private static String why(Throwable e, URI uri, Duration timeout) {
        if (e instanceof FilteredHostException) {
            return uri.getHost()
                    + " has a private address, and private addresses are not allowed (aitbc.push.allow-private-addresses)";
        } else if (e instanceof UnknownHostException) {
            return "host " + uri.getHost() + " is unknown";
        } else if (e instanceof ConnectTimeoutException) {
            return "no connection within " + CONNECT_TIMEOUT.toSeconds() + " s";
        } else if (e instanceof ConnectException) {
            return "the connection is refused";
        } else if (e instanceof SSLException) {
            return "no TLS connection: " + e.getMessage();
        } else if (e instanceof ReadTimeoutException || e instanceof TimeoutException) {
            return "no response within " + timeout.toMillis() / 1_000.0 + " s";
        }
        return "the connection was closed";
    }
}
