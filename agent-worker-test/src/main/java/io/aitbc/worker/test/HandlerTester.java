package io.aitbc.worker.test;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Task;
import io.aitbc.contracts.TaskResult;
import io.aitbc.worker.AssignmentContext;
import io.aitbc.worker.Handler;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Runs a handler with assignments, as an agent does, without a broker. For example:
 *
 * <pre>{@code
 * HandlerTester tester = new HandlerTester((assignment, context) -> assignment.taskData().get("a"));
 * assert tester.run("{\"a\": 1}").result().asInt() == 1;
 * }</pre>
 */
public final class HandlerTester {
    private static final String AGENT = "agent-under-test";
    private static final Clock CLOCK = Clock.tickMillis(ZoneOffset.UTC);

    private final Handler handler;

    public HandlerTester(Handler handler) {
        this.handler = handler;
    }

    /** An assignment of a new task, its first attempt, with a timeout of 10 min. */
    public static Assignment assignment(ObjectNode taskData) {
        Instant now = CLOCK.instant();
        Task task = Task.of(UUID.randomUUID().toString(), taskData, Requirements.NONE);
        return Assignment.of(task.accepted(task.id(), now), Priority.NORMAL, AGENT, now);
    }

    /**
     * Runs the handler on this thread.
     *
     * @param taskData a JSON object
     * @return what the agent would report: {@code completed}, {@code failed} or {@code rejected}
     */
    public TaskResult run(String taskData) {
        return run(assignment(Json.read(taskData, ObjectNode.class)));
    }

    /** Like {@link #run(String)}, with an assignment that the test has made. */
    public TaskResult run(Assignment assignment) {
        return handler.run(assignment, new Run(assignment));
    }

    /** Starts the handler on a thread of its own, so that the test can follow its progress and cancel it. */
    public Run start(String taskData) {
        Run run = new Run(assignment(Json.read(taskData, ObjectNode.class)));
        run.start();
        return run;
    }

    /** A handler that was started. */
    public final class Run implements AssignmentContext {
        private final Assignment assignment;
        private final List<JsonNode> progress = new ArrayList<>();
        private final FutureTask<TaskResult> outcome;
        private final Thread thread;
        private final Map<String, Long> usage = new ConcurrentHashMap<>();
        private volatile boolean cancelled;
        private volatile Instant deadline;

        private Run(Assignment assignment) {
            this.assignment = assignment;
            this.deadline = assignment.deadline();
            this.outcome = new FutureTask<>(() -> handler.run(assignment, this));
            this.thread = new Thread(outcome, "handler-" + AGENT);
            thread.setDaemon(true);
        }

        private void start() {
            thread.start();
        }

        /** Cancels the attempt, as a client does: the handler's thread is interrupted, and nothing is reported. */
        public void cancel() {
            cancelled = true;
            thread.interrupt();
        }

        /**
         * Waits until the handler has ended.
         *
         * @return what the agent would report; empty if the attempt was cancelled
         * @throws TimeoutException if the handler has not ended in time
         */
        public Optional<TaskResult> await(Duration timeout) throws InterruptedException, TimeoutException {
            try {
                TaskResult result = outcome.get(timeout.toMillis(), TimeUnit.MILLISECONDS);
                return cancelled ? Optional.empty() : Optional.of(result);
            } catch (ExecutionException e) {
                throw new IllegalStateException(e.getCause());
            }
        }

        /** Waits for a number of progress reports, and returns all so far. */
        public synchronized List<JsonNode> awaitProgress(int count, Duration timeout)
                throws InterruptedException, TimeoutException {
            long end = System.nanoTime() + timeout.toNanos();
            while (progress.size() < count) {
                long left = TimeUnit.NANOSECONDS.toMillis(end - System.nanoTime());
                if (left <= 0) {
                    throw new TimeoutException(progress.size() + " progress reports after " + timeout);
                }
                wait(left);
            }
            return List.copyOf(progress);
        }

        @Override
        public boolean isCancelled() {
            return cancelled;
        }

        @Override
        public Instant deadline() {
            return deadline;
        }

        @Override
        public Instant now() {
            return CLOCK.instant();
        }

        @Override
        public synchronized void progress(JsonNode soFar) {
            progress.add(soFar);
            deadline = now().plusSeconds(assignment.timeoutSeconds());
            notifyAll();
        }

        @Override
        public void used(String limit, long units) {
            usage.put(limit, units);
        }

        @Override
        public Map<String, Long> usage() {
            return Map.copyOf(usage);
        }

        @Override
        public @Nullable String traceparent() {
            return null;
        }
    }
}
