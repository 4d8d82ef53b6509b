package io.aitbc.coordinator.security;

import io.github.bucket4j.Bucket;
import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.http.HttpRequest;
import org.springframework.http.client.ClientHttpRequestExecution;
import org.springframework.http.client.ClientHttpRequestInterceptor;
import org.springframework.http.client.ClientHttpResponse;
import org.springframework.http.client.SimpleClientHttpRequestFactory;
import org.springframework.security.oauth2.core.OAuth2TokenValidator;
import org.springframework.security.oauth2.jwt.Jwt;
import org.springframework.security.oauth2.jwt.JwtDecoder;
import org.springframework.security.oauth2.jwt.JwtException;
import org.springframework.security.oauth2.jwt.NimbusJwtDecoder;
import org.springframework.web.client.RestTemplate;

/**
 * Verifies the tokens of an issuer. Anyone can send a token that names it, so no caller may keep others waiting: its metadata are read in
 * the background, until then every token is refused at once, and its keys are fetched only so often. Thread-safe.
 */
final class IssuerDecoder implements JwtDecoder {
    private static final Logger log = LoggerFactory.getLogger(IssuerDecoder.class);
    private static final Duration TIMEOUT = Duration.ofSeconds(2);
    private static final Duration RETRY_DELAY = Duration.ofSeconds(5);
    /** Per minute. A token with an unknown key id causes one: the issuer may have a new key. */
    private static final int MAX_FETCHES = 20;

    private final String issuer;
    private final OAuth2TokenValidator<Jwt> validator;
    private final RestTemplate client;
    private final AtomicBoolean isReading = new AtomicBoolean();
    private volatile @Nullable JwtDecoder decoder;

    IssuerDecoder(String issuer, OAuth2TokenValidator<Jwt> validator) {
        this.issuer = issuer;
        this.validator = validator;
        SimpleClientHttpRequestFactory requests = new SimpleClientHttpRequestFactory();
        requests.setConnectTimeout(TIMEOUT);
        requests.setReadTimeout(TIMEOUT);
        this.client = new RestTemplate(requests);
        client.getInterceptors().add(new FetchLimit());
        readMetadata();
    }

    /** @throws JwtException also if the issuer's metadata or keys cannot be read at present */
    @Override
    public Jwt decode(String token) {
        JwtDecoder known = decoder;
        if (known == null) {
            readMetadata();
            throw new JwtException("the issuer's metadata have not been read yet");
        }
        return known.decode(token);
    }

    private void readMetadata() {
        if (isReading.compareAndSet(false, true)) {
            CompletableFuture.runAsync(this::tryReadMetadata)
                    .whenCompleteAsync(
                            (done, failure) -> isReading.set(false),
                            CompletableFuture.delayedExecutor(RETRY_DELAY.toMillis(), TimeUnit.MILLISECONDS));
        }
    }

    private void tryReadMetadata() {
        try {
            NimbusJwtDecoder read = NimbusJwtDecoder.withIssuerLocation(issuer)
                    .restOperations(client)
                    .build();
            read.setJwtValidator(validator);
            decoder = read;
        } catch (RuntimeException e) {
            log.atWarn()
                    .addKeyValue("issuer", issuer)
                    .log("The metadata of the tokens' issuer cannot be read, will retry: {}", e.toString());
        }
    }

    /** Fails requests to the issuer at once if there were too many, or the last one failed just before. */
    private static final class FetchLimit implements ClientHttpRequestInterceptor {
        private final Bucket bucket = Bucket.builder()
                .addLimit(limit -> limit.capacity(MAX_FETCHES).refillGreedy(MAX_FETCHES, Duration.ofMinutes(1)))
                .build();
        private volatile @Nullable Long failedAtNanos;

        @Override
        public ClientHttpResponse intercept(HttpRequest request, byte[] body, ClientHttpRequestExecution execution)
                throws IOException {
            Long failedAt = failedAtNanos;
            if (failedAt != null && System.nanoTime() - failedAt < RETRY_DELAY.toNanos()) {
                throw new IOException("the issuer has not answered, it is asked again in a few seconds");
            }
            if (!bucket.tryConsume(1)) {
                throw new IOException("the issuer's keys were fetched too often");
            }
            try {
                ClientHttpResponse response = execution.execute(request, body);
                failedAtNanos = null;
                return response;
            } catch (IOException e) {
                failedAtNanos = System.nanoTime();
                throw e;
            }
        }
    }
}
