package io.aitbc.coordinator;

import io.aitbc.coordinator.assign.AssignmentPublisher;
import io.aitbc.coordinator.audit.AuditTrail;
import io.aitbc.coordinator.background.BackgroundService;
import io.aitbc.coordinator.background.ConsecutiveFailures;
import io.aitbc.coordinator.background.MonitoredThread;
import io.aitbc.coordinator.background.Problem;
import io.aitbc.coordinator.bulk.BulkRunner;
import io.aitbc.coordinator.delivery.AssignmentClaims;
import io.aitbc.coordinator.delivery.DeliveryLoop;
import io.aitbc.coordinator.dispatch.ClusterControl;
import io.aitbc.coordinator.dispatch.Dispatcher;
import io.aitbc.coordinator.dispatch.FailureDetector;
import io.aitbc.coordinator.dispatch.LaneStatsReporter;
import io.aitbc.coordinator.dispatch.LostRecords;
import io.aitbc.coordinator.dispatch.RecordFetcher;
import io.aitbc.coordinator.dispatch.WantsExchange;
import io.aitbc.coordinator.event.EventOutbox;
import io.aitbc.coordinator.event.TaskEvents;
import io.aitbc.coordinator.history.HistoryLoop;
import io.aitbc.coordinator.intake.QueueLimit;
import io.aitbc.coordinator.intake.ResultReports;
import io.aitbc.coordinator.kafka.SharedTopics;
import io.aitbc.coordinator.push.PushLoop;
import io.aitbc.coordinator.queue.FinishedTaskCleaner;
import io.aitbc.coordinator.queue.LedgerTopic;
import io.aitbc.coordinator.queue.OpenTransactions;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.registry.AgentView;
import io.aitbc.coordinator.registry.HeartbeatLoop;
import io.aitbc.coordinator.registry.ReachCheck;
import io.aitbc.coordinator.registry.TopicRemover;
import io.aitbc.coordinator.security.ApiKeys;
import io.aitbc.coordinator.security.OpenCalls;
import io.aitbc.coordinator.security.Signatures;
import io.aitbc.coordinator.settle.Settlement;
import java.time.Duration;
import java.util.List;
import java.util.stream.Stream;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.utils.Utils;
import org.jspecify.annotations.Nullable;
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
    private static final Duration RETRY_INTERVAL = Duration.ofSeconds(5);

    private final SharedTopics topics;
    private final Redis redis;
    private final SettingsCheck settings;
    private final List<BackgroundService> services;
    private final AssignmentPublisher assignments;
    private final MonitoredThread starter = new MonitoredThread("starter", this::startServices);
    private final ConsecutiveFailures waiting = new ConsecutiveFailures(log);
    private volatile boolean running;
    private volatile int started;
    private volatile @Nullable String waitingFor;

    Coordinator(
            SharedTopics topics,
            Redis redis,
            SettingsCheck settings,
            AgentView agents,
            HeartbeatLoop heartbeats,
            ReachCheck reachCheck,
            TopicRemover topicRemover,
            ClusterControl control,
            AuditTrail audit,
            ApiKeys keys,
            Signatures signatures,
            OpenCalls calls,
            LedgerTopic ledger,
            EventOutbox eventOutbox,
            LostRecords lostRecords,
            RecordFetcher recordFetcher,
            Dispatcher dispatcher,
            FailureDetector failureDetector,
            AssignmentPublisher assignments,
            TaskEvents events,
            Settlement settlement,
            DeliveryLoop deliveries,
            AssignmentClaims claims,
            PushLoop pushes,
            LaneStatsReporter statsReporter,
            WantsExchange wants,
            FinishedTaskCleaner finishedTaskCleaner,
            QueueLimit queueLimit,
            ResultReports resultReports,
            OpenTransactions openTransactions,
            HistoryLoop history,
            BulkRunner bulk) {
        this.topics = topics;
        this.redis = redis;
        this.settings = settings;
        this.assignments = assignments;
        // Start order: each part may notify those after it.
        this.services = List.of(
                topics,
                audit,
                keys,
                signatures,
                calls,
                agents,
                heartbeats,
                reachCheck,
                topicRemover,
                control,
                ledger,
                events,
                eventOutbox,
                lostRecords,
                recordFetcher,
                dispatcher,
                failureDetector,
                settlement,
                deliveries,
                claims,
                statsReporter,
                wants,
                finishedTaskCleaner,
                queueLimit,
                resultReports,
                openTransactions,
                history,
                bulk,
                settings,
                pushes);
    }

    /** Whether Kafka and Redis are available and all threads run. */
    public boolean isStarted() {
        return started == services.size();
    }

    /** What it waits for before it starts, such as "Kafka: " and the reason; null if it does not wait. */
    public @Nullable String waitingFor() {
        return waitingFor;
    }

    /** Current problems of the services. */
    public List<Problem> problems() {
        Stream<Problem> ofStarter = isStarted() ? Stream.empty() : starter.problems().stream();
        return Stream.concat(ofStarter, services.stream().limit(started).flatMap(part -> part.problems().stream()))
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
        starter.close();
        closeAll(services.subList(0, started));
        Utils.closeQuietly(assignments, "assignments");
    }

    /** Closes the services in reverse order of start. If one fails to close, the others are closed all the same. */
    static void closeAll(List<? extends BackgroundService> services) {
        for (int i = services.size() - 1; i >= 0; i--) {
            BackgroundService part = services.get(i);
            Utils.closeQuietly(part, part.getClass().getSimpleName());
        }
    }

    @Override
    public boolean isRunning() {
        return running;
    }

    /** Stops after its callers, such as live updates, which would otherwise wait for a probe until it times out. */
    @Override
    public int getPhase() {
        return DEFAULT_PHASE - 1;
    }

    private void startServices() {
        try {
            if (retryUntilSuccess("Kafka", topics::create)
                    && retryUntilSuccess("Redis", redis::checkFormat)
                    && retryUntilSuccess("safe settings (AITBC_STRICT)", settings::checkAtStartup)) {
                for (BackgroundService part : services) {
                    if (starter.isClosing()) {
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
    private boolean retryUntilSuccess(String what, Attempt attempt) throws InterruptedException {
        while (!starter.isClosing()) {
            try {
                attempt.run();
                waiting.reset();
                waitingFor = null;
                return true;
            } catch (RuntimeException | Error e) {
                waitingFor = what + ": " + reason(e);
                waiting.onFailure().log("Waiting for {}", waitingFor);
                starter.pause(RETRY_INTERVAL);
            }
        }
        return false;
    }

    private static @Nullable String reason(Throwable failure) {
        Throwable cause = NestedExceptionUtils.getMostSpecificCause(failure);
        // Kafka's words for a client without a connection are for those who know its client.
        return cause instanceof TimeoutException
                        && String.valueOf(cause.getMessage()).contains("node assignment")
                ? "no server of AITBC_KAFKA_BOOTSTRAP_SERVERS responds, or none in the protocol of AITBC_KAFKA_CONFIG"
                : cause.getMessage();
    }
}
