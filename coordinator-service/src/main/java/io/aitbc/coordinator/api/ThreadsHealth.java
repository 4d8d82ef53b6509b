package io.aitbc.coordinator.api;

import io.aitbc.coordinator.Coordinator;
import io.aitbc.coordinator.background.Problem;
import java.util.List;
import org.springframework.boot.health.contributor.Health;
import org.springframework.boot.health.contributor.HealthIndicator;
import org.springframework.stereotype.Component;

/** A part of liveness: down once a thread has ended or is stuck, which a restart mends. Not while Kafka or Redis is away, which it would not mend. */
@Component("threads")
class ThreadsHealth implements HealthIndicator {
    private final Coordinator coordinator;

    ThreadsHealth(Coordinator coordinator) {
        this.coordinator = coordinator;
    }

    @Override
    public Health health() {
        List<String> ended = coordinator.problems().stream()
                .filter(Problem::needsRestart)
                .map(Problem::sentence)
                .toList();
        return ended.isEmpty()
                ? Health.up().build()
                : Health.down().withDetail("problems", ended).build();
    }
}
