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
 * Sends what has become of assignments, each until it is acknowledged. What can never be sent is replaced by a failure that says
 * why. If that cannot be sent either it is given up, and so is after the attempt's deadline what fails for another reason than that
 * Kafka does not answer: the coordinator then acts on the deadline. While Kafka does not answer it is retried, however late: its offset
 * must not be committed without a report, see the rationale on overdue assignments.
 *
 * <p>The first try is made by the calling thread, so that results wait where they are made while Kafka is slow. The thread
 * {@code results-<id>} makes all others; the callbacks of the producer run on its own thread, where sending may deadlock.
 */
final class Results {
    private static final Logger log = LoggerFactory.getLogger(Results.class);
    private static final long FIRST_PAUSE_MS = 500;
    private static final int MOST_DOUBLINGS = 6;

    private final KafkaProducer<String, byte[]> producer;
    private final String topic;
    private final KafkaClock clock;
    private final ScheduledThreadPoolExecutor again;

    Results(KafkaProducer<String, byte[]> producer, String topic, String agentId, KafkaClock clock) {
        this.producer = producer;
        this.topic = topic;
        this.clock = clock;
        this.again = new ScheduledThreadPoolExecutor(1, task -> {
            Thread thread = new Thread(task, "results-" + agentId);
            thread.setDaemon(true);
            return thread;
        });
        // Closing the producer fails what is still in it.
        again.setRejectedExecutionHandler(new ThreadPoolExecutor.DiscardPolicy());
    }

    /**
     * Sends the last word on an attempt.
     *
     * @param trace the header of the assignment, passed on
     * @param deadline after which the coordinator gives the task to another agent
     * @param over called once, by any thread, when it is acknowledged or given up
     */
    void send(TaskResult result, @Nullable Header trace, Instant deadline, Runnable over) {
        attempt(new Report(result, trace, deadline, over, false, 0));
    }

    /**
     * Sends a sign that an attempt goes on, without its content if that cannot be sent. It is not retried for long: the next one
     * serves as well.
     *
     * @param acknowledged called by any thread
     */
    void sendProgress(TaskResult progress, @Nullable Header trace, Runnable acknowledged) {
        send(progress, trace, failure -> {
            if (failure == null) {
                acknowledged.run();
            } else if (progress.result() != null && neverSent(progress, failure) != null) {
                again.execute(() -> {
                    log(progress, "Progress of {} is sent without its content", failure);
                    sendProgress(without(progress, TaskResult.Status.PROGRESS, null), trace, acknowledged);
                });
            } else {
                log(progress, "Progress of {} not sent", failure);
            }
        });
    }

    /** Tries nothing again from now on. */
    void stop() {
        again.shutdownNow();
    }

    private void attempt(Report report) {
        boolean last = clock.heard().isAfter(report.deadline);
        send(report.result, report.trace, failure -> {
            if (failure == null) {
                report.over.run();
            } else {
                again.execute(() -> refused(report, failure, last));
            }
        });
    }

    private void refused(Report report, Exception failure, boolean last) {
        String reason = neverSent(report.result, failure);
        if (reason != null && !report.replaced) {
            log(report.result, "Result of {} cannot be sent, and is reported as a failure", failure);
            attempt(report.replaced(reason));
        } else if (reason == null && (!last || failure instanceof RetriableException)) {
            if (report.tries == 0) {
                log(report.result, "Result of {} not sent, will retry", failure);
            }
            again.schedule(() -> attempt(report.again()), report.pauseMs(), TimeUnit.MILLISECONDS);
        } else {
            log.atError()
                    .addKeyValue("task_id", report.result.taskId())
                    .log("Result of {} given up: {}", report.result.assignmentId(), failure.toString());
            report.over.run();
        }
    }

    /** @param ended called once, by any thread, with what went wrong or null */
    private void send(TaskResult result, @Nullable Header trace, Consumer<@Nullable Exception> ended) {
        try {
            ProducerRecord<String, byte[]> record = new ProducerRecord<>(topic, result.taskId(), encode(result));
            if (trace != null) {
                record.headers().add(trace);
            }
            producer.send(record, (metadata, failure) -> ended.accept(failure));
        } catch (RuntimeException e) {
            // Whatever it is, somebody must hear of it, or the assignment stays open.
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

    /** Why it makes no sense to send it again; null if it does. */
    private @Nullable String neverSent(TaskResult result, Exception failure) {
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
            return what + " is refused by " + topic;
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
                result.finishedAt());
    }

    private static void log(TaskResult result, String what, Exception failure) {
        log.atWarn()
                .addKeyValue("task_id", result.taskId())
                .log(what + ": {}", result.assignmentId(), failure.toString());
    }

    /** @param replaced whether it is the failure that stands for a result that cannot be sent */
    private record Report(
            TaskResult result, @Nullable Header trace, Instant deadline, Runnable over, boolean replaced, int tries) {

        Report again() {
            return new Report(result, trace, deadline, over, replaced, tries + 1);
        }

        Report replaced(String reason) {
            JsonNode error = result.error();
            String whole = error == null || !error.isString() ? reason : reason + "; it begins: " + error.asString();
            TaskResult.Status status =
                    result.status() == TaskResult.Status.REJECTED ? result.status() : TaskResult.Status.FAILED;
            return new Report(without(result, status, whole), trace, deadline, over, true, 0);
        }

        long pauseMs() {
            return FIRST_PAUSE_MS << Math.min(tries, MOST_DOUBLINGS);
        }
    }

    /** A result that no coordinator could read. */
    private static final class UnsendableException extends RuntimeException {
        UnsendableException(String message) {
            super(message);
        }
    }
}
