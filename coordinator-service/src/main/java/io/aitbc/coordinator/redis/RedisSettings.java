package io.aitbc.coordinator.redis;

import io.lettuce.core.RedisCredentials;
import io.lettuce.core.RedisCredentialsProvider;
import io.lettuce.core.RedisURI;
import io.lettuce.core.SslOptions;
import java.io.File;
import java.util.Optional;
import org.springframework.boot.context.properties.ConfigurationProperties;
import reactor.core.publisher.Mono;

/**
 * The connection to Redis. Certificates are used for TLS, if the URL begins with {@code rediss}; each is the name of a PEM file, or empty.
 *
 * @param url in the syntax of Lettuce, such as {@code redis-sentinel://host-1,host-2,host-3/0#primary}
 * @param sentinelPassword of the Sentinels; empty: they have none. That of Redis is in the URL
 * @param caCertificate of the authorities that are trusted; empty: those that Java trusts
 * @param clientCertificate the coordinator's own certificate
 * @param clientKey its private key; empty: it is in the file of the certificate
 */
@ConfigurationProperties("aitbc.redis")
record RedisSettings(
        String url, String sentinelPassword, String caCertificate, String clientCertificate, String clientKey) {
    RedisURI uri() {
        RedisURI uri = RedisURI.create(url.trim());
        if (!sentinelPassword.isBlank()) {
            RedisCredentialsProvider credentials =
                    () -> Mono.just(RedisCredentials.just(null, sentinelPassword.trim()));
            uri.getSentinels().forEach(sentinel -> sentinel.setCredentialsProvider(credentials));
        }
        return uri;
    }

    /** Without the URL, which may have a password. */
    @Override
    public String toString() {
        return "RedisSettings";
    }

    /** Empty if no certificate is set. */
    Optional<SslOptions> sslOptions() {
        if (caCertificate.isBlank() && clientCertificate.isBlank()) {
            return Optional.empty();
        }
        SslOptions.Builder options = SslOptions.builder().jdkSslProvider();
        if (!caCertificate.isBlank()) {
            options.trustManager(new File(caCertificate.trim()));
        }
        if (!clientCertificate.isBlank()) {
            String key = clientKey.isBlank() ? clientCertificate : clientKey;
            options.keyManager(new File(clientCertificate.trim()), new File(key.trim()), new char[0]);
        }
        return Optional.of(options.build());
    }
}
