package io.aitbc.coordinator.registry;

import io.aitbc.coordinator.background.Part;
import io.aitbc.coordinator.background.Recurring;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.function.Predicate;
import org.apache.kafka.common.KafkaException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Removes the topics of deregistered agents after a retention time, once nothing in them is unsettled. */
public final class TopicRemoval implements Part {
    private static final Logger log = LoggerFactory.getLogger(TopicRemoval.class);
    private static final Duration LOOK_AT_MOST_EVERY = Duration.ofSeconds(1);
    private static final Duration LOOK_AT_LEAST_EVERY = Duration.ofMinutes(1);
    private static final int MOST_AT_ONCE = 1_000;

    private final Registry registry;
    private final Duration retention;
    private final Predicate<String> ownsAgent;
    private final Clock clock;
    private final Recurring removing;

    /** @param ownsAgent whether this coordinator monitors an agent */
    TopicRemoval(Registry registry, Duration retention, Predicate<String> ownsAgent, Clock clock) {
        this.registry = registry;
        this.retention = retention;
        this.ownsAgent = ownsAgent;
        this.clock = clock;
        Duration tenth = retention.dividedBy(10);
        Duration pause = tenth.compareTo(LOOK_AT_MOST_EVERY) < 0
                ? LOOK_AT_MOST_EVERY
                : tenth.compareTo(LOOK_AT_LEAST_EVERY) > 0 ? LOOK_AT_LEAST_EVERY : tenth;
        this.removing = new Recurring("topic-removal", pause, this::remove, () -> {});
    }

    @Override
    public void start() {
        removing.start();
    }

    @Override
    public void close() {
        removing.close();
    }

    @Override
    public List<String> troubles() {
        return removing.troubles();
    }

    private void remove() throws InterruptedException {
        Instant limit = clock.instant().minus(retention);
        for (String agentId : registry.departedBefore(limit, MOST_AT_ONCE)) {
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
