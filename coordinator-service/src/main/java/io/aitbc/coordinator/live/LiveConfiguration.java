package io.aitbc.coordinator.live;

import io.aitbc.coordinator.Coordinator;
import io.aitbc.coordinator.dispatch.ClusterControl;
import io.aitbc.coordinator.dispatch.CoordinatorId;
import io.aitbc.coordinator.dispatch.LaneStatsReporter;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.stats.ClusterFeed;
import io.aitbc.coordinator.stats.ClusterStats;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.time.Clock;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.web.servlet.HandlerInterceptor;
import org.springframework.web.servlet.config.annotation.InterceptorRegistry;
import org.springframework.web.servlet.config.annotation.ViewControllerRegistry;
import org.springframework.web.servlet.config.annotation.WebMvcConfigurer;
import org.springframework.web.socket.config.annotation.EnableWebSocket;
import org.springframework.web.socket.config.annotation.WebSocketConfigurer;
import org.springframework.web.socket.config.annotation.WebSocketHandlerRegistry;

@Configuration(proxyBeanMethods = false)
@EnableWebSocket
class LiveConfiguration implements WebSocketConfigurer, WebMvcConfigurer {
    private static final String POLICY =
            "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

    private final LiveSocket socket;

    LiveConfiguration(LiveSocket socket) {
        this.socket = socket;
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
        registry.addHandler(socket, "/ws", "/v1/ws");
    }

    /** Restricts content to this origin, and forbids framing by other pages. */
    @Override
    public void addInterceptors(InterceptorRegistry registry) {
        registry.addInterceptor(new HandlerInterceptor() {
                    @Override
                    public boolean preHandle(HttpServletRequest request, HttpServletResponse response, Object handler) {
                        response.setHeader("Content-Security-Policy", POLICY);
                        response.setHeader("X-Content-Type-Options", "nosniff");
                        return true;
                    }
                })
                .addPathPatterns("/dashboard/**");
    }

    /** Serves the dashboard's page; its files are static resources. */
    @Override
    public void addViewControllers(ViewControllerRegistry registry) {
        registry.addRedirectViewController("/dashboard", "/dashboard/");
        registry.addViewController("/dashboard/").setViewName("forward:/dashboard/index.html");
    }
}
