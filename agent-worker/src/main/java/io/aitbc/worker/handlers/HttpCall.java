package io.aitbc.worker.handlers;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.PublicAddress;
import io.aitbc.worker.AssignmentContext;
import io.aitbc.worker.Handler;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.ConnectException;
import java.net.InetAddress;
import java.net.URI;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Locale;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Stream;
import org.apache.hc.client5.http.ConnectTimeoutException;
import org.apache.hc.client5.http.SystemDefaultDnsResolver;
import org.apache.hc.client5.http.async.methods.AbstractBinResponseConsumer;
import org.apache.hc.client5.http.config.ConnectionConfig;
import org.apache.hc.client5.http.config.RequestConfig;
import org.apache.hc.client5.http.impl.async.CloseableHttpAsyncClient;
import org.apache.hc.client5.http.impl.async.HttpAsyncClients;
import org.apache.hc.client5.http.impl.nio.PoolingAsyncClientConnectionManagerBuilder;
import org.apache.hc.core5.http.ContentType;
import org.apache.hc.core5.http.Header;
import org.apache.hc.core5.http.HttpResponse;
import org.apache.hc.core5.http.nio.AsyncRequestProducer;
import org.apache.hc.core5.http.nio.support.AsyncRequestBuilder;
import org.apache.hc.core5.reactor.IOReactorConfig;
import org.apache.hc.core5.util.Timeout;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Calls {@code task_data.url} with {@code method} (default GET), {@code headers} and {@code body}, without following redirects. The result
 * contains {@code status_code} and up to 64 KiB of the body. A status of 429, or of 500 or above, fails the attempt; the next one respects
 * {@code Retry-After}.
 *
 * <p>Needs {@code org.apache.httpcomponents.client5:httpclient5} on the class path.
 */
public final class HttpCall implements Handler {
    private static final int MAX_BODY = 64 * 1024;
    private static final int MAX_CONNECTIONS = 10_000;
    private static final Timeout CONNECT_TIMEOUT = Timeout.ofSeconds(10);
    /** The client sets these itself. */
    private static final Set<String> RESTRICTED_HEADERS =
            Set.of("connection", "content-length", "expect", "host", "transfer-encoding", "upgrade");

    private final CloseableHttpAsyncClient client;

    /**
     * @param allowPrivateAddresses whether tasks may call services on this machine and in private networks. Whoever may submit a task then
     *     can, too
     */
    public HttpCall(boolean allowPrivateAddresses) {
        this(allowPrivateAddresses, new SystemDefaultDnsResolver());
    }

    HttpCall(boolean allowPrivateAddresses, SystemDefaultDnsResolver names) {
        this.client = HttpAsyncClients.custom()
                .setIOReactorConfig(IOReactorConfig.custom().setIoThreadCount(1).build())
                .setConnectionManager(PoolingAsyncClientConnectionManagerBuilder.create()
                        .setDnsResolver(allowPrivateAddresses ? names : new PublicNames(names))
                        .setDefaultConnectionConfig(ConnectionConfig.custom()
                                .setConnectTimeout(CONNECT_TIMEOUT)
                                .build())
                        .setMaxConnPerRoute(MAX_CONNECTIONS)
                        .setMaxConnTotal(MAX_CONNECTIONS)
                        .build())
                .setDefaultRequestConfig(
                        RequestConfig.custom().setProtocolUpgradeEnabled(false).build())
                .disableRedirectHandling()
                .disableAutomaticRetries()
                .disableCookieManagement()
                .disableAuthCaching()
                .disableContentCompression()
                .build();
        client.start();
    }

    /**
     * Resolves names of public hosts only. The client connects to the addresses that it is given here, so that a name cannot be resolved
     * differently afterwards.
     */
    private static final class PublicNames extends SystemDefaultDnsResolver {
        private final SystemDefaultDnsResolver names;

        PublicNames(SystemDefaultDnsResolver names) {
            this.names = names;
        }

        @Override
        public InetAddress[] resolve(String host) throws UnknownHostException {
            InetAddress[] addresses = names.resolve(host);
            if (!Stream.of(addresses).allMatch(PublicAddress::includes)) {
                throw new PrivateAddressException(host);
            }
            return addresses;
        }
    }

    private static final class PrivateAddressException extends UnknownHostException {
        PrivateAddressException(String host) {
            super(host + " has a private address, and this worker calls public ones only");
        }
    }

    @Override
    public JsonNode handle(Assignment assignment, AssignmentContext context) throws Exception {
        URI uri = uri(TaskTypes.text(assignment.taskData(), "url"));
        Response response = send(request(uri, assignment.taskData()), uri, timeAllowed(assignment));
        RetryAfter.check(uri, response.status, response.retryAfter, response.date);
        if (response.status >= 500) {
            throw new IOException(uri + " returned HTTP " + response.status);
        }
        return Json.object()
                .put("status_code", response.status)
                .put("body", response.body)
                .put("truncated", response.truncated);
    }

    private static URI uri(String url) throws PermanentFailureException {
        try {
            URI uri = URI.create(url);
            if (("http".equalsIgnoreCase(uri.getScheme()) || "https".equalsIgnoreCase(uri.getScheme()))
                    && uri.getHost() != null
                    && uri.getUserInfo() == null) {
                return uri;
            }
        } catch (IllegalArgumentException e) {
            // Reported below.
        }
        throw new PermanentFailureException("task_data.url must be an http or https URL without a user");
    }

    private static AsyncRequestProducer request(URI uri, ObjectNode data) throws PermanentFailureException {
        AsyncRequestBuilder request =
                AsyncRequestBuilder.create(data.path("method").asString("GET")).setUri(uri);
        for (String name : data.path("headers").propertyNames()) {
            if (RESTRICTED_HEADERS.contains(name.toLowerCase(Locale.ROOT))) {
                throw new PermanentFailureException("task_data.headers must not contain " + name);
            }
            request.addHeader(name, data.path("headers").path(name).asString());
        }
        if (data.hasNonNull("body")) {
            JsonNode body = data.get("body");
            request.setEntity(
                    (body.isString() ? body.asString() : Json.text(body)).getBytes(StandardCharsets.UTF_8), null);
        }
        return request.build();
    }

    private Response send(AsyncRequestProducer request, URI uri, Duration timeout) throws Exception {
        Future<Response> response = client.execute(request, new ResponseReader(), null);
        try {
            return response.get(timeout.toMillis(), TimeUnit.MILLISECONDS);
        } catch (TimeoutException e) {
            throw new IOException("no response from " + uri + " within " + timeout.toSeconds() + " s");
        } catch (ExecutionException e) {
            Throwable cause = Objects.requireNonNull(e.getCause());
            if (cause instanceof PrivateAddressException) {
                throw new PermanentFailureException(String.valueOf(cause.getMessage()));
            }
            if (cause instanceof ConnectException
                    || cause instanceof ConnectTimeoutException
                    || cause instanceof UnknownHostException) {
                throw new ConnectException("cannot connect to " + uri);
            }
            throw new IOException(uri + " could not be called: " + cause.getMessage(), cause);
        } finally {
            // Also if this thread was interrupted, because the task was cancelled.
            response.cancel(true);
        }
    }

    private record Response(int status, String retryAfter, String date, String body, boolean truncated) {}

    /** Keeps the beginning of the body. */
    private static final class ResponseReader extends AbstractBinResponseConsumer<Response> {
        private final ByteArrayOutputStream body = new ByteArrayOutputStream();
        private @Nullable HttpResponse head;
        private Charset charset = StandardCharsets.UTF_8;
        private boolean truncated;

        @Override
        protected void start(HttpResponse response, @Nullable ContentType type) {
            head = response;
            if (type != null && type.getCharset() != null) {
                charset = type.getCharset();
            }
        }

        @Override
        protected int capacityIncrement() {
            return MAX_BODY;
        }

        @Override
        protected void data(ByteBuffer chunk, boolean isLast) {
            int kept = Math.min(chunk.remaining(), MAX_BODY - body.size());
            truncated |= chunk.remaining() > kept;
            byte[] bytes = new byte[kept];
            chunk.get(bytes);
            body.writeBytes(bytes);
            chunk.position(chunk.limit());
        }

        @Override
        protected Response buildResult() {
            HttpResponse response = Objects.requireNonNull(head);
            return new Response(
                    response.getCode(),
                    value(response.getFirstHeader("Retry-After")),
                    value(response.getFirstHeader("Date")),
                    body.toString(charset),
                    truncated);
        }

        private static String value(@Nullable Header header) {
            return header == null || header.getValue() == null ? "" : header.getValue();
        }

        @Override
        public void releaseResources() {}
    }

    /** Returns the full timeout of the attempt. The remaining time would depend on the local clock, which may be wrong. */
    static Duration timeAllowed(Assignment assignment) {
        Duration allowed = Duration.between(assignment.assignedAt(), assignment.deadline());
        return allowed.compareTo(Duration.ofSeconds(1)) < 0 ? Duration.ofSeconds(1) : allowed;
    }
}
