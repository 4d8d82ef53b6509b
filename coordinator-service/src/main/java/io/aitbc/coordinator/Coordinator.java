package io.aitbc.coordinator;

import io.aitbc.coordinator.assign.AssignmentTopics;
import io.aitbc.coordinator.background.FailuresInARow;
import io.aitbc.coordinator.background.Part;
import io.aitbc.coordinator.background.WatchedThread;
import io.aitbc.coordinator.dispatch.ClusterControl;
import io.aitbc.coordinator.dispatch.Dispatcher;
import io.aitbc.coordinator.dispatch.FiguresReport;
import io.aitbc.coordinator.dispatch.WantsExchange;
import io.aitbc.coordinator.intake.DoneTasks;
import io.aitbc.coordinator.intake.OpenTransactions;
import io.aitbc.coordinator.kafka.SharedTopics;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.registry.AgentView;
import io.aitbc.coordinator.registry.HeartbeatLoop;
import io.aitbc.coordinator.registry.TopicRemoval;
import io.aitbc.coordinator.settle.Settlement;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.apache.kafka.common.utils.Utils;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.context.SmartLifecycle;
import org.springframework.core.NestedExceptionUtils;
import org.springframework.stereotype.Component;

/**
 * Starts the coordinator's threads once Kafka and Redis are available, and stops them in reverse order. REST is served throughout and
 * reports what is missing.
 */
@Component
public final class Coordinator implements SmartLifecycle {
    private static final Logger log = LoggerFactory.getLogger(Coordinator.class);
    private static final long TRY_EVERY_SECONDS = 5;

    private final SharedTopics topics;
    private final Redis redis;
    private final List<Part> parts;
    private final AssignmentTopics assignments;
    private final CountDownLatch closing = new CountDownLatch(1);
    private final WatchedThread starter = new WatchedThread("starter", this::startParts);
    private final FailuresInARow waiting = new FailuresInARow(log);
    private volatile boolean running;
    private volatile int started;

    Coordinator(
            SharedTopics topics,
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
        // Start order: each part may notify those after it.
        this.parts = List.of(
                topics,
                agents,
                heartbeats,
                topicRemoval,
                control,
                dispatcher,
                settlement,
                figures,
                wants,
                doneTasks,
                openTransactions);
    }

    /** Whether Kafka and Redis are available and all threads run. */
    public boolean isStarted() {
        return started == parts.size();
    }

    /** Current problems of the parts, one sentence each. */
    public List<String> troubles() {
        Stream<String> ofStarter = isStarted() ? Stream.empty() : starter.troubles().stream();
        return Stream.concat(ofStarter, parts.stream().limit(started).flatMap(part -> part.troubles().stream()))
                .toList();
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
        starter.awaitEnd();
        closeAll(parts.subList(0, started));
        Utils.closeQuietly(assignments, "assignments");
    }

    /** Closes the parts in reverse order of start. A failure to close one does not keep the others open. */
    static void closeAll(List<? extends Part> parts) {
        for (int i = parts.size() - 1; i >= 0; i--) {
            Part part = parts.get(i);
            Utils.closeQuietly(part, part.getClass().getSimpleName());
        }
    }

    @Override
    public boolean isRunning() {
        return running;
    }

    /** Stops after whatever asks it, such as live updates: they would wait in vain. */
    @Override
    public int getPhase() {
        return DEFAULT_PHASE - 1;
    }

    private void startParts() {
        try {
            if (await("Kafka", topics::create)
                    && await("Redis", () -> redis.sync().ping())) {
                for (Part part : parts) {
                    if (closing.getCount() == 0) {
                        return;
                    }
                    // Count before starting: a part that is still starting must be closed too.
                    started++;
                    part.start();
                }
                log.info("Coordinator started");
            }
        } catch (InterruptedException e) {
            log.debug("Interrupted");
        }
    }

    private interface Attempt {
        void run() throws InterruptedException;
    }

    /** Retries every few seconds until it succeeds. False if the coordinator is closing. */
    private boolean await(String what, Attempt attempt) throws InterruptedException {
        while (closing.getCount() > 0) {
            try {
                attempt.run();
                waiting.end();
                return true;
            } catch (RuntimeException | Error e) {
                waiting.next()
                        .log(
                                "Waiting for {}: {}",
                                what,
                                NestedExceptionUtils.getMostSpecificCause(e).getMessage());
                closing.await(TRY_EVERY_SECONDS, TimeUnit.SECONDS);
            }
        }
        return false;
    }
}
