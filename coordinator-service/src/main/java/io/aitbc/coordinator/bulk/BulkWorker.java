package io.aitbc.coordinator.bulk;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.TaskStatus;
import io.aitbc.coordinator.assign.Cancellations;
import io.aitbc.coordinator.background.ConsecutiveFailures;
import io.aitbc.coordinator.background.MonitoredThread;
import io.aitbc.coordinator.background.Problem;
import io.aitbc.coordinator.deadletter.DeadLetterArchive;
import io.aitbc.coordinator.history.BulkOperations;
import io.aitbc.coordinator.history.BulkOperations.Operation;
import io.aitbc.coordinator.history.TaskFilter;
import io.aitbc.coordinator.history.TaskHistory;
import io.aitbc.coordinator.intake.Redrive;
import io.aitbc.coordinator.taskstate.TaskStates;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * Works on bulk operations, one at a time, on a thread {@code bulk}. Each step may be repeated: a task is cancelled or redriven once, however often it is
 * asked for. So after a failure, or if another coordinator takes over, it continues after the last page that was recorded.
 */
final class BulkWorker implements AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(BulkWorker.class);
    private static final Duration IDLE = Duration.ofSeconds(1);
    private static final Duration RETRY_INTERVAL = Duration.ofSeconds(5);
    /** A redrive waits for Kafka and for its event. */
    private static final int THREADS = 16;

    private static final int PAGE = 500;
    /** Chunks a second: the rate holds within each. */
    private static final int CHUNKS_PER_SECOND = 5;

    /** How many times longer than its rate asks for a chunk may take, so that its tasks are assigned. */
    private static final int MAX_SLOWDOWN = 10;

    private static final Duration CHECK_INTERVAL = Duration.ofMillis(50);

    private static final long NANOS_PER_SECOND = TimeUnit.SECONDS.toNanos(1);

    private final BulkOperations operations;
    private final TaskHistory history;
    private final Cancellations cancellations;
    private final Redrive redrive;
    private final DeadLetterArchive letters;
    private final TaskStates states;
    private final String owner = UUID.randomUUID().toString();
    private final ConsecutiveFailures failures = new ConsecutiveFailures(log);
    private final MonitoredThread thread = new MonitoredThread("bulk", this::run);

    BulkWorker(
            BulkOperations operations,
            TaskHistory history,
            Cancellations cancellations,
            Redrive redrive,
            DeadLetterArchive letters,
            TaskStates states) {
        this.operations = operations;
        this.history = history;
        this.cancellations = cancellations;
        this.redrive = redrive;
        this.letters = letters;
        this.states = states;
    }

    /** Ends the work on an operation: the coordinator stops, or another one has taken over. */
    private static final class StoppedException extends RuntimeException {}

    void start() {
        thread.start();
    }

    @Override
    public void close() {
        thread.close();
    }

    List<Problem> problems() {
        return thread.problems();
    }

    private void run() {
        try {
            while (!thread.isClosing()) {
                runNext();
            }
        } catch (InterruptedException e) {
            log.debug("Interrupted");
        }
    }

    private void runNext() throws InterruptedException {
        @Nullable Operation operation = null;
        try {
            operation = operations.isReady() ? operations.acquire(owner).orElse(null) : null;
            if (operation == null) {
                // Without its database, the history says so in /health.
                failures.reset();
                thread.monitor().succeeded();
                thread.monitor().idle();
                thread.pause(IDLE);
                return;
            }
            run(operation);
            operations.end(operation.id(), owner);
            log.atInfo().addKeyValue("bulk_id", operation.id()).log("Bulk operation done");
            failures.reset();
        } catch (StoppedException e) {
            if (operation != null && thread.isClosing()) {
                noteFailure(operation, "its coordinator has stopped");
            }
        } catch (RuntimeException e) {
            failures.onFailure().log("Bulk operations do not proceed, will retry: {}", e.toString());
            if (operation != null) {
                noteFailure(operation, String.valueOf(e.getMessage()));
            }
            thread.monitor().progressed();
            thread.pause(RETRY_INTERVAL);
        }
    }

    /** Another coordinator may continue then. */
    private void noteFailure(Operation operation, String reason) {
        try {
            operations.failing(operation.id(), owner, reason);
        } catch (TaskHistory.UnavailableException e) {
            log.atDebug().log("Not noted: {}", e.toString());
        }
    }

    private void run(Operation operation) throws InterruptedException {
        ExecutorService workers = Executors.newFixedThreadPool(THREADS, task -> new Thread(task, "bulk-worker"));
        try {
            switch (operation.kind()) {
                case CANCEL -> cancel(operation, workers);
                case REDRIVE -> redrive(operation, workers);
            }
        } finally {
            workers.shutdownNow();
        }
    }

    private void cancel(Operation operation, ExecutorService workers) throws InterruptedException {
        @Nullable String cursor = operation.cursor();
        @Nullable Long total = operation.total();
        while (true) {
            if (total == null) {
                total = history.count(operation.filter(), 1).count();
            }
            TaskHistory.Page page = history.next(operation.filter(), TaskFilter.Sort.SUBMITTED, PAGE, cursor);
            process(operation, total, ids(page), this::cancel, workers, (done, limit) -> {});
            cursor = page.cursor();
            record(operation, total, 0, 0, cursor);
            if (cursor == null) {
                return;
            }
        }
    }

    private boolean cancel(String taskId) throws InterruptedException {
        Cancellations.Cancelled cancelled = cancellations.cancel(taskId);
        cancelled.notified().exceptionally(failure -> {
            log.atWarn()
                    .addKeyValue("task_id", taskId)
                    .log("Agent could not be notified of a cancellation: {}", failure.toString());
            return null;
        });
        TaskStatus before = cancelled.before();
        return before != null && !before.hasEnded();
    }

    /** The dead letters have the tasks, and are read once: a search for each would read them all for each. */
    private void redrive(Operation operation, ExecutorService workers) throws InterruptedException {
        Set<String> wanted = new HashSet<>();
        @Nullable String cursor = null;
        do {
            TaskHistory.Page page = history.next(operation.filter(), TaskFilter.Sort.SUBMITTED, PAGE, cursor);
            wanted.addAll(ids(page));
            cursor = page.cursor();
            record(operation, null, 0, 0, null);
        } while (cursor != null);
        long total = operation.total() == null ? wanted.size() : operation.total();
        // Of the chunk that a coordinator did not record before it died: they are no longer failed.
        record(operation, total, 0, Math.max(0, total - operation.done() - operation.skipped() - wanted.size()), null);
        long before = Long.MAX_VALUE;
        while (!wanted.isEmpty()) {
            List<DeadLetterArchive.Letter> page = letters.page(before, PAGE);
            if (page.isEmpty()) {
                break;
            }
            before = page.get(page.size() - 1).offset();
            // Renews the lease, also if none of them is wanted.
            record(operation, total, 0, 0, null);
            List<DeadLetterArchive.Letter> chosen = page.stream()
                    .filter(DeadLetterArchive.Letter::isOfFailedTask)
                    .filter(letter -> letter.key() != null && wanted.remove(letter.key()))
                    .toList();
            process(operation, total, chosen, this::redrive, workers, this::awaitAssigned);
        }
        // They have no dead letter any more.
        record(operation, total, 0, wanted.size(), null);
    }

    private boolean redrive(DeadLetterArchive.Letter letter) throws InterruptedException {
        try {
            return !redrive.redrive(letter).repeated();
        } catch (Redrive.NotPossibleException | Json.MalformedMessageException e) {
            return false;
        }
    }

    /**
     * Waits until at most half of the redriven tasks are still queued, but no longer than the limit: they join the end of their queues, and more of them than the
     * agents take would make new tasks wait. Some may have to wait for an agent that is not there.
     */
    private void awaitAssigned(Collection<DeadLetterArchive.Letter> redriven, Duration limit)
            throws InterruptedException {
        Set<String> ids = redriven.stream().map(DeadLetterArchive.Letter::key).collect(Collectors.toSet());
        long until = System.nanoTime() + limit.toNanos();
        while (!thread.isClosing()
                && System.nanoTime() - until < 0
                && 2
                                * states.statuses(ids).values().stream()
                                        .filter(status -> status == TaskStatus.QUEUED)
                                        .count()
                        > ids.size()) {
            thread.monitor().progressed();
            thread.pause(CHECK_INTERVAL);
        }
    }

    private interface Step<T> {
        /** @return whether it changed the task */
        boolean apply(T item) throws InterruptedException;
    }

    /** Called after each chunk, with a limit that slows the operation down to a tenth of its rate. */
    private interface Brake<T> {
        void await(Collection<T> chunk, Duration limit) throws InterruptedException;
    }

    private <T> void process(
            Operation operation, Long total, Collection<T> items, Step<T> step, ExecutorService workers, Brake<T> brake)
            throws InterruptedException {
        List<T> all = List.copyOf(items);
        int chunk = Math.max(1, operation.rate() / CHUNKS_PER_SECOND);
        for (int from = 0; from < all.size(); from += chunk) {
            List<T> some = all.subList(from, Math.min(all.size(), from + chunk));
            long started = System.nanoTime();
            List<Callable<Boolean>> calls = new ArrayList<>();
            some.forEach(item -> calls.add(() -> step.apply(item)));
            long done = 0;
            for (Future<Boolean> outcome : workers.invokeAll(calls)) {
                done += outcome(outcome) ? 1 : 0;
            }
            record(operation, total, done, some.size() - done, null);
            Duration period = Duration.ofNanos(some.size() * NANOS_PER_SECOND / operation.rate());
            thread.pause(Duration.ofNanos(Math.max(0, started + period.toNanos() - System.nanoTime())));
            brake.await(some, period.multipliedBy(MAX_SLOWDOWN - 1));
        }
    }

    private static boolean outcome(Future<Boolean> outcome) throws InterruptedException {
        try {
            return outcome.get();
        } catch (ExecutionException e) {
            throw e.getCause() instanceof RuntimeException failure ? failure : new IllegalStateException(e.getCause());
        }
    }

    private void record(Operation operation, @Nullable Long total, long done, long skipped, @Nullable String cursor) {
        thread.monitor().progressed();
        if (thread.isClosing() || !operations.progress(operation.id(), owner, total, done, skipped, cursor)) {
            throw new StoppedException();
        }
    }

    private static List<String> ids(TaskHistory.Page page) {
        return page.tasks().stream()
                .map((ObjectNode task) -> task.get("task_id").asString())
                .toList();
    }
}
