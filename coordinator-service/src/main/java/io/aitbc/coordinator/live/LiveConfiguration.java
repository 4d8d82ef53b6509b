package io.aitbc.coordinator.live;

import io.aitbc.coordinator.Coordinator;
import io.aitbc.coordinator.dispatch.ClusterControl;
import io.aitbc.coordinator.dispatch.LaneStatsReporter;
import io.aitbc.coordinator.kafka.CoordinatorId;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.stats.ClusterFeed;
import io.aitbc.coordinator.stats.ClusterStats;
import java.time.Clock;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.web.servlet.config.annotation.ViewControllerRegistry;
import org.springframework.web.servlet.config.annotation.WebMvcConfigurer;
import org.springframework.web.socket.config.annotation.EnableWebSocket;
import org.springframework.web.socket.config.annotation.WebSocketConfigurer;
import org.springframework.web.socket.config.annotation.WebSocketHandlerRegistry;

@Configuration(proxyBeanMethods = false)
@EnableWebSocket
class LiveConfiguration implements WebSocketConfigurer, WebMvcConfigurer {
    private final LiveSocket socket;
    private final String[] otherOrigins;

    LiveConfiguration(LiveSocket socket, @Value("${aitbc.cors.origins}") String[] otherOrigins) {
        this.socket = socket;
        this.otherOrigins = otherOrigins;
    }

    @Bean
    static ClusterFeed clusterFeed(
            ClusterStats stats,
            ClusterControl control,
            LaneStatsReporter report,
            Coordinator coordinator,
            CoordinatorId coordinatorId,
            Redis redis,
            Clock clock) {
        return new ClusterFeed(stats, control, report, coordinator::isStarted, coordinatorId, redis, clock);
    }

    @Override
    public void registerWebSocketHandlers(WebSocketHandlerRegistry registry) {
        registry.addHandler(socket, "/ws", "/v1/ws").setAllowedOrigins(otherOrigins);
    }

    /** Serves the dashboard's page; its files are static resources. */
    @Override
    public void addViewControllers(ViewControllerRegistry registry) {
        registry.addRedirectViewController("/dashboard", "/dashboard/");
        registry.addViewController("/dashboard/").setViewName("forward:/dashboard/index.html");
    }
}
