package io.aitbc.coordinator.history;

import java.time.Duration;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Supplier;

/**
 * Runs lookups on threads of their own, so that callers wait for a limited time, whatever happens to the connection: a database that hangs ends neither a query
 * nor its cancellation. Thread-safe.
 */
final class Lookups implements AutoCloseable {
    private static final int MAX_THREADS = 6;
    private static final long IDLE_SECONDS = 30;

    private final ExecutorService threads =
            new ThreadPoolExecutor(0, MAX_THREADS, IDLE_SECONDS, TimeUnit.SECONDS, new SynchronousQueue<>(), task -> {
                Thread thread = new Thread(task, "history-lookup");
                thread.setDaemon(true);
                return thread;
            });

    /** @throws TaskHistory.UnavailableException if too many are running, or if it takes longer than the limit */
    <T> T run(Duration limit, Supplier<T> lookup) {
        Future<T> answer;
        try {
            answer = threads.submit(lookup::get);
        } catch (RejectedExecutionException e) {
            throw new TaskHistory.UnavailableException(
                    "too many callers are searching the history: try again later", false, e);
        }
        try {
            return answer.get(limit.toMillis(), TimeUnit.MILLISECONDS);
        } catch (TimeoutException e) {
            answer.cancel(true);
            throw new TaskHistory.UnavailableException(
                    "the history of tasks is not available: its database has not answered within " + limit.toSeconds()
                            + " s",
                    false,
                    e);
        } catch (ExecutionException e) {
            throw e.getCause() instanceof RuntimeException failure ? failure : new IllegalStateException(e.getCause());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new TaskHistory.UnavailableException("the lookup was interrupted", false, e);
        }
    }

    @Override
    public void close() {
        threads.shutdownNow();
    }
}
