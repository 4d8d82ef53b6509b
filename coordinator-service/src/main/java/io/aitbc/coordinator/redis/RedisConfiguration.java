package io.aitbc.coordinator.redis;

import io.lettuce.core.ClientOptions;
import io.lettuce.core.RedisClient;
import io.lettuce.core.RedisURI;
import io.lettuce.core.SocketOptions;
import io.lettuce.core.TimeoutOptions;
import io.lettuce.core.metrics.MicrometerCommandLatencyRecorder;
import io.lettuce.core.metrics.MicrometerOptions;
import io.lettuce.core.resource.ClientResources;
import io.lettuce.core.resource.DefaultClientResources;
import io.lettuce.core.resource.Delay;
import io.lettuce.core.resource.NettyCustomizer;
import io.micrometer.core.instrument.MeterRegistry;
import io.netty.channel.Channel;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

@Configuration(proxyBeanMethods = false)
@EnableConfigurationProperties(RedisSettings.class)
class RedisConfiguration {
    static final Duration MAX_RECONNECT_DELAY = Duration.ofMillis(500);

    /** Of a connection attempt, and of a command. */
    private static final Duration TIMEOUT = Duration.ofSeconds(2);

    /** The reconnect delay is bounded: by default it grows to 30 s, and dispatch would wait that long after Redis is back. */
    @Bean(destroyMethod = "shutdown")
    ClientResources redisClientResources(MeterRegistry meters) {
        return DefaultClientResources.builder()
                .reconnectDelay(
                        () -> Delay.exponential(Duration.ofMillis(10), MAX_RECONNECT_DELAY, 2, TimeUnit.MILLISECONDS))
                .nettyCustomizer(new NettyCustomizer() {
                    @Override
                    public void afterChannelInitialized(Channel channel) {
                        channel.pipeline().addFirst(new HungConnectionHandler());
                    }
                })
                .commandLatencyRecorder(new MicrometerCommandLatencyRecorder(meters, MicrometerOptions.create()))
                .build();
    }

    /** With Sentinel, each connection asks for the address of the primary, also when it reconnects. */
    @Bean(destroyMethod = "shutdown")
    RedisClient redisClient(RedisSettings settings, ClientResources resources) {
        RedisURI uri = settings.uri();
        uri.setTimeout(TIMEOUT);
        ClientOptions.Builder options = ClientOptions.builder()
                .disconnectedBehavior(ClientOptions.DisconnectedBehavior.REJECT_COMMANDS)
                .timeoutOptions(TimeoutOptions.enabled())
                .socketOptions(SocketOptions.builder().connectTimeout(TIMEOUT).build());
        settings.sslOptions().ifPresent(options::sslOptions);
        RedisClient client = RedisClient.create(resources, uri);
        client.setOptions(options.build());
        return client;
    }

    @Bean
    Redis redis(RedisClient client, RedisSettings settings) {
        return new Redis(client, settings.uri().getDatabase());
    }
}
