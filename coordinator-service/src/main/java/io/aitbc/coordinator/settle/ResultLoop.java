package io.aitbc.coordinator.settle;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.TaskEvent;
import io.aitbc.contracts.TaskHeaders;
import io.aitbc.contracts.TaskResult;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.background.Problem;
import io.aitbc.coordinator.background.ThrottledWarning;
import io.aitbc.coordinator.deadletter.DeadLetters;
import io.aitbc.coordinator.event.TaskEvents;
import io.aitbc.coordinator.kafka.ConsumerLoop;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.kafka.SharedTopics;
import io.aitbc.coordinator.registry.ReachCheck;
import io.aitbc.coordinator.trace.TaskSpan;
import io.aitbc.coordinator.trace.TraceHeader;
import io.aitbc.coordinator.trace.Traces;
import io.opentelemetry.api.trace.SpanKind;
import java.time.Clock;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Polls {@code tasks.results} and settles the results that agents report. */
final class ResultLoop implements AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(ResultLoop.class);

    private final ResultRecords results;
    private final Attempts attempts;
    private final Requeuer requeuer;
    private final AssignmentArchive archive;
    private final DeadLetters deadLetters;
    private final TaskEvents events;
    private final SettleMeters meters;
    private final ReachCheck reach;
    private final Traces traces;
    private final Clock clock;
    private final ConsumerLoop loop;
    private final ThrottledWarning unknown = new ThrottledWarning(log, "{} results of unknown tasks ignored: {}");

    ResultLoop(
            KafkaClients clients,
            SharedTopics shared,
            Topics topics,
            ResultRecords results,
            Attempts attempts,
            Requeuer requeuer,
            DeadLetters deadLetters,
            TaskEvents events,
            SettleMeters meters,
            ReachCheck reach,
            Traces traces,
            Clock clock) {
        this.results = results;
        this.attempts = attempts;
        this.requeuer = requeuer;
        this.archive = new AssignmentArchive(clients, topics);
        this.deadLetters = deadLetters;
        this.events = events;
        this.meters = meters;
        this.reach = reach;
        this.traces = traces;
        this.clock = clock;
        // The archive belongs to the loop's thread, which must close it.
        this.loop = new ConsumerLoop("results", source(clients, shared, topics), this::handle, archive::close);
    }

    void start() {
        loop.start();
    }

    @Override
    public void close() {
        loop.close();
    }

    /** The consumer group whose committed offsets show which results are settled. */
    static String group(Topics topics) {
        return topics.prefix() + "agent-coordinator.results";
    }

    List<Problem> problems() {
        return loop.problems();
    }

    private static ConsumerLoop.Source source(KafkaClients clients, SharedTopics shared, Topics topics) {
        return new ConsumerLoop.Source(
                () -> shared.id(topics.results()),
                () -> clients.groupConsumer(group(topics), Map.of(ConsumerConfig.MAX_POLL_RECORDS_CONFIG, 2_000)),
                (consumer, gained) -> consumer.subscribe(List.of(topics.results()), gained));
    }

    /** Once the future is complete, the events of the batch are published. If they are not, its results are settled again, as repeated. */
    private CompletableFuture<?> handle(ConsumerRecords<byte[], byte[]> records) throws InterruptedException {
        List<TaskResult> read = new ArrayList<>(records.count());
        List<TaskSpan> spans = new ArrayList<>(records.count());
        Map<ConsumerRecord<byte[], byte[]>, String> malformed = new LinkedHashMap<>();
        Map<ConsumerRecord<byte[], byte[]>, String> forged = new LinkedHashMap<>();
        for (ConsumerRecord<byte[], byte[]> record : records) {
            try {
                TaskResult result = results.read(record);
                read.add(result);
                if (reach.isUnreached(result.agentId())
                        && record.headers().lastHeader(TaskHeaders.RECORDED_BY) == null) {
                    reach.reported(result.agentId());
                }
                spans.add(begin(result, TraceHeader.of(record)));
            } catch (Json.MalformedMessageException e) {
                malformed.put(record, e.getMessage());
            } catch (ResultRecords.ForgedException e) {
                forged.put(record, e.getMessage());
            }
        }
        CompletableFuture<?> published = CompletableFuture.completedFuture(null);
        if (!read.isEmpty()) {
            published = settle(read, spans);
            for (int i = 0; i < read.size(); i++) {
                traceExecution(read.get(i), spans.get(i).parent());
            }
        }
        // Last: if Redis fails, the batch is repeated, and its dead letters would be written again.
        List<CompletableFuture<Void>> letters = new ArrayList<>();
        malformed.forEach((record, reason) -> letters.add(deadLetters.poison(record, "malformed", reason)));
        forged.forEach((record, reason) -> letters.add(deadLetters.poison(record, "forged", reason)));
        CompletableFuture.allOf(letters.toArray(CompletableFuture[]::new)).join();
        return published;
    }

    private CompletableFuture<?> settle(List<TaskResult> results, List<TaskSpan> spans) throws InterruptedException {
        CompletableFuture<?> published;
        try {
            published = settle(results);
        } catch (RuntimeException e) {
            spans.forEach(span -> span.end(e));
            throw e;
        }
        spans.forEach(span -> span.end(null));
        return published;
    }

    /** Traces executions on behalf of agents: they only need to pass on the header. */
    private void traceExecution(TaskResult result, @Nullable String trace) {
        if (result.startedAt() != null && result.finishedAt() != null) {
            traces.record("execute", result.taskId(), trace, result.startedAt(), result.finishedAt(), result.agentId());
        }
    }

    private TaskSpan begin(TaskResult result, @Nullable String trace) {
        return traces.begin("settle", SpanKind.CONSUMER, result.taskId(), trace)
                .with("status", result.status().wireName());
    }

    private CompletableFuture<?> settle(List<TaskResult> results) throws InterruptedException {
        Instant now = clock.instant();
        List<Attempts.SettleOutcome> settlements = attempts.settle(results, now);
        List<Requeuer.FailedAttempt> failed = new ArrayList<>();
        List<TaskEvent> completed = new ArrayList<>();
        // Few: most agents report no progress, and most results come once.
        Map<String, Integer> mayHaveReported = new HashMap<>();
        for (int i = 0; i < results.size(); i++) {
            if (settlements.get(i) == Attempts.SettleOutcome.COMPLETED_AFTER_PROGRESS
                    || settlements.get(i) == Attempts.SettleOutcome.REPEATED) {
                mayHaveReported.put(results.get(i).taskId(), results.get(i).attempt());
            }
        }
        Map<String, Integer> reports = attempts.progressReports(mayHaveReported);
        for (int i = 0; i < results.size(); i++) {
            TaskResult result = results.get(i);
            meters.settled(result, settlements.get(i));
            switch (settlements.get(i)) {
                case COMPLETED, COMPLETED_AFTER_PROGRESS, REPEATED ->
                    completed.add(TaskEvent.completed(result, now)
                            .withProgressReports(reports.getOrDefault(result.taskId(), 0)));
                case TO_REQUEUE -> failed.add(ended(result));
                case UNKNOWN -> unknown.add(result.assignmentId() + " from " + result.agentId());
                case PROGRESSED, LATE -> {
                    // No event.
                }
            }
        }
        CompletableFuture<Void> published = events.publish(completed);
        requeuer.requeue(failed, archive);
        unknown.flush(now);
        return published;
    }

    private Requeuer.FailedAttempt ended(TaskResult result) {
        return new Requeuer.FailedAttempt(
                attempts.held(result.taskId(), result.attempt(), result.agentId()),
                RetryDecision.Failure.of(result),
                Json.text(result.reason()),
                Attempts.LimitReport.of(result));
    }
}
