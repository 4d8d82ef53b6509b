package io.aitbc.agentctl;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletionService;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorCompletionService;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** Waits for tasks to end and collects their outcomes. Worker threads only poll; the caller's thread records the responses. */
final class CompletionTracker {
    private static final int CONCURRENCY = 32;

    /** Timeout of a long poll, after which another task is polled, so that slow tasks do not delay the progress display. */
    private static final Duration POLL_WAIT = Duration.ofSeconds(2);

    private final Coordinator coordinator;
    private final Map<String, Long> counts = new TreeMap<>();
    private final List<TaskState> notCompleted = new ArrayList<>();

    CompletionTracker(Coordinator coordinator) {
        this.coordinator = coordinator;
    }

    void await(Collection<String> taskIds, Progress progress) throws InterruptedException {
        Deque<String> remaining = new ArrayDeque<>(taskIds);
        ExecutorService executor = Executors.newFixedThreadPool(CONCURRENCY);
        CompletionService<TaskState> answers = new ExecutorCompletionService<>(executor);
        int inFlight = 0;
        try {
            while (inFlight > 0 || !remaining.isEmpty()) {
                for (; inFlight < CONCURRENCY && !remaining.isEmpty(); inFlight++) {
                    String taskId = remaining.removeFirst();
                    answers.submit(() -> coordinator.task(taskId, POLL_WAIT));
                }
                TaskState task = answers.take().get();
                inFlight--;
                if (task.hasEnded()) {
                    recordOutcome(task);
                    progress.by(1);
                } else {
                    remaining.addLast(task.id());
                }
            }
        } catch (ExecutionException e) {
            throw e.getCause() instanceof CommandFailedException failed ? failed : new IllegalStateException(e);
        } finally {
            executor.shutdownNow();
        }
    }

    /** Returns the number of ended tasks by status. */
    Map<String, Long> counts() {
        return counts;
    }

    List<TaskState> notCompleted() {
        return notCompleted;
    }

    private void recordOutcome(TaskState task) {
        counts.merge(task.status(), 1L, Long::sum);
        if (!task.isCompleted()) {
            notCompleted.add(task);
        }
    }
}
