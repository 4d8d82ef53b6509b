package io.aitbc.worker;

import io.aitbc.contracts.Registration;
import io.aitbc.contracts.TaskHeaders;
import io.aitbc.contracts.Topics;
import java.time.Clock;
import java.time.Duration;
import java.time.ZoneOffset;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.errors.FencedInstanceIdException;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * An agent: registered and alive from {@link Builder#start} to {@link #close}. If two agents use the same id, the one that
 * started later takes over and the other stops. For example, an agent that adds two numbers, ten tasks at a time:
 *
 * <pre>{@code
 * AgentWorker agent = AgentWorker.builder(
 *                 "localhost:9092",
 *                 Registration.of("adder", "worker", List.of("add"), 10),
 *                 (assignment, context) -> Json.tree(assignment.taskData().get("a").asInt()
 *                         + assignment.taskData().get("b").asInt()))
 *         .start();
 * }</pre>
 */
public final class AgentWorker implements AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(AgentWorker.class);
    private static final Duration QUIET_PERIOD = Duration.ofMillis(500);

    /** How long handlers may take to end after they were interrupted. */
    private static final Duration STOP_TIMEOUT = Duration.ofSeconds(2);

    /** Timeout for closing the producer. */
    private static final Duration CLOSE_TIMEOUT = Duration.ofSeconds(3);

    private final Registration registration;
    private final Duration drainTimeout;
    /** Counted down when the agent accepts no more tasks. */
    private final CountDownLatch draining = new CountDownLatch(1);

    private final KafkaProducer<String, byte[]> producer;
    private final Slots slots;
    private final Results results;
    private final Heartbeats heartbeats;
    private final AssignmentConsumer assignments;
    private final Thread thread;
    private volatile boolean failed;

    private AgentWorker(Builder builder) {
        this.registration = builder.registration;
        this.drainTimeout = builder.drainTimeout;
        KafkaClock clock = new KafkaClock(builder.clock);
        KafkaSettings settings = new KafkaSettings(builder.bootstrapServers, builder.kafka);
        this.producer = new KafkaProducer<>(settings.producer(), new StringSerializer(), new ByteArraySerializer());
        this.slots = new Slots(registration.capacity(), HandlerThreads.named("handler-" + agentId()));
        this.results = new Results(producer, builder.topics.results(), agentId(), clock);
        this.heartbeats = new Heartbeats(
                registration,
                builder.topics,
                builder.heartbeatInterval,
                builder.apiKey,
                builder.clock,
                clock,
                producer,
                slots::taken,
                draining,
                () -> {
                    failed = true;
                    draining.countDown();
                });
        this.assignments = new AssignmentConsumer(
                agentId(),
                registration.capacity(),
                builder.topics,
                settings,
                (assignment, record) -> new Attempt(
                        assignment,
                        record.offset(),
                        record.headers().lastHeader(TaskHeaders.TRACEPARENT),
                        builder.handler,
                        results,
                        clock,
                        this::finished),
                slots,
                draining);
        this.thread = new Thread(this::run, "agent-" + agentId());
    }

    /**
     * Returns a builder for an agent that runs a handler.
     *
     * @param bootstrapServers Kafka servers as {@code host:port}, comma-separated
     */
    public static Builder builder(String bootstrapServers, Registration registration, Handler handler) {
        return new Builder(bootstrapServers, registration, handler);
    }

    public String agentId() {
        return registration.agentId();
    }

    /** Returns whether the agent is running; false once closed, or once another agent with the same id has taken over. */
    public boolean isRunning() {
        return thread.isAlive();
    }

    /** Returns whether the agent stopped on its own; the log states the reason. */
    public boolean hasFailed() {
        return failed;
    }

    /** Waits until the agent has stopped. */
    public void join() throws InterruptedException {
        thread.join();
    }

    /**
     * Drains the agent: accepts no new tasks, finishes running ones within the drain timeout, and deregisters. Handlers that are still
     * running are interrupted, and their tasks go to other agents without using up an attempt.
     */
    @Override
    public void close() {
        draining.countDown();
        try {
            thread.join(drainTimeout.plusSeconds(10).toMillis());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void finished(Attempt attempt) {
        assignments.finished(attempt);
    }

    private void run() {
        boolean fenced = false;
        try {
            if (assignments.subscribe()) {
                while (draining.getCount() > 0) {
                    assignments.poll();
                }
                drain();
            }
        } catch (FencedInstanceIdException e) {
            fenced = true;
            failed = true;
            heartbeats.silence();
            log.error("Another agent with id {} has started; this one stops", agentId());
        } catch (KafkaException e) {
            failed = true;
            log.error("Agent {} stops: {}", agentId(), e.toString());
        } catch (Throwable e) {
            failed = true;
            log.error("Agent {} stops", agentId(), e);
        } finally {
            draining.countDown();
            end(fenced);
        }
    }

    /** Finishes what is running. Assignments may still arrive until the coordinators know that the agent is draining. */
    private void drain() {
        long startedAt = System.nanoTime();
        long busyAt = startedAt;
        for (long now = startedAt;
                now - startedAt <= drainTimeout.toNanos() && now - busyAt <= QUIET_PERIOD.toNanos();
                now = System.nanoTime()) {
            assignments.poll();
            if (assignments.isBusy()) {
                busyAt = System.nanoTime();
            }
        }
    }

    private void end(boolean fenced) {
        try {
            assignments.stopHandlers(!fenced);
            List<Runnable> waiting = slots.stop(STOP_TIMEOUT);
            if (!fenced) {
                waiting.forEach(attempt -> ((Attempt) attempt).giveBack());
                flush();
            }
            results.stop();
            assignments.close();
            heartbeats.close();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            inTime("closing-", () -> producer.close(CLOSE_TIMEOUT));
        }
    }

    /** Waits until the reports are acknowledged, so that their offsets can be committed. */
    private void flush() {
        inTime("flushing-", producer::flush);
    }

    /** Calls the producer on a separate thread: with a broker that accepts connections but never answers, it exceeds its timeouts. */
    private void inTime(String name, Runnable call) {
        Thread calling = new Thread(call, name + agentId());
        calling.setDaemon(true);
        calling.start();
        try {
            calling.join(CLOSE_TIMEOUT.toMillis());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Configures an agent. Every setting has a default. */
    public static final class Builder {
        private final String bootstrapServers;
        private final Registration registration;
        private final Handler handler;
        private Topics topics = Topics.unprefixed();
        private Duration heartbeatInterval = Duration.ofSeconds(10);
        private Duration drainTimeout = Duration.ofSeconds(30);
        private Map<String, Object> kafka = Map.of();
        private @Nullable String apiKey;
        private Clock clock = Clock.tickMillis(ZoneOffset.UTC);

        private Builder(String bootstrapServers, Registration registration, Handler handler) {
            this.bootstrapServers = bootstrapServers;
            this.registration = registration;
            this.handler = handler;
        }

        /** Topic names; must match the coordinators' configuration. */
        public Builder topics(Topics topics) {
            this.topics = topics;
            return this;
        }

        /** Heartbeat interval, 10 s by default. Coordinators expect a heartbeat every 30 s. */
        public Builder heartbeatInterval(Duration interval) {
            if (interval.isNegative() || interval.isZero()) {
                throw new IllegalArgumentException("the heartbeat interval must be positive");
            }
            this.heartbeatInterval = interval;
            return this;
        }

        /** Maximum time that {@link AgentWorker#close} waits for running tasks; 30 s by default. */
        public Builder drainTimeout(Duration timeout) {
            if (timeout.isNegative()) {
                throw new IllegalArgumentException("the drain timeout must not be negative");
            }
            this.drainTimeout = timeout;
            return this;
        }

        /**
         * API key of the agent, required while the coordinators' security is on: a key with role {@code agent} for its id. Kafka's own
         * credentials are set with {@link #kafka}.
         */
        public Builder apiKey(String key) {
            this.apiKey = key;
            return this;
        }

        /** Clock used until Kafka's time is known; the system clock by default. It may be wrong. */
        public Builder clock(Clock clock) {
            this.clock = clock;
            return this;
        }

        /** Additional Kafka client settings, such as those for security. */
        public Builder kafka(Properties properties) {
            Map<String, Object> settings = new HashMap<>();
            properties.stringPropertyNames().forEach(name -> settings.put(name, properties.getProperty(name)));
            this.kafka = settings;
            return this;
        }

        public AgentWorker start() {
            AgentWorker worker = new AgentWorker(this);
            worker.heartbeats.start();
            worker.thread.start();
            return worker;
        }
    }
}
