package io.aitbc.coordinator.settle;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Payload;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Task;
import io.aitbc.contracts.TaskEvent;
import io.aitbc.contracts.TaskResult;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.assign.Reservations;
import io.aitbc.coordinator.deadletter.DeadLetters;
import io.aitbc.coordinator.event.TaskEvents;
import io.aitbc.coordinator.kafka.CoordinatorId;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.kafka.TopicCatalog;
import io.aitbc.coordinator.kafka.TopicHistory;
import io.aitbc.coordinator.kafka.TopicSettings;
import io.aitbc.coordinator.match.Placement;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.match.WaitingTask;
import io.aitbc.coordinator.queue.LedgerTopic;
import io.aitbc.coordinator.queue.QueueSizes;
import io.aitbc.coordinator.queue.TaskArchive;
import io.aitbc.coordinator.queue.TaskQueue;
import io.aitbc.coordinator.queue.TaskRecords;
import io.aitbc.coordinator.redis.IndexMark;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.security.Signatures;
import io.aitbc.coordinator.taskstate.StoredTask;
import io.aitbc.coordinator.usage.LimitUsage;
import io.aitbc.localstack.LocalStack;
import io.lettuce.core.RedisClient;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.random.RandomGenerator;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ForwardingAdmin;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsOptions;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsResult;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.kafka.core.DefaultKafkaConsumerFactory;
import org.springframework.kafka.core.DefaultKafkaProducerFactory;

/** The order of steps when a task is requeued, and the source of its payload. */
class RequeuerTest {
    private static final Topics TOPICS = new Topics("giveback.");
    private static final ResultRecords RESULTS = new ResultRecords(Signatures.none());
    private static final String GROUP = "giveback.agent-coordinator";
    private static final int DATABASE = 14;
    private static final Duration HOUR = Duration.ofHours(1);

    private static Map<String, Object> servers;
    private static KafkaClients clients;
    private static Admin admin;
    private static Producer<String, byte[]> producer;
    private static TaskEvents events;
    private static RedisClient redisClient;
    private static Redis redis;
    private static Attempts attempts;
    private static Reservations reservations;
    private static Requeuer requeuer;
    private static AssignmentArchive archive;

    private final Instant assignedAt = Instant.now();
    private final Map<String, Task> submitted = new HashMap<>();
    private String taskId = UUID.randomUUID().toString();

    @BeforeAll
    static void start() throws Exception {
        LocalStack stack = LocalStack.shared();
        servers = Map.of("bootstrap.servers", stack.bootstrapServers());
        clients = new KafkaClients(
                new DefaultKafkaConsumerFactory<>(servers),
                new DefaultKafkaProducerFactory<>(servers),
                new CoordinatorId("test"),
                new SimpleMeterRegistry());
        admin = Admin.create(servers);
        TopicCatalog catalog = new TopicCatalog(
                admin,
                TOPICS,
                new TopicSettings(TOPICS.prefix(), 1, (short) 0, Duration.ofDays(7), Duration.ofDays(7), HOUR, HOUR),
                true);
        catalog.createShared();
        catalog.createAgentTopics(List.of("a", "b"));
        producer = clients.producer("test", Duration.ZERO, Duration.ofMinutes(1), Map.of());
        redisClient = RedisClient.create(stack.redisUrl() + "/" + DATABASE);
        redis = new Redis(redisClient, DATABASE);
        attempts = new Attempts(redis, HOUR);
        reservations = new Reservations(redis, "me");
        events = events();
        events.start();
        requeuer = requeuerWith(admin, events);
        archive = new AssignmentArchive(clients, TOPICS);
    }

    private static TaskEvents events() {
        return new TaskEvents(
                clients.producer("events", Duration.ZERO, Duration.ofMinutes(1), Map.of()),
                TOPICS.events(),
                new SimpleMeterRegistry());
    }

    private static Requeuer requeuerWith(Admin admin, TaskEvents events) {
        SimpleMeterRegistry meters = new SimpleMeterRegistry();
        QueueSizes sizes = new QueueSizes(
                admin, TOPICS, GROUP, new LedgerTopic(clients, null, producer, TOPICS, "test", Clock.systemUTC()));
        return new Requeuer(
                attempts,
                new TaskQueue(producer, TOPICS),
                new TaskArchive(clients, TOPICS, new TaskRecords(TOPICS, 1_000_000), sizes),
                new DeadLetters(producer, TOPICS, meters),
                events,
                TOPICS,
                new SettleSettings(HOUR, Duration.ofSeconds(1), Duration.ofSeconds(1)),
                new SettleMeters(meters),
                Clock.systemUTC(),
                RandomGenerator.getDefault());
    }

    @AfterAll
    static void end() {
        archive.close();
        events.close();
        producer.close();
        admin.close();
        redis.close();
        redisClient.shutdown();
    }

    @BeforeEach
    void empty() {
        redis.sync().flushdb();
        IndexMark.set(redis.sync(), Instant.ofEpochMilli(1));
        redis.sync().hset(Keys.agent("a"), Map.of("status", "active", "capacity", "10"));
    }

    @Test
    void aTaskWhoseResultArrivedFirstIsNotDeadLettered() throws Exception {
        Attempts.HeldAttempt held = assign(1, true);
        complete(held);

        assertThat(requeue(held)).isTrue();

        assertThat(deadLetters()).isEmpty();
        assertThat(field("status")).isEqualTo("completed");
    }

    @Test
    void noResultCountsOnceTheAttemptIsFenced() throws Exception {
        Attempts.HeldAttempt held = assign(1, true);
        assertThat(attempts.fence(List.of(held))).containsExactly(true);
        assertThat(complete(held)).isEqualTo(Attempts.SettleOutcome.LATE);

        // The coordinator that fenced it has crashed; the deadline is found again, and the step is repeated.
        assertThat(attempts.overdue("a", assignedAt.plusSeconds(601), Set.of())).containsExactly(held);
        assertThat(requeue(held)).isTrue();

        assertThat(deadLetters()).containsExactly("attempts_exhausted");
        assertThat(field("status")).isEqualTo("failed");
        assertThat(redis.sync().hlen(Keys.inflight("a"))).isZero();
    }

    @Test
    void aFailureReadAgainAfterACrashIsHandled() throws Exception {
        Attempts.HeldAttempt held = assign(1, true);
        assertThat(attempts.fence(List.of(held))).containsExactly(true);
        assertThat(settle(held, TaskResult.Status.FAILED)).isEqualTo(Attempts.SettleOutcome.TO_REQUEUE);
    }

    @Test
    void withoutTheAgentsTopicThePayloadComesFromTheQueue() throws Exception {
        Attempts.HeldAttempt held = assign(3, false);
        commitBehind(held.origin());

        assertThat(requeue(held)).isTrue();

        List<Task> queued = queued();
        assertThat(queued).hasSize(2);
        assertThat(queued.get(1).attempt()).isEqualTo(2);
        assertThat(queued.get(1).payload()).isEqualTo(queued.get(0).payload());
        assertThat(field("status")).isEqualTo("queued");
    }

    @Test
    void withoutTheQueueRecordTheTaskFailsAtOnce() throws Exception {
        Attempts.HeldAttempt held = assign(3, false);
        commitBehind(held.origin());
        admin.deleteRecords(Map.of(
                        partition(), RecordsToDelete.beforeOffset(held.origin().offset() + 1)))
                .all()
                .get();

        assertThat(requeue(held)).isTrue();

        assertThat(deadLetters()).containsExactly("payload_lost");
        assertThat(field("status")).isEqualTo("failed");
        assertThat(published()).singleElement().satisfies(event -> {
            assertThat(event.id()).isEqualTo(taskId + ":1:failed");
            assertThat(event.change().reason()).isEqualTo("payload_lost");
            assertThat(event.change().agentId()).isEqualTo("a");
        });
    }

    /** Together with the assignment, whose event a dead coordinator may have owed. */
    @Test
    void howAnAttemptEndedIsPublished() throws Exception {
        assertThat(requeue(assign(2, true))).isTrue();

        List<TaskEvent> events = published();
        assertThat(events)
                .extracting(TaskEvent::id)
                .containsExactly(taskId + ":1:assigned", taskId + ":1:attempt_failed");
        assertThat(events.get(0).change().task().payload())
                .isEqualTo(submitted.get(taskId).payload());
        TaskEvent.Change failed = events.get(1).change();
        assertThat(failed.reason()).isEqualTo("overdue");
        assertThat(failed.error().asString()).isEqualTo("late");
        assertThat(failed.nextAttempt()).isEqualTo(2);
        assertThat(failed.notBefore()).isEqualTo(queued().get(1).notBefore());

        taskId = UUID.randomUUID().toString();
        assertThat(requeue(assign(1, true))).isTrue();
        assertThat(published()).extracting(TaskEvent::id).containsExactly(taskId + ":1:assigned", taskId + ":1:failed");
    }

    /** Otherwise a crash between the two would lose it: once the next attempt is granted, nothing repeats the requeue. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2})
    void nothingIsAppendedBeforeTheEventsArePublished(int maxAttempts) throws Exception {
        Attempts.HeldAttempt held = assign(maxAttempts, true);
        TaskEvents refusing = events();
        refusing.close();

        assertThatThrownBy(() -> requeuerWith(admin, refusing).requeue(overdue(held), archive))
                .hasMessageContaining("events are not published");

        assertThat(queued()).hasSize(1);
        assertThat(deadLetters()).isEmpty();
        assertThat(requeue(held)).isTrue();
        assertThat(published()).hasSize(2);
    }

    @Test
    void aRecordOfAReplacedTopicIsNotUsedAsPayload() throws Exception {
        Attempts.HeldAttempt other = assign(3, false);
        commitBehind(other.origin());
        taskId = UUID.randomUUID().toString();
        Attempts.HeldAttempt held = assign(3, "a");
        commitBehind(held.origin());
        Attempts.HeldAttempt strange = new Attempts.HeldAttempt(taskId, 1, "a", assignedAt, other.origin());

        assertThat(requeue(strange)).isTrue();

        assertThat(queued()).hasSize(1);
        assertThat(deadLetters()).containsExactly("payload_lost");
    }

    /** The assignment is published after the agent's topic was read, before or after the check whether its record is done. */
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void anAssignmentPublishedConcurrentlyIsNotLost(boolean before) throws Exception {
        Attempts.HeldAttempt held = assign(3, false);
        Runnable publish = () -> {
            try {
                publish(held);
                commitBehind(held.origin());
                admin.deleteRecords(Map.of(
                                partition(),
                                RecordsToDelete.beforeOffset(held.origin().offset() + 1)))
                        .all()
                        .get();
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        };
        try (Admin hooked = new ForwardingAdmin(servers) {
            private boolean done;

            @Override
            public ListConsumerGroupOffsetsResult listConsumerGroupOffsets(
                    Map<String, ListConsumerGroupOffsetsSpec> groups, ListConsumerGroupOffsetsOptions options) {
                if (before && !done) {
                    publish.run();
                }
                ListConsumerGroupOffsetsResult result = super.listConsumerGroupOffsets(groups, options);
                if (!before && !done) {
                    try {
                        result.partitionsToOffsetAndMetadata(GROUP).get();
                    } catch (InterruptedException | ExecutionException e) {
                        throw new IllegalStateException(e);
                    }
                    publish.run();
                }
                done = true;
                return result;
            }
        }) {
            requeuerWith(hooked, events).requeue(overdue(held), archive);
        }

        assertThat(deadLetters()).isEmpty();
        assertThat(field("status")).isEqualTo(before ? "queued" : "assigned");
        assertThat(requeue(held)).isTrue();
        assertThat(field("status")).isEqualTo("queued");
    }

    /** The progress is settled after the overdue attempts were read, and before the unread results are. */
    @Test
    void progressSettledDuringARoundKeepsItsAttempt() throws Exception {
        Attempts.HeldAttempt healthy = assign(3, true);
        taskId = UUID.randomUUID().toString();
        redis.sync().hset(Keys.agent("b"), Map.of("status", "active", "capacity", "10"));
        Attempts.HeldAttempt silent = assign(3, "b");
        publish(silent);
        Instant late = assignedAt.plusSeconds(601);
        CountDownLatch nextRound = new CountDownLatch(4);
        InstantSource hooked = () -> {
            nextRound.countDown();
            // The first call is for all agents, the second for the first agent, and this one for the second agent.
            if (nextRound.getCount() == 1) {
                reportProgress(healthy, late);
            }
            return late;
        };
        try (Recovery recovery = new Recovery(
                clients,
                admin,
                TOPICS,
                RESULTS,
                attempts,
                requeuer,
                agent -> true,
                new LimitUsage(redis),
                hooked.withZone(ZoneOffset.UTC))) {
            recovery.start();
            assertThat(nextRound.await(60, TimeUnit.SECONDS)).isTrue();
        }

        assertThat(StoredTask.status(redis.sync(), silent.taskId())).isEqualTo("queued");
        assertThat(StoredTask.status(redis.sync(), healthy.taskId())).isEqualTo("assigned");
    }

    @Test
    void resultsDeletedByRetentionAreNotSearched() throws Exception {
        TopicPartition results = new TopicPartition(TOPICS.results(), 0);
        long end = producer.send(new ProducerRecord<>(TOPICS.results(), "old", new byte[0]))
                        .get()
                        .offset()
                + 1;
        admin.deleteRecords(Map.of(results, RecordsToDelete.beforeOffset(end)))
                .all()
                .get();
        assertThat(UnreadResults.unsettledFrom(admin, TOPICS)).containsEntry(results, end);
    }

    /** Anyone may write results. */
    @Test
    void onlyTheAgentOfAnAttemptReportsIt() throws Exception {
        String id = Assignment.id(taskId, 1);
        Map<TopicPartition, Long> from = UnreadResults.unsettledFrom(admin, TOPICS);
        try (UnreadResults unread = new UnreadResults(clients, admin, TOPICS, RESULTS)) {
            TaskResult result =
                    result(new Attempts.HeldAttempt(taskId, 1, "a", assignedAt, null), TaskResult.Status.PROGRESS);
            producer.send(new ProducerRecord<>(TOPICS.results(), taskId, Json.bytes(result)))
                    .get();
            assertThat(unread.reportedAmong(Map.of(id, "b"), from)).isEqualTo(UnreadResults.Reported.NONE);
            assertThat(unread.reportedAmong(Map.of(id, "a"), from))
                    .as("progress keeps the attempt from being overdue only")
                    .isEqualTo(new UnreadResults.Reported(Set.of(id), Set.of()));
        }
    }

    private static void reportProgress(Attempts.HeldAttempt held, Instant at) {
        try {
            TaskResult result = result(held, TaskResult.Status.PROGRESS);
            long offset = producer.send(new ProducerRecord<>(TOPICS.results(), held.taskId(), Json.bytes(result)))
                    .get()
                    .offset();
            attempts.settle(List.of(result), at);
            admin.alterConsumerGroupOffsets(
                            ResultLoop.group(TOPICS),
                            Map.of(new TopicPartition(TOPICS.results(), 0), new OffsetAndMetadata(offset + 1)))
                    .all()
                    .get();
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }

    /** The owner of the record will publish it. */
    @Test
    void anUnpublishedAttemptStaysWithItsAgent() throws Exception {
        Attempts.HeldAttempt held = assign(3, false);

        assertThat(requeue(held)).isFalse();

        assertThat(field("status")).isEqualTo("assigned");
        assertThat(queued()).hasSize(1);
    }

    /** Appends a task to its queue, reserves it for the agent, and optionally publishes the assignment. */
    private Attempts.HeldAttempt assign(int maxAttempts, boolean published) throws Exception {
        Attempts.HeldAttempt held = assign(maxAttempts, "a");
        if (published) {
            publish(held);
        }
        return held;
    }

    private Attempts.HeldAttempt assign(int maxAttempts, String agentId) throws Exception {
        Task task = new Task(
                        taskId,
                        Payload.of(Json.object().put("of", taskId)),
                        null,
                        Requirements.NONE,
                        maxAttempts,
                        600,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        Map.of(),
                        Map.of(),
                        Map.of())
                .accepted(taskId, assignedAt);
        long offset = producer.send(new ProducerRecord<>(TOPICS.tasks(Priority.NORMAL), taskId, Json.bytes(task)))
                .get()
                .offset();
        Position origin = new Position(Priority.NORMAL, 0, offset);
        WaitingTask waiting = new WaitingTask(task, origin, assignedAt, 100);
        reservations
                .reserve(List.of(new Placement(waiting, agentId)), assignedAt)
                .join();
        submitted.put(taskId, task);
        Attempts.HeldAttempt held = attempts.held(taskId, 1, agentId);
        assertThat(held.origin()).isEqualTo(origin);
        return held;
    }

    private void publish(Attempts.HeldAttempt held) throws Exception {
        byte[] value =
                Json.bytes(Assignment.of(submitted.get(held.taskId()), Priority.NORMAL, held.agentId(), assignedAt));
        producer.send(new ProducerRecord<>(TOPICS.assignments(held.agentId()), held.taskId(), value))
                .get();
    }

    private boolean requeue(Attempts.HeldAttempt held) throws InterruptedException {
        return requeuer.requeue(overdue(held), archive);
    }

    private static List<Requeuer.FailedAttempt> overdue(Attempts.HeldAttempt held) {
        return List.of(new Requeuer.FailedAttempt(
                held, RetryDecision.Failure.of(RetryDecision.FailureReason.OVERDUE), "\"late\""));
    }

    private Attempts.SettleOutcome complete(Attempts.HeldAttempt held) {
        return settle(held, TaskResult.Status.COMPLETED);
    }

    private Attempts.SettleOutcome settle(Attempts.HeldAttempt held, TaskResult.Status status) {
        return attempts.settle(List.of(result(held, status)), assignedAt).get(0);
    }

    private static TaskResult result(Attempts.HeldAttempt held, TaskResult.Status status) {
        return new TaskResult(null, held.taskId(), held.attempt(), held.agentId(), status, null, null, null, null);
    }

    /** Commits as a lane does once Kafka has acknowledged the assignment. */
    private static void commitBehind(Position origin) throws Exception {
        admin.alterConsumerGroupOffsets(GROUP, Map.of(partition(), new OffsetAndMetadata(origin.offset() + 1)))
                .all()
                .get();
    }

    private static TopicPartition partition() {
        return new TopicPartition(TOPICS.tasks(Priority.NORMAL), 0);
    }

    private String field(String name) {
        return StoredTask.fields(redis.sync(), taskId).get(name);
    }

    /** Returns the reasons of the dead letters of this test's task. */
    private List<String> deadLetters() {
        return ofTask(
                TOPICS.deadLetter(),
                record -> new String(record.headers().lastHeader("reason").value()));
    }

    /** Returns the events of this test's task. */
    private List<TaskEvent> published() {
        return ofTask(TOPICS.events(), record -> Json.read(record.value(), TaskEvent.class));
    }

    private <T> List<T> ofTask(String topic, Function<ConsumerRecord<byte[], byte[]>, T> read) {
        List<T> found = new ArrayList<>();
        try (TopicHistory history = new TopicHistory(clients)) {
            Map<TopicPartition, Long> starts = new HashMap<>();
            history.partitions(topic).forEach(partition -> starts.put(partition, 0L));
            history.read(starts, record -> {
                if (new String(record.key()).equals(taskId)) {
                    found.add(read.apply(record));
                }
            });
        }
        return found;
    }

    /** Returns the records of this test's task in its queue. */
    private List<Task> queued() {
        List<Task> tasks = new ArrayList<>();
        try (TopicHistory history = new TopicHistory(clients)) {
            Map<TopicPartition, Long> starts = new HashMap<>();
            history.partitions(TOPICS.tasks(Priority.NORMAL)).forEach(partition -> starts.put(partition, 0L));
            history.read(starts, record -> {
                if (new String(record.key()).equals(taskId)) {
                    tasks.add(Json.read(record.value(), Task.class));
                }
            });
        }
        return tasks;
    }
}
