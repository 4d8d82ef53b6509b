package io.aitbc.worker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;
import static org.awaitility.Awaitility.await;

import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Cancellation;
import io.aitbc.contracts.Heartbeat;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Registration;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Task;
import io.aitbc.contracts.TaskHeaders;
import io.aitbc.contracts.TaskResult;
import io.aitbc.contracts.Topics;
import io.aitbc.localstack.LocalStack;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Properties;
import java.util.UUID;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Supplier;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Partitioner;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.Cluster;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.UnknownServerException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/** A worker on a real broker; the test acts as the coordinator. */
class AgentWorkerTest {
    private static final LocalStack STACK = LocalStack.shared();
    private static final int CAPACITY = 3;
    private static final Duration DEFAULT_TIMEOUT = Duration.ofSeconds(600);

    private final String agentId = "agent";
    private final Topics topics = new Topics(UUID.randomUUID().toString().substring(0, 8) + ".");
    private final Map<String, Object> servers = Map.of("bootstrap.servers", STACK.bootstrapServers());
    private final KafkaProducer<String, byte[]> producer = new KafkaProducer<>(
            Map.of(
                    "bootstrap.servers",
                    STACK.bootstrapServers(),
                    // While a topic is new, the first batch may be refused and the second be accepted; the first then
                    // never is.
                    "max.in.flight.requests.per.connection",
                    1),
            new StringSerializer(),
            new ByteArraySerializer());

    @BeforeEach
    void makeTopics() throws Exception {
        try (Admin admin = Admin.create(servers)) {
            admin.createTopics(List.of(topics.assignments(agentId), topics.results(), topics.heartbeats()).stream()
                            // Configured as coordinators create them, as far as relevant here.
                            .map(name -> new NewTopic(name, Optional.of(1), Optional.empty())
                                    .configs(Map.of(
                                            "message.timestamp.type",
                                            name.equals(topics.assignments(agentId)) ? "CreateTime" : "LogAppendTime")))
                            .toList())
                    .all()
                    .get();
        }
    }

    @AfterEach
    void closeProducer() {
        producer.close();
    }

    @Test
    void itRegistersByHeartbeatAndSaysGoodbye() {
        AgentWorker worker = start((assignment, context) -> null);
        await().until(() -> !read(topics.heartbeats(), Heartbeat.class).isEmpty());
        worker.close();
        List<Heartbeat> heartbeats = await().until(
                        () -> read(topics.heartbeats(), Heartbeat.class),
                        found -> !found.isEmpty() && found.get(found.size() - 1).status() == AgentStatus.INACTIVE);
        Heartbeat first = heartbeats.get(0);
        assertThat(first.registration().capacity()).isEqualTo(CAPACITY);
        assertThat(first.loadMetrics().get("cpu_usage")).isBetween(0.0, 1.0);
        assertThat(first.loadMetrics().get("memory_usage")).isBetween(0.0, 1.0);
        assertThat(heartbeats).extracting(Heartbeat::status).contains(AgentStatus.MAINTENANCE);
    }

    @Test
    void eachOutcomeIsReported() {
        try (AgentWorker worker = start((assignment, context) -> {
            switch (assignment.taskId()) {
                case "fails" -> throw new IllegalStateException("no more disk");
                case "breaks" -> throw new StackOverflowError("too deep");
                case "interrupted" -> throw new InterruptedException("by a library");
                case "rejected" -> throw new Handler.RejectedException("not now");
                case "invalid" -> throw new Handler.PermanentFailureException("no such model");
                case "limited" -> throw new Handler.RetryLaterException("429", Duration.ofSeconds(30));
                case "slow" -> context.progress(Json.object().put("percent", 50));
                default -> {}
            }
            return Json.object().put("done", true);
        })) {
            give("works");
            give("fails");
            give("breaks");
            give("interrupted");
            give("rejected");
            give("invalid");
            give("limited");
            give("slow");
            producer.send(new ProducerRecord<>(topics.assignments(agentId), "bad", "nonsense".getBytes()));
            give("after-nonsense");
            List<TaskResult> results = awaitResults(10);
            assertThat(results)
                    .extracting(
                            result -> result.taskId() + " " + result.status().wireName())
                    .containsExactlyInAnyOrder(
                            "works completed",
                            "fails failed",
                            "breaks failed",
                            "interrupted failed",
                            "rejected rejected",
                            "invalid failed",
                            "limited failed",
                            "slow progress",
                            "slow completed",
                            "after-nonsense completed");
            assertThat(results)
                    .filteredOn(result -> result.error() != null)
                    .extracting(result -> result.error().asString())
                    .containsExactlyInAnyOrder(
                            "no more disk", "too deep", "by a library", "not now", "no such model", "429");
            assertThat(results)
                    .filteredOn(result -> Boolean.FALSE.equals(result.retryable()))
                    .extracting(TaskResult::taskId)
                    .containsExactly("invalid");
            assertThat(results)
                    .filteredOn(result -> result.retryAfterSeconds() != null)
                    .extracting(TaskResult::taskId, TaskResult::retryAfterSeconds)
                    .containsExactly(tuple("limited", 30.0));
        }
    }

    @Test
    void itWorksOnAsManyAsItsCapacitySays() {
        Semaphore leave = new Semaphore(0);
        AtomicInteger inside = new AtomicInteger();
        AtomicInteger most = new AtomicInteger();
        try (AgentWorker worker = start((assignment, context) -> {
            most.accumulateAndGet(inside.incrementAndGet(), Math::max);
            leave.acquire();
            inside.decrementAndGet();
            return null;
        })) {
            for (int i = 0; i < 9; i++) {
                give("task-" + i);
            }
            await().until(() -> inside.get() == CAPACITY);
            leave.release(9);
            awaitResults(9);
            assertThat(most).hasValue(CAPACITY);
        }
    }

    @Test
    void aRepeatedAssignmentIsDroppedEvenAfterARestart() {
        AtomicInteger runs = new AtomicInteger();
        Instant assignedAt = Instant.now();
        Handler counting = (assignment, context) -> Json.object().put("run", runs.incrementAndGet());
        try (AgentWorker worker = start(counting)) {
            give("twice", assignedAt);
            give("twice", assignedAt);
            give("other");
            awaitResults(2);
        }
        try (AgentWorker restarted = start(counting)) {
            give("twice", assignedAt);
            give("last");
            assertThat(awaitResults(3)).extracting(TaskResult::taskId).containsOnlyOnce("twice", "other", "last");
        }
        assertThat(runs).hasValue(3);
    }

    /** Even if the task state is lost, an agent never runs the same task twice at the same time. */
    @Test
    void anAssignmentOfTheSameIdIsDroppedWhileTheFirstRuns() {
        Semaphore leave = new Semaphore(0);
        AtomicInteger runs = new AtomicInteger();
        try (AgentWorker worker = start((assignment, context) -> {
            runs.incrementAndGet();
            if (assignment.taskId().equals("again")) {
                leave.acquire();
            }
            return null;
        })) {
            give("again", Instant.now());
            await().until(() -> runs.get() == 1);
            give("again", Instant.now().plusSeconds(1));
            give("last");
            awaitResults(1);
            leave.release(2);
            awaitResults(2);
        }
        assertThat(runs).hasValue(2);
    }

    /** The task was resubmitted after its state had been removed, so its ids are the same as before. */
    @Test
    void aTaskThatIsAssignedAgainLaterIsNoRepetition() {
        AtomicInteger runs = new AtomicInteger();
        try (AgentWorker worker = start((assignment, context) -> Json.object().put("run", runs.incrementAndGet()))) {
            give("again", Instant.now());
            await().until(() -> committed() == 1);
            give("again", Instant.now().plusSeconds(1));
            awaitResults(2);
        }
        assertThat(runs).hasValue(2);
    }

    @Test
    void whatIsNotReportedIsNotCommitted() {
        Semaphore leave = new Semaphore(0);
        try (AgentWorker worker = start((assignment, context) -> {
            if (assignment.taskId().equals("held")) {
                leave.acquire();
            }
            return null;
        })) {
            give("first");
            give("held");
            give("last");
            awaitResults(2);
            await().until(() -> committed() == 1);
            leave.release();
            await().until(() -> committed() == 3);
        }
    }

    @Test
    void aCancelledAssignmentIsInterruptedAndNotReported() {
        Semaphore started = new Semaphore(0);
        try (AgentWorker worker = start((assignment, context) -> {
            if (assignment.taskId().equals("long")) {
                started.release();
                new Semaphore(0).acquire();
            }
            return null;
        })) {
            give("long");
            await().until(() -> started.availablePermits() == 1);
            cancel("long");
            Instant assignedAt = Instant.now();
            cancel("overtaken");
            give("overtaken", assignedAt);
            give("last");
            await().until(() -> committed() == 5);
            assertThat(awaitResults(1)).extracting(TaskResult::taskId).containsExactly("last");
        }
    }

    /** The coordinator has already freed the slot of a cancelled task, and may have filled it again. */
    @Test
    void aFullAgentHearsCancellations() {
        Semaphore started = new Semaphore(0);
        try (AgentWorker worker = start((assignment, context) -> {
            if (assignment.taskId().startsWith("long")) {
                started.release();
                new Semaphore(0).acquire();
            }
            return null;
        })) {
            for (int i = 0; i < CAPACITY; i++) {
                give("long-" + i);
            }
            await().until(() -> started.availablePermits() == CAPACITY);
            give("cancelled-while-it-waits");
            give("next");
            cancel("cancelled-while-it-waits");
            cancel("long-0");
            assertThat(awaitResults(1)).extracting(TaskResult::taskId).containsExactly("next");
            for (int i = 1; i < CAPACITY; i++) {
                cancel("long-" + i);
            }
            await().until(() -> committed() == 2 * CAPACITY + 3);
            assertThat(read(topics.results(), TaskResult.class)).hasSize(1);
        }
    }

    /** Uses more tasks than the agent has slots, so that a leaked slot fails the test. */
    @Test
    void whatCanNeverBeSentIsReportedAsFailedWithTheReason() {
        try (AgentWorker worker = start((assignment, context) -> {
            switch (assignment.taskId()) {
                case "too-large-for-the-client" -> {
                    return Json.tree("x".repeat(3_000_000));
                }
                case "too-large-for-the-topic" -> {
                    return Json.tree("x".repeat(1_500_000));
                }
                case "unwritable" -> {
                    return Json.MAPPER.getNodeFactory().pojoNode(new Unwritable());
                }
                case "too-deep" -> {
                    return nested(300);
                }
                case "long-error" -> throw new IllegalStateException("no more disk: " + "x".repeat(3_000_000));
                case "unspeakable" -> throw new Unspeakable();
                case "long-progress" -> context.progress(Json.tree("x".repeat(3_000_000)));
                default -> {}
            }
            return null;
        })) {
            List<String> tasks = List.of(
                    "too-large-for-the-client",
                    "too-large-for-the-topic",
                    "unwritable",
                    "too-deep",
                    "long-error",
                    "unspeakable",
                    "long-progress",
                    "last");
            tasks.forEach(this::give);
            List<TaskResult> results = awaitResults(tasks.size() + 1);
            assertThat(results)
                    .extracting(
                            result -> result.taskId() + " " + result.status().wireName())
                    .containsExactlyInAnyOrder(
                            "too-large-for-the-client failed",
                            "too-large-for-the-topic failed",
                            "unwritable failed",
                            "too-deep failed",
                            "long-error failed",
                            "unspeakable failed",
                            "long-progress progress",
                            "long-progress completed",
                            "last completed");
            assertThat(errorOf("too-large-for-the-client", results)).startsWith("the result is too large");
            assertThat(errorOf("too-large-for-the-topic", results)).startsWith("the result is too large");
            assertThat(errorOf("unwritable", results)).startsWith("the result cannot be written as JSON");
            assertThat(errorOf("too-deep", results)).startsWith("the result cannot be read");
            assertThat(errorOf("long-error", results)).contains("too large", "no more disk");
            assertThat(errorOf("unspeakable", results)).isEqualTo("Unspeakable");
            await().until(() -> committed() == tasks.size());
        }
    }

    /** Reporting a rejected result needs buffer space, which is free only once the producer has dropped the result. */
    @Test
    void aRefusedResultDoesNotBlockTheProducer() {
        Properties tight = new Properties();
        int bytes = 1_500_000;
        tight.setProperty("buffer.memory", String.valueOf(bytes + 8_192));
        try (AgentWorker worker = builder((assignment, context) ->
                        assignment.taskId().equals("refused") ? Json.tree("x".repeat(bytes)) : null)
                .kafka(tight)
                .start()) {
            give("refused");
            give("last");
            assertThat(awaitResults(2))
                    .extracting(
                            result -> result.taskId() + " " + result.status().wireName())
                    .containsExactlyInAnyOrder("refused failed", "last completed");
        }
    }

    @Test
    void aResultIsSentAgainWhileThatCanHelp() {
        Properties refusing = new Properties();
        refusing.setProperty("partitioner.class", Refuses.class.getName());
        Refuses.with(2, new UnknownServerException("transient failure"));
        try (AgentWorker worker =
                builder((assignment, context) -> null).kafka(refusing).start()) {
            give("refused");
            assertThat(awaitResults(1))
                    .extracting(
                            result -> result.taskId() + " " + result.status().wireName())
                    .containsExactly("refused completed");
            assertThat(Refuses.left).hasValue(0);
            await().until(() -> committed() == 1);
        }
    }

    /** If its offset were committed without a report, emptying Redis before the coordinator acts on the deadline would lose the task. */
    @Test
    void aResultIsRetriedBeyondItsDeadlineWhileKafkaDoesNotAnswer() {
        Properties refusing = new Properties();
        refusing.setProperty("partitioner.class", Refuses.class.getName());
        Refuses.with(0, new org.apache.kafka.common.errors.TimeoutException("no answer"));
        try (AgentWorker worker =
                builder((assignment, context) -> null).kafka(refusing).start()) {
            give("first");
            awaitResults(1);
            // The fourth refusal comes after 3.5 s.
            Refuses.left.set(4);
            give("late", Instant.now().minus(DEFAULT_TIMEOUT).plusSeconds(2));
            assertThat(awaitResults(2).get(1))
                    .extracting(
                            result -> result.taskId() + " " + result.status().wireName())
                    .isEqualTo("late completed");
            assertThat(Refuses.left).hasValue(0);
            await().until(() -> committed() == 2);
        }
    }

    /** Simulates a broker that rejects results for a while: fails the partitioning of results, but not of heartbeats. */
    public static final class Refuses implements Partitioner {
        static final AtomicInteger left = new AtomicInteger();
        static volatile RuntimeException refusal;

        static void with(int times, RuntimeException exception) {
            refusal = exception;
            left.set(times);
        }

        @Override
        public int partition(
                String topic, Object key, byte[] keyBytes, Object value, byte[] valueBytes, Cluster cluster) {
            if (topic.endsWith("tasks.results") && left.get() > 0) {
                left.decrementAndGet();
                throw refusal;
            }
            return 0;
        }

        @Override
        public void configure(Map<String, ?> configs) {}

        @Override
        public void close() {}
    }

    @Test
    void aHandlerThatInterruptsItselfTakesNothingFromTheNext() {
        try (AgentWorker worker = start((assignment, context) -> {
            if (assignment.taskId().startsWith("interrupts")) {
                Thread.currentThread().interrupt();
            } else {
                TimeUnit.MILLISECONDS.sleep(1);
            }
            return null;
        })) {
            for (int i = 0; i < 2 * CAPACITY; i++) {
                give("interrupts-" + i);
                give("sleeps-" + i);
            }
            assertThat(awaitResults(4 * CAPACITY))
                    .extracting(TaskResult::status)
                    .containsOnly(TaskResult.Status.COMPLETED);
        }
    }

    @Test
    void whatIsRunningIsFinishedBeforeItEnds() {
        Semaphore started = new Semaphore(0);
        Semaphore leave = new Semaphore(0);
        AgentWorker worker = builder((assignment, context) -> {
                    started.release();
                    leave.acquire();
                    return null;
                })
                .heartbeatInterval(Duration.ofMillis(100))
                .start();
        give("running");
        await().until(() -> started.availablePermits() == 1);
        Thread closing = new Thread(worker::close);
        closing.start();
        // Heartbeats continue throughout: an agent silent for too long would lose the tasks it is finishing.
        await().until(() -> read(topics.heartbeats(), Heartbeat.class).stream()
                        .dropWhile(heartbeat -> heartbeat.status() != AgentStatus.MAINTENANCE)
                        .count()
                >= 4);
        assertThat(closing.isAlive()).isTrue();
        leave.release();
        await().atMost(Duration.ofSeconds(90)).until(() -> !closing.isAlive());
        assertThat(awaitResults(1)).extracting(TaskResult::taskId).containsExactly("running");
    }

    @Test
    void whatCannotBeFinishedIsGivenBack() throws Exception {
        Semaphore started = new Semaphore(0);
        AgentWorker worker = builder((assignment, context) -> {
                    started.release();
                    TimeUnit.DAYS.sleep(1);
                    return null;
                })
                .drainTimeout(Duration.ofMillis(100))
                .start();
        for (int i = 0; i < CAPACITY + 2; i++) {
            give("task-" + i);
        }
        await().until(() -> started.availablePermits() == CAPACITY);

        worker.close();

        List<TaskResult> results = awaitResults(CAPACITY + 2);
        assertThat(results).extracting(TaskResult::status).containsOnly(TaskResult.Status.REJECTED);
        assertThat(results)
                .extracting(result -> result.reason().asString())
                .containsOnly("agent agent stopped before the task was done");
        assertThat(committed()).isEqualTo(CAPACITY + 2);
    }

    /** Another agent must not start what still runs here. */
    @Test
    void anAttemptThatIgnoresTheInterruptIsNotGivenBack() throws Exception {
        Semaphore started = new Semaphore(0);
        Semaphore leave = new Semaphore(0);
        AgentWorker worker = builder((assignment, context) -> {
                    started.release();
                    leave.acquireUninterruptibly();
                    return null;
                })
                .drainTimeout(Duration.ofMillis(100))
                .start();
        give("stubborn");
        await().until(() -> started.availablePermits() == 1);

        worker.close();

        assertThat(read(topics.results(), TaskResult.class)).isEmpty();
        assertThat(committed()).isZero();
        leave.release();
    }

    @Test
    void aHandlerKnowsItsDeadlineItsTraceAndWhetherItIsCancelled() {
        AtomicReference<AssignmentContext> seen = new AtomicReference<>();
        try (AgentWorker worker = start((assignment, context) -> {
            seen.set(context);
            while (!context.isCancelled()) {
                LockSupport.parkNanos(1_000_000);
            }
            return null;
        })) {
            Instant assignedAt = Instant.now();
            ProducerRecord<String, byte[]> record = new ProducerRecord<>(
                    topics.assignments(agentId), "traced", Json.bytes(assignment("traced", assignedAt)));
            record.headers().add(TaskHeaders.TRACEPARENT, "00-trace".getBytes(StandardCharsets.UTF_8));
            producer.send(record);
            AssignmentContext context = await().until(seen::get, Objects::nonNull);
            assertThat(context.traceparent()).isEqualTo("00-trace");
            assertThat(context.deadline()).isEqualTo(assignedAt.plusSeconds(600));
            assertThat(context.timeLeft()).isBetween(Duration.ofSeconds(500), Duration.ofSeconds(601));
            context.progress(Json.tree("half"));
            await().until(() -> context.deadline().isAfter(assignedAt.plusSeconds(600)));
            assertThat(context.isCancelled()).isFalse();
            cancel("traced");
            await().until(context::isCancelled);
        }
    }

    @Test
    void handlersRunOnVirtualThreadsWhereTheJdkHasThem() throws Exception {
        AtomicReference<Thread> seen = new AtomicReference<>();
        try (AgentWorker worker = start((assignment, context) -> {
            seen.set(Thread.currentThread());
            return null;
        })) {
            give("any");
            Thread thread = await().until(seen::get, Objects::nonNull);
            assertThat(thread.getName()).isEqualTo("handler-agent");
            assertThat(thread.isDaemon()).isTrue();
            if (Runtime.version().feature() >= 21) {
                assertThat(Thread.class.getMethod("isVirtual").invoke(thread)).isEqualTo(true);
            }
        }
    }

    @Test
    void allHeartbeatsOfAProcessHaveOneInstanceIdAndOfAnotherAnother() {
        for (int processes = 0; processes < 2; processes++) {
            start((assignment, context) -> null).close();
        }
        assertThat(read(topics.heartbeats(), Heartbeat.class).stream()
                        .map(Heartbeat::instanceId)
                        .distinct())
                .hasSize(2)
                .doesNotContainNull();
    }

    /** The agent that started later stays active; the earlier one must not deregister it on shutdown. */
    @Test
    void whoLosesItsIdToAnotherHasNoLastWords() {
        AgentWorker earlier = start((assignment, context) -> null);
        give("first");
        awaitResults(1);
        String instance = read(topics.heartbeats(), Heartbeat.class).get(0).instanceId();
        try (AgentWorker later = start((assignment, context) -> null)) {
            await().atMost(Duration.ofSeconds(90)).until(() -> !earlier.isRunning());
            assertThat(earlier.hasFailed()).isTrue();
            assertThat(later.hasFailed()).isFalse();
            give("second");
            awaitResults(2);
            assertThat(read(topics.heartbeats(), Heartbeat.class).stream()
                            .filter(heartbeat -> instance.equals(heartbeat.instanceId()))
                            .map(Heartbeat::status))
                    .doesNotContain(AgentStatus.MAINTENANCE, AgentStatus.INACTIVE);
        }
    }

    /** If its offset were committed without a report, emptying Redis before the coordinator acts on the deadline would lose it. */
    @Test
    void anAssignmentThatComesAfterItsDeadlineIsReportedAndNotBegun() throws Exception {
        AtomicInteger begun = new AtomicInteger();
        try (AgentWorker worker = start((assignment, context) -> {
            begun.incrementAndGet();
            return null;
        })) {
            give("too-late", Instant.now().minus(Duration.ofHours(1)));
            TaskResult result = awaitResults(1).get(0);
            assertThat(result.status()).isEqualTo(TaskResult.Status.FAILED);
            assertThat(result.error().asString()).isEqualTo("the deadline had passed before the attempt could start");
            await().until(() -> committed() == 1);
        }
        assertThat(begun).hasValue(0);
    }

    /** By the local clock, every deadline passed long ago. */
    @Test
    void aWrongClockDropsNoAssignment() {
        Clock ahead = Clock.offset(Clock.systemUTC(), Duration.ofDays(2));
        try (AgentWorker worker =
                builder((assignment, context) -> null).clock(ahead).start()) {
            await().until(() -> !read(topics.heartbeats(), Heartbeat.class).isEmpty());
            give("in-time");
            assertThat(awaitResults(1)).extracting(TaskResult::taskId).containsExactly("in-time");
        }
    }

    /** As after a suspend or a clock adjustment: no heartbeat has measured the new offset from Kafka's clock yet. */
    @Test
    void aClockThatIsSetDropsNoAssignment() {
        AtomicReference<Duration> ahead = new AtomicReference<>(Duration.ZERO);
        try (AgentWorker worker = builder((assignment, context) -> null)
                .clock(clock(() -> Instant.now().plus(ahead.get())))
                .heartbeatInterval(Duration.ofHours(1))
                .start()) {
            give("before");
            awaitResults(1);
            ahead.set(Duration.ofDays(2));
            give("after");
            List<TaskResult> results = awaitResults(2);
            assertThat(results).extracting(TaskResult::taskId).containsExactly("before", "after");
            assertThat(results.get(1).finishedAt())
                    .isBefore(Instant.now().plus(Duration.ofHours(1)))
                    .isAfterOrEqualTo(results.get(1).startedAt());
        }
    }

    /** A running agent that sends no heartbeats loses all its tasks. */
    @Test
    void heartbeatsGoOnAfterOneThatCouldNotBeMade() {
        AtomicInteger read = new AtomicInteger();
        try (AgentWorker worker = builder((assignment, context) -> null)
                .clock(clock(() -> {
                    int times = read.incrementAndGet();
                    if (times >= 3 && times <= 6) {
                        throw new IllegalStateException("clock failure");
                    }
                    return Instant.now();
                }))
                .heartbeatInterval(Duration.ofMillis(100))
                .start()) {
            await().until(() -> read(topics.heartbeats(), Heartbeat.class).size() >= 5);
            assertThat(worker.isRunning()).isTrue();
        }
    }

    /** The worst kind of outage: connections are accepted but nothing is ever answered. */
    @Test
    void itEndsWhileKafkaIsAway() throws Exception {
        try (ServerSocket nobody = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            AgentWorker worker = AgentWorker.builder(
                            "127.0.0.1:" + nobody.getLocalPort(),
                            Registration.of(agentId, "worker", List.of(), CAPACITY),
                            (assignment, context) -> null)
                    .start();
            worker.close();
            assertThat(worker.isRunning()).isFalse();
        }
    }

    private static Clock clock(Supplier<Instant> time) {
        return new Clock() {
            @Override
            public Instant instant() {
                return time.get();
            }

            @Override
            public ZoneId getZone() {
                return ZoneOffset.UTC;
            }

            @Override
            public Clock withZone(ZoneId zone) {
                return this;
            }
        };
    }

    private static JsonNode nested(int depth) {
        JsonNode node = Json.object();
        for (int i = 0; i < depth; i++) {
            node = Json.object().set("deeper", node);
        }
        return node;
    }

    private static String errorOf(String taskId, List<TaskResult> results) {
        return results.stream()
                .filter(result -> result.taskId().equals(taskId))
                .findFirst()
                .orElseThrow()
                .error()
                .asString();
    }

    public static final class Unwritable {
        public String getText() {
            throw new IllegalStateException("not serializable");
        }
    }

    private static final class Unspeakable extends RuntimeException {
        @Override
        public String getMessage() {
            throw new IllegalStateException("no message");
        }
    }

    private AgentWorker start(Handler handler) {
        return builder(handler).start();
    }

    private AgentWorker.Builder builder(Handler handler) {
        return AgentWorker.builder(
                        STACK.bootstrapServers(),
                        Registration.of(agentId, "worker", List.of("test"), CAPACITY),
                        handler)
                .topics(topics);
    }

    private void cancel(String taskId) {
        producer.send(new ProducerRecord<>(
                topics.assignments(agentId), taskId, Json.bytes(Cancellation.of(taskId, 1, agentId, Instant.now()))));
    }

    private void give(String taskId) {
        give(taskId, Instant.now());
    }

    private void give(String taskId, Instant assignedAt) {
        producer.send(
                new ProducerRecord<>(topics.assignments(agentId), taskId, Json.bytes(assignment(taskId, assignedAt))));
    }

    private Assignment assignment(String taskId, Instant assignedAt) {
        return Assignment.of(
                Task.of(taskId, Json.object(), Requirements.NONE).accepted(taskId, Instant.now()),
                Priority.NORMAL,
                agentId,
                assignedAt);
    }

    /** Returns the offset at which the agent would resume after a restart. */
    private long committed() throws Exception {
        try (Admin admin = Admin.create(servers)) {
            return admin
                    .listConsumerGroupOffsets(topics.prefix() + "agent." + agentId)
                    .partitionsToOffsetAndMetadata()
                    .get()
                    .values()
                    .stream()
                    .mapToLong(OffsetAndMetadata::offset)
                    .sum();
        }
    }

    private List<TaskResult> awaitResults(int count) {
        return await().atMost(Duration.ofSeconds(90))
                .until(() -> read(topics.results(), TaskResult.class), results -> results.size() >= count);
    }

    /** Returns all messages currently in a topic. */
    private <T> List<T> read(String topic, Class<T> type) {
        try (KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(servers, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            TopicPartition partition = new TopicPartition(topic, 0);
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            long end = consumer.endOffsets(List.of(partition)).get(partition);
            List<T> all = new ArrayList<>();
            while (consumer.position(partition) < end) {
                consumer.poll(Duration.ofMillis(100)).forEach(record -> all.add(Json.read(record.value(), type)));
            }
            return all;
        }
    }
}
