package io.aitbc.worker;

import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Heartbeat;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Registration;
import io.aitbc.contracts.TaskHeaders;
import io.aitbc.contracts.Topics;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.IntSupplier;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Sends an agent's heartbeats, on a thread of its own. Each holds the registration, so that no other message is needed to register. */
final class Heartbeats {
    private static final Logger log = LoggerFactory.getLogger(Heartbeats.class);
    private static final Duration RETRY_INTERVAL = Duration.ofMillis(500);

    private final Registration registration;
    private final Topics topics;
    private final Duration interval;
    private final @Nullable String apiKey;
    private final Clock clock;
    private final KafkaClock kafkaClock;
    private final Producer<String, byte[]> producer;
    private final IntSupplier taken;
    private final Runnable failed;
    private final String instanceId = UUID.randomUUID().toString();
    private final ProcessLoad load = new ProcessLoad();
    private final CountDownLatch draining;
    private final CountDownLatch ended = new CountDownLatch(1);
    private final Thread thread;

    private volatile boolean silenced;
    private volatile boolean delivered = true;
    /** To be sent with each heartbeat until one is delivered; then omitted, so that changes made elsewhere are kept. */
    private volatile @Nullable AgentStatus pendingStatus;

    /**
     * @param apiKey proves that they are the agent's; null if the coordinators require none
     * @param taken how many of the agent's slots are taken
     * @param draining once it is counted down, heartbeats say that the agent accepts no tasks
     * @param failed called if heartbeats cannot go on: tasks would be reassigned while the agent still runs them
     */
    Heartbeats(
            Registration registration,
            Topics topics,
            Duration interval,
            @Nullable String apiKey,
            Clock clock,
            KafkaClock kafkaClock,
            Producer<String, byte[]> producer,
            IntSupplier taken,
            CountDownLatch draining,
            Runnable failed) {
        this.registration = registration;
        this.topics = topics;
        this.interval = interval;
        this.apiKey = apiKey;
        this.clock = clock;
        this.kafkaClock = kafkaClock;
        this.producer = producer;
        this.taken = taken;
        this.draining = draining;
        this.failed = failed;
        this.thread = new Thread(this::run, "heartbeat-" + registration.agentId());
        thread.setDaemon(true);
    }

    void start() {
        thread.start();
    }

    /** Sends nothing more: another process has taken over this agent id. */
    void silence() {
        silenced = true;
    }

    /** Ends the heartbeats, with a last one that deregisters the agent. */
    void close() throws InterruptedException {
        draining.countDown();
        ended.countDown();
        thread.join(TimeUnit.SECONDS.toMillis(1));
        // While Kafka is unavailable, the last heartbeat is still queued; another would wait as long.
        if (!silenced && !thread.isAlive() && delivered) {
            send(AgentStatus.INACTIVE);
        }
    }

    private void run() {
        try {
            sendUntil(draining, AgentStatus.ACTIVE);
            // Draining may take longer than the heartbeat timeout.
            sendUntil(ended, AgentStatus.MAINTENANCE);
        } catch (InterruptedException e) {
            log.debug("Heartbeats stopped: {}", e.toString());
        } catch (Throwable e) {
            log.error("Agent {} cannot send heartbeats and stops", registration.agentId(), e);
            failed.run();
        }
    }

    private void sendUntil(CountDownLatch end, AgentStatus status) throws InterruptedException {
        if (silenced) {
            return;
        }
        pendingStatus = status;
        send(pendingStatus);
        while (!end.await(nextDelay().toMillis(), TimeUnit.MILLISECONDS)) {
            send(pendingStatus);
        }
    }

    private Duration nextDelay() {
        return delivered || interval.compareTo(RETRY_INTERVAL) < 0 ? interval : RETRY_INTERVAL;
    }

    private void send(@Nullable AgentStatus status) {
        try {
            Instant now = clock.instant();
            Heartbeat heartbeat = new Heartbeat(
                    registration.agentId(),
                    status,
                    load.metrics(taken.getAsInt(), registration.capacity()),
                    now,
                    instanceId,
                    registration);
            long sentAt = now.toEpochMilli();
            ProducerRecord<String, byte[]> record = new ProducerRecord<>(
                    topics.heartbeats(), null, sentAt, registration.agentId(), Json.bytes(heartbeat));
            if (apiKey != null) {
                record.headers().add(TaskHeaders.API_KEY, apiKey.getBytes(StandardCharsets.UTF_8));
            }
            producer.send(record, (metadata, failure) -> {
                if (failure == null) {
                    kafkaClock.acknowledged(sentAt, metadata.timestamp());
                    delivered = true;
                    if (status == pendingStatus) {
                        pendingStatus = null;
                    }
                } else {
                    sendingFailed(failure);
                }
            });
        } catch (RuntimeException e) {
            sendingFailed(e);
        }
    }

    /** Logs the first failure only, until a heartbeat succeeds again. */
    private void sendingFailed(Exception failure) {
        if (delivered) {
            delivered = false;
            log.warn("Heartbeat of {} not sent: {}", registration.agentId(), failure.toString());
        }
    }
}
