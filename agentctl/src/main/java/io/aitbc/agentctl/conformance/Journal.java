package io.aitbc.agentctl.conformance;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** What an agent has done so far. Thread-safe. */
final class Journal {
    private @Nullable ObjectNode registration;
    private boolean deregistered;
    private final List<Report> reports = new ArrayList<>();
    private long aliveNanos = System.nanoTime();
    private long longestSilence;

    /**
     * A result that the agent has reported.
     *
     * @param body as on {@code tasks.results}
     */
    record Report(long nanos, JsonNode body) {
        String status() {
            return body.path("status").asString("");
        }

        String assignmentId() {
            return body.path("assignment_id")
                    .asString(body.path("task_id").asString("") + ":"
                            + body.path("attempt").asString("1"));
        }

        boolean isFinal() {
            return !status().equals("progress");
        }
    }

    synchronized void registered(ObjectNode agent) {
        registration = agent;
        deregistered = false;
        alive();
        notifyAll();
    }

    synchronized void deregistered() {
        deregistered = true;
        notifyAll();
    }

    synchronized void reported(JsonNode body) {
        reports.add(new Report(System.nanoTime(), body));
        notifyAll();
    }

    /** Records a sign of life. */
    synchronized void alive() {
        long now = System.nanoTime();
        longestSilence = Math.max(longestSilence, now - aliveNanos);
        aliveNanos = now;
    }

    /** Begins to measure the longest silence. */
    synchronized void listen() {
        aliveNanos = System.nanoTime();
        longestSilence = 0;
    }

    synchronized Duration longestSilence() {
        return Duration.ofNanos(Math.max(longestSilence, System.nanoTime() - aliveNanos));
    }

    synchronized @Nullable ObjectNode registration() {
        return registration;
    }

    synchronized boolean isDeregistered() {
        return deregistered;
    }

    /** The final reports of an assignment. */
    synchronized List<Report> ends(String assignmentId) {
        return reports.stream()
                .filter(report -> report.isFinal() && report.assignmentId().equals(assignmentId))
                .toList();
    }

    /** Waits until something is found; null if that takes too long. */
    synchronized <T> @Nullable T await(Duration timeout, Supplier<@Nullable T> search) throws InterruptedException {
        long end = System.nanoTime() + timeout.toNanos();
        while (true) {
            T found = search.get();
            long left = TimeUnit.NANOSECONDS.toMillis(end - System.nanoTime());
            if (found != null || left <= 0) {
                return found;
            }
            // In intervals: some searches look elsewhere.
            wait(Math.min(left, 100));
        }
    }
}
