package io.aitbc.coordinator.intake;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.TaskHeaders;
import io.aitbc.contracts.TaskResult;
import io.aitbc.contracts.TaskStatus;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.background.BackgroundService;
import io.aitbc.coordinator.background.PeriodicJob;
import io.aitbc.coordinator.background.Problem;
import io.aitbc.coordinator.intake.Submissions.NotAcceptedException;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.security.Signatures;
import io.aitbc.coordinator.taskstate.TaskState;
import io.aitbc.coordinator.taskstate.TaskStates;
import io.aitbc.coordinator.trace.TraceHeader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Accepts results over REST, and publishes them to {@code tasks.results}, where they are settled like all others. Progress is published at
 * most once a second for each attempt: of several reports in a second, the newest. Thread-safe.
 */
public final class ResultReports implements BackgroundService {
    private static final Logger log = LoggerFactory.getLogger(ResultReports.class);
    private static final byte[] COORDINATOR = "coordinator".getBytes(StandardCharsets.UTF_8);
    private static final long WAIT_SECONDS = 10;
    private static final Duration PROGRESS_INTERVAL = Duration.ofSeconds(1);
    private static final Duration CHECK_INTERVAL = Duration.ofMillis(250);

    private final Producer<String, byte[]> producer;
    private final Topics topics;
    private final TaskStates states;
    private final Redis redis;
    private final Signatures signatures;
    private final PeriodicJob job = new PeriodicJob("progress", CHECK_INTERVAL, this::publishDue);
    /** By assignment id: the attempts whose progress was published within the last interval. */
    private final Map<String, Throttled> throttled = new ConcurrentHashMap<>();

    /** @param held the newest report that is held back; null if there is none */
    private record Throttled(long publishedNanos, @Nullable ProducerRecord<String, byte[]> held) {
        boolean isDue(long nowNanos) {
            return nowNanos - publishedNanos >= PROGRESS_INTERVAL.toNanos();
        }
    }

    /** The fate of a report. */
    public enum Outcome {
        /** Its attempt is live, and the report is published. */
        ACCEPTED,
        /** The same report has ended its attempt before. */
        REPEATED,
        /** Its attempt is not live. */
        NOT_LIVE,
        /** Redis is being rebuilt, and it is unknown whether the attempt is live: retry. */
        RESTORING
    }

    ResultReports(
            Producer<String, byte[]> producer, Topics topics, TaskStates states, Redis redis, Signatures signatures) {
        this.signatures = signatures;
        this.producer = producer;
        this.topics = topics;
        this.states = states;
        this.redis = redis;
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

    /**
     * Publishes a report, and waits until Kafka has acknowledged it. Held progress is acknowledged at once.
     *
     * @param trace the trace header of the report; null if it has none
     * @return empty if the task is unknown
     * @throws TooLargeException if it is larger than Kafka accepts
     * @throws NotAcceptedException if Kafka does not acknowledge it in time; it may be repeated
     */
    public Optional<Outcome> report(TaskResult result, @Nullable String trace) throws InterruptedException {
        Optional<TaskState> state = states.find(result.taskId());
        if (state.isPresent() && isRepeated(state.get(), result)) {
            return Optional.of(Outcome.REPEATED);
        }
        if (state.isEmpty() || !isLive(state.get(), result)) {
            boolean mayBeRestored = state.isEmpty() || !hasEnded(state.get(), result.attempt());
            return mayBeRestored && isRestoring()
                    ? Optional.of(Outcome.RESTORING)
                    : state.map(known -> Outcome.NOT_LIVE);
        }
        confirm(result);
        ProducerRecord<String, byte[]> record =
                new ProducerRecord<>(topics.results(), result.taskId(), Json.bytes(signatures.sign(result)));
        record.headers().add(TaskHeaders.RECORDED_BY, COORDINATOR);
        TraceHeader.add(record, trace);
        if (result.status() != TaskResult.Status.PROGRESS) {
            throttled.remove(result.assignmentId());
            publish(record);
        } else if (mayPublish(result.assignmentId(), record)) {
            publish(record);
        }
        return Optional.of(Outcome.ACCEPTED);
    }

    /** Confirms the assignment. Before the result is published: the next attempt may follow at once. */
    private void confirm(TaskResult result) {
        CompletableFuture<Long> received = redis.async()
                .hdel(Keys.outbox(result.agentId()), result.taskId())
                .toCompletableFuture();
        if (result.status() != TaskResult.Status.PROGRESS) {
            // The agent knows how it ended: a claim need not name it as cancelled.
            Redis.await(redis.async()
                    .hdel(Keys.served(result.agentId()), result.taskId())
                    .toCompletableFuture());
        }
        Redis.await(received);
    }

    private boolean isRestoring() {
        return redis.indexMark() == null || redis.sync().exists(Keys.INDEX_RESTORED) == 1;
    }

    private static boolean hasEnded(TaskState state, int attempt) {
        return state.attempt() > attempt
                || state.attempt() == attempt && state.status().hasEnded();
    }

    private static boolean isLive(TaskState state, TaskResult result) {
        return state.isAssignedTo(result.agentId()) && state.attempt() == result.attempt();
    }

    /** Whether a result like this has ended the attempt: an agent repeats a report if it has not received the answer. */
    private static boolean isRepeated(TaskState state, TaskResult result) {
        return switch (result.status()) {
            case COMPLETED ->
                state.status() == TaskStatus.COMPLETED
                        && result.agentId().equals(state.agentId())
                        && isAt(state, result.attempt());
            case FAILED, REJECTED ->
                state.error() != null
                        && state.error().equals(Json.text(result.reason()))
                        && (state.status() == TaskStatus.FAILED
                                ? isAt(state, result.attempt())
                                : isAt(state, result.attempt() + 1));
            case PROGRESS -> false;
        };
    }

    /** An ended task whose attempt was corrupt has none. */
    private static boolean isAt(TaskState state, int attempt) {
        return String.valueOf(attempt).equals(state.fields().get("attempt"));
    }

    /** Holds the report back if the previous one of the same attempt was published within the interval. */
    private boolean mayPublish(String assignmentId, ProducerRecord<String, byte[]> record) {
        long now = System.nanoTime();
        Throttled after = Objects.requireNonNull(throttled.compute(
                assignmentId,
                (id, before) -> before == null || before.isDue(now)
                        ? new Throttled(now, null)
                        : new Throttled(before.publishedNanos, record)));
        return after.held == null;
    }

    private void publishDue() {
        long now = System.nanoTime();
        throttled.replaceAll((id, one) -> {
            if (one.held == null || !one.isDue(now)) {
                return one;
            }
            KafkaClients.send(producer, one.held).exceptionally(failure -> {
                // The next report supersedes it.
                log.atWarn().addKeyValue("assignment_id", id).log("Progress not published: {}", failure.toString());
                return null;
            });
            return new Throttled(now, null);
        });
        throttled.values().removeIf(one -> one.held == null && one.isDue(now));
    }

    private void publish(ProducerRecord<String, byte[]> record) throws InterruptedException {
        try {
            NotAcceptedException.await(KafkaClients.send(producer, record), TimeUnit.SECONDS.toNanos(WAIT_SECONDS));
        } catch (NotAcceptedException e) {
            throw e.getCause() instanceof RecordTooLargeException ? new TooLargeException() : e;
        }
    }

    /** Numbers, for example, may take up more space in Kafka than in the report. */
    public static final class TooLargeException extends RuntimeException {
        TooLargeException() {
            super("the result is larger than Kafka accepts");
        }
    }
}
