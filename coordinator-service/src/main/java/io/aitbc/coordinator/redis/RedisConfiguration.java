package io.aitbc.coordinator.redis;

import io.lettuce.core.ClientOptions;
import io.lettuce.core.RedisClient;
import io.lettuce.core.resource.Delay;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.boot.data.redis.autoconfigure.ClientResourcesBuilderCustomizer;
import org.springframework.boot.data.redis.autoconfigure.LettuceClientOptionsBuilderCustomizer;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.data.redis.connection.lettuce.LettuceConnectionFactory;

@Configuration(proxyBeanMethods = false)
@EnableConfigurationProperties(RedisSettings.class)
class RedisConfiguration {
    static final Duration MAX_RECONNECT_DELAY = Duration.ofMillis(500);

    @Bean
    LettuceClientOptionsBuilderCustomizer rejectCommandsWhileDisconnected() {
        return options -> options.disconnectedBehavior(ClientOptions.DisconnectedBehavior.REJECT_COMMANDS);
    }

    @Bean
    LettuceClientOptionsBuilderCustomizer useCertificates(RedisSettings settings) {
        return options -> settings.sslOptions().ifPresent(options::sslOptions);
    }

    /** Bounds the reconnect delay. By default it grows to 30 s, and dispatch would wait that long after Redis is back. */
    @Bean
    ClientResourcesBuilderCustomizer boundReconnectDelay() {
        return resources -> resources.reconnectDelay(
                () -> Delay.exponential(Duration.ofMillis(10), MAX_RECONNECT_DELAY, 2, TimeUnit.MILLISECONDS));
    }

    @Bean
    Redis redis(LettuceConnectionFactory factory) {
        return new Redis((RedisClient) factory.getRequiredNativeClient(), factory.getDatabase());
    }
}
