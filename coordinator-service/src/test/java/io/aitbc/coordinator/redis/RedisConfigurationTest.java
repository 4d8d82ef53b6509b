package io.aitbc.coordinator.redis;

import static org.assertj.core.api.Assertions.assertThat;

import io.lettuce.core.resource.ClientResources;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import org.junit.jupiter.api.Test;

class RedisConfigurationTest {
    /** Found by killing Redis repeatedly: Redis was back for ten seconds before the first reconnect attempt. */
    @Test
    void theReconnectDelayIsBounded() {
        ClientResources resources = new RedisConfiguration().redisClientResources(new SimpleMeterRegistry());
        try {
            assertThat(resources.reconnectDelay().createDelay(1_000))
                    .isLessThanOrEqualTo(RedisConfiguration.MAX_RECONNECT_DELAY);
        } finally {
            resources.shutdown();
        }
    }
}
