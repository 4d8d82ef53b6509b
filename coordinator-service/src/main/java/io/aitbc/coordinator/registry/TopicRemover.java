package io.aitbc.coordinator.registry;

import io.aitbc.coordinator.background.BackgroundService;
import io.aitbc.coordinator.background.PeriodicJob;
import io.aitbc.coordinator.background.Problem;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.function.Predicate;
import org.apache.kafka.common.KafkaException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Removes the topics of deregistered agents after a retention time, once nothing in them is unsettled. */
public final class TopicRemover implements BackgroundService {
    private static final Logger log = LoggerFactory.getLogger(TopicRemover.class);
    private static final Duration MIN_INTERVAL = Duration.ofSeconds(1);
    private static final Duration MAX_INTERVAL = Duration.ofMinutes(1);
    private static final int MAX_BATCH = 1_000;

    private final Registry registry;
    private final Duration retention;
    private final Predicate<String> ownsAgent;
    private final Clock clock;
    private final PeriodicJob job;

    /** @param ownsAgent whether this coordinator monitors an agent */
    TopicRemover(Registry registry, Duration retention, Predicate<String> ownsAgent, Clock clock) {
        this.registry = registry;
        this.retention = retention;
        this.ownsAgent = ownsAgent;
        this.clock = clock;
        Duration tenth = retention.dividedBy(10);
        Duration pause = tenth.compareTo(MIN_INTERVAL) < 0
                ? MIN_INTERVAL
                : tenth.compareTo(MAX_INTERVAL) > 0 ? MAX_INTERVAL : tenth;
        this.job = new PeriodicJob("topic-removal", pause, this::remove);
    }

    @Override
    public void start() {
        job.start();
    }

    @Override
    public void close() {
        job.close();
    }

    @Override
    public List<Problem> problems() {
        return job.problems();
    }

    private void remove() throws InterruptedException {
        Instant limit = clock.instant().minus(retention);
        for (String agentId : registry.departedBefore(limit, MAX_BATCH)) {
            if (ownsAgent.test(agentId)) {
                remove(agentId);
            }
        }
    }

    private void remove(String agentId) throws InterruptedException {
        try {
            if (registry.removeTopic(agentId, clock.instant())) {
                log.atInfo().addKeyValue("agent_id", agentId).log("Removed the topic of a departed agent");
            }
        } catch (KafkaException e) {
            // One failure must not block the others.
            log.atWarn().addKeyValue("agent_id", agentId).log("Topic not removed, will retry: {}", e.toString());
        }
    }
}
