package io.aitbc.coordinator.redis;

import io.lettuce.core.ClientOptions;
import io.lettuce.core.RedisClient;
import org.springframework.boot.data.redis.autoconfigure.LettuceClientOptionsBuilderCustomizer;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.data.redis.connection.lettuce.LettuceConnectionFactory;

@Configuration(proxyBeanMethods = false)
class RedisConfiguration {
    @Bean
    LettuceClientOptionsBuilderCustomizer failAtOnceWhileRedisIsAway() {
        return options -> options.disconnectedBehavior(ClientOptions.DisconnectedBehavior.REJECT_COMMANDS);
    }

    @Bean
    Redis redis(LettuceConnectionFactory factory) {
        return new Redis((RedisClient) factory.getRequiredNativeClient(), factory.getDatabase());
    }
}
