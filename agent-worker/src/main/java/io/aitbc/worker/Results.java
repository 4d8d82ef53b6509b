package io.aitbc.worker;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.TaskResult;
import java.time.Instant;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.errors.AuthorizationException;
import org.apache.kafka.common.errors.InvalidTimestampException;
import org.apache.kafka.common.errors.PolicyViolationException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.header.Header;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;

/**
 * Sends results and retries each until it is acknowledged. A result that can never be sent is replaced by a failure that states the
 * reason. A result is dropped if that failure cannot be sent either, or if sending fails with a non-retriable error after the attempt's
 * deadline. The coordinator then acts on the deadline. While Kafka is unavailable, a result is retried beyond its deadline, because its
 * assignment's offset must not be committed without a report; see "An overdue assignment is reported" in docs/rationale.md.
 *
 * <p>The calling thread makes the first try, so that a slow Kafka applies backpressure to the handlers. The thread {@code
 * results-<id>} makes all retries; producer callbacks run on the producer's own thread, where sending may deadlock.
 */
final class Results {
    private static final Logger log = LoggerFactory.getLogger(Results.class);
    private static final long INITIAL_BACKOFF_MS = 500;
    private static final int MAX_DOUBLINGS = 6;

    private final KafkaProducer<String, byte[]> producer;
    private final String topic;
    private final KafkaClock clock;
    private final ScheduledThreadPoolExecutor retryExecutor;

    Results(KafkaProducer<String, byte[]> producer, String topic, String agentId, KafkaClock clock) {
        this.producer = producer;
        this.topic = topic;
        this.clock = clock;
        this.retryExecutor = new ScheduledThreadPoolExecutor(1, task -> {
            Thread thread = new Thread(task, "results-" + agentId);
            thread.setDaemon(true);
            return thread;
        });
        // Drops the retries of records that fail because the producer is closed.
        retryExecutor.setRejectedExecutionHandler(new ThreadPoolExecutor.DiscardPolicy());
    }

    /**
     * Sends the final result of an attempt.
     *
     * @param trace the trace header of the assignment, copied to the result
     * @param deadline time at which the coordinator requeues the task
     * @param over called once, on any thread, when the result is acknowledged or dropped
     */
    void send(TaskResult result, @Nullable Header trace, Instant deadline, Runnable over) {
        attempt(new Report(result, trace, deadline, over, false, 0));
    }

    /**
     * Sends a progress report, without its content if that cannot be sent. Not retried beyond the producer's own retries,
     * because the next report supersedes it.
     *
     * @param acknowledged called on any thread
     */
    void sendProgress(TaskResult progress, @Nullable Header trace, Runnable acknowledged) {
        send(progress, trace, failure -> {
            if (failure == null) {
                acknowledged.run();
            } else if (progress.result() != null && permanentFailure(progress, failure) != null) {
                retryExecutor.execute(() -> {
                    log(progress, "Progress of {} cannot be sent, sending it without its content", failure);
                    sendProgress(without(progress, TaskResult.Status.PROGRESS, null), trace, acknowledged);
                });
            } else {
                log(progress, "Progress of {} not sent", failure);
            }
        });
    }

    /** Stops all retries. */
    void stop() {
        retryExecutor.shutdownNow();
    }

    private void attempt(Report report) {
        boolean last = clock.lastAcknowledged().isAfter(report.deadline);
        send(report.result, report.trace, failure -> {
            if (failure == null) {
                report.over.run();
            } else {
                retryExecutor.execute(() -> refused(report, failure, last));
            }
        });
    }

    private void refused(Report report, Exception failure, boolean last) {
        String reason = permanentFailure(report.result, failure);
        if (reason != null && !report.replaced) {
            log(report.result, "Result of {} cannot be sent, reporting a failure instead", failure);
            attempt(report.replaced(reason));
        } else if (reason == null && (!last || failure instanceof RetriableException)) {
            if (report.tries == 0) {
                log(report.result, "Result of {} not sent, retrying", failure);
            }
            retryExecutor.schedule(() -> attempt(report.retry()), report.backoffMs(), TimeUnit.MILLISECONDS);
        } else {
            log.atError()
                    .addKeyValue("task_id", report.result.taskId())
                    .log("Dropped the result of {}: {}", report.result.assignmentId(), failure.toString());
            report.over.run();
        }
    }

    /** @param ended called once, on any thread, with the failure or null */
    private void send(TaskResult result, @Nullable Header trace, Consumer<@Nullable Exception> ended) {
        try {
            ProducerRecord<String, byte[]> record = new ProducerRecord<>(topic, result.taskId(), encode(result));
            if (trace != null) {
                record.headers().add(trace);
            }
            producer.send(record, (metadata, failure) -> ended.accept(failure));
        } catch (RuntimeException e) {
            // Report every failure, or the assignment would stay open.
            ended.accept(e);
        }
    }

    private static byte[] encode(TaskResult result) {
        byte[] json;
        try {
            json = Json.bytes(result);
        } catch (JacksonException e) {
            throw new UnsendableException("cannot be written as JSON: " + e.getOriginalMessage());
        } catch (StackOverflowError e) {
            throw new UnsendableException("cannot be written as JSON: it is nested too deeply");
        }
        if (result.result() != null
                && (result.result().isContainer() || result.result().isNumber())) {
            try {
                Json.read(json, TaskResult.class);
            } catch (Json.MalformedMessageException e) {
                throw new UnsendableException("cannot be read by coordinators: " + e.getMessage());
            }
        }
        return json;
    }

    /** Returns the reason why the failure is permanent; null if it may be transient. */
    private @Nullable String permanentFailure(TaskResult result, Exception failure) {
        String what = result.error() == null ? "the result" : "the error";
        if (failure instanceof RecordTooLargeException) {
            return what + " is too large to be sent";
        }
        if (failure instanceof UnsendableException) {
            return what + " " + failure.getMessage();
        }
        if (failure instanceof AuthorizationException) {
            return "the agent is not authorized to write to " + topic;
        }
        if (failure instanceof InvalidTimestampException || failure instanceof PolicyViolationException) {
            return what + " is rejected by " + topic;
        }
        return null;
    }

    private static TaskResult without(TaskResult result, TaskResult.Status status, @Nullable String error) {
        return new TaskResult(
                result.assignmentId(),
                result.taskId(),
                result.attempt(),
                result.agentId(),
                status,
                null,
                error == null ? null : Json.tree(Json.sentence(error)),
                result.startedAt(),
                result.finishedAt(),
                result.retryable(),
                result.retryAfterSeconds(),
                result.limit(),
                result.usage(),
                result.signature());
    }

    private static void log(TaskResult result, String what, Exception failure) {
        log.atWarn()
                .addKeyValue("task_id", result.taskId())
                .log(what + ": {}", result.assignmentId(), failure.toString());
    }

    /** @param replaced whether this is the failure that replaces an unsendable result */
    private record Report(
            TaskResult result, @Nullable Header trace, Instant deadline, Runnable over, boolean replaced, int tries) {

        Report retry() {
            return new Report(result, trace, deadline, over, replaced, tries + 1);
        }

        Report replaced(String reason) {
            JsonNode error = result.error();
            String whole = error == null || !error.isString()
                    ? reason
                    : reason + "; the original error begins: " + error.asString();
            TaskResult.Status status =
                    result.status() == TaskResult.Status.REJECTED ? result.status() : TaskResult.Status.FAILED;
            return new Report(without(result, status, whole), trace, deadline, over, true, 0);
        }

        long backoffMs() {
            return INITIAL_BACKOFF_MS << Math.min(tries, MAX_DOUBLINGS);
        }
    }

    /** Thrown for a result that cannot be serialized or that coordinators could not read. */
    private static final class UnsendableException extends RuntimeException {
        UnsendableException(String message) {
            super(message);
        }
    }
}
