package io.aitbc.coordinator.taskstate;

import io.aitbc.coordinator.redis.Redis;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

@Configuration(proxyBeanMethods = false)
class TaskStateConfiguration {
    @Bean
    TaskStates taskStates(Redis redis) {
        return new TaskStates(redis);
    }
}
