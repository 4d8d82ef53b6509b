package io.aitbc.coordinator;

import io.aitbc.coordinator.assign.AssignmentTopics;
import io.aitbc.coordinator.dispatch.ClusterControl;
import io.aitbc.coordinator.dispatch.Dispatcher;
import io.aitbc.coordinator.dispatch.FiguresReport;
import io.aitbc.coordinator.dispatch.WantsExchange;
import io.aitbc.coordinator.intake.DoneTasks;
import io.aitbc.coordinator.intake.OpenTransactions;
import io.aitbc.coordinator.kafka.TopicCatalog;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.registry.AgentView;
import io.aitbc.coordinator.registry.HeartbeatLoop;
import io.aitbc.coordinator.registry.TopicRemoval;
import io.aitbc.coordinator.settle.Settlement;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.context.SmartLifecycle;
import org.springframework.core.NestedExceptionUtils;
import org.springframework.stereotype.Component;

/**
 * Starts the threads of the coordinator once Kafka and Redis are there, and ends them in the opposite order. REST is served all the
 * while: it says what is missing.
 */
@Component
public final class Coordinator implements SmartLifecycle {
    private static final Logger log = LoggerFactory.getLogger(Coordinator.class);
    private static final long SAY_EVERY_SECONDS = 5;

    private final TopicCatalog topics;
    private final Redis redis;
    private final List<Part> parts;
    private final AssignmentTopics assignments;
    private final CountDownLatch closing = new CountDownLatch(1);
    private final Thread starter = new Thread(this::startParts, "starter");
    private volatile boolean running;
    private volatile int started;

    private record Part(Attempt start, AutoCloseable end) {}

    Coordinator(
            TopicCatalog topics,
            Redis redis,
            AgentView agents,
            HeartbeatLoop heartbeats,
            TopicRemoval topicRemoval,
            ClusterControl control,
            Dispatcher dispatcher,
            AssignmentTopics assignments,
            Settlement settlement,
            FiguresReport figures,
            WantsExchange wants,
            DoneTasks doneTasks,
            OpenTransactions openTransactions) {
        this.topics = topics;
        this.redis = redis;
        this.assignments = assignments;
        this.parts = List.of(
                new Part(agents::start, agents),
                new Part(heartbeats::start, heartbeats),
                new Part(topicRemoval::start, topicRemoval),
                new Part(control::start, control),
                new Part(dispatcher::start, dispatcher),
                new Part(settlement::start, settlement),
                new Part(figures::start, figures),
                new Part(wants::start, wants),
                new Part(doneTasks::start, doneTasks),
                new Part(openTransactions::start, openTransactions));
    }

    /** Whether Kafka and Redis were found and all threads run. */
    public boolean isStarted() {
        return started == parts.size();
    }

    @Override
    public void start() {
        running = true;
        starter.start();
    }

    @Override
    public void stop() {
        running = false;
        closing.countDown();
        try {
            starter.join(TimeUnit.SECONDS.toMillis(5));
            for (int i = started - 1; i >= 0; i--) {
                parts.get(i).end().close();
            }
            assignments.close();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (Exception e) {
            log.error("The coordinator did not end cleanly", e);
        }
    }

    @Override
    public boolean isRunning() {
        return running;
    }

    private void startParts() {
        try {
            if (await("Kafka", topics::createShared)
                    && await("Redis", () -> redis.sync().ping())) {
                for (Part part : parts) {
                    if (closing.getCount() == 0) {
                        return;
                    }
                    // Counted first: one that is still starting has to be ended too.
                    started++;
                    part.start().run();
                }
                log.info("Coordinator is at work");
            }
        } catch (InterruptedException e) {
            log.debug("Interrupted");
        }
    }

    private interface Attempt {
        void run() throws InterruptedException;
    }

    /** Tries until it works, and says every few seconds that it does not; false when the coordinator is to end first. */
    private boolean await(String what, Attempt attempt) throws InterruptedException {
        while (closing.getCount() > 0) {
            try {
                attempt.run();
                return true;
            } catch (RuntimeException e) {
                log.atWarn()
                        .log(
                                "Waiting for {}: {}",
                                what,
                                NestedExceptionUtils.getMostSpecificCause(e).getMessage());
                closing.await(SAY_EVERY_SECONDS, TimeUnit.SECONDS);
            }
        }
        return false;
    }
}
