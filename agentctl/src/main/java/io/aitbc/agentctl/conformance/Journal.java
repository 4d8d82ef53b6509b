package io.aitbc.agentctl.conformance;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.TaskResult;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** What an agent has been given, and has done so far. Thread-safe. */
final class Journal {
    /** Of each task. */
    private static final int ATTEMPT = 1;

    private final String agentId;
    private @Nullable ObjectNode registration;
    private boolean registered;
    private boolean gone;
    private @Nullable String otherId;
    /** By task id. */
    private final Set<String> given = new HashSet<>();

    private final Set<String> live = new HashSet<>();
    /** By task id: when it reached the agent, the last time. */
    private final Map<String, Long> delivered = new HashMap<>();

    private final List<Report> reports = new ArrayList<>();
    private @Nullable String violation;
    private @Nullable String misdirected;
    private boolean ended;
    private long aliveNanos = System.nanoTime();
    private long longestSilence;

    Journal(String agentId) {
        this.agentId = agentId;
    }

    /**
     * A result that the agent has reported.
     *
     * @param deliveredNanos when its assignment had last reached the agent
     */
    record Report(long nanos, long deliveredNanos, TaskResult result) {
        String status() {
            return result.status().wireName();
        }

        boolean isFinal() {
            return result.status() != TaskResult.Status.PROGRESS;
        }

        /** As coordinators compare them. */
        boolean repeats(Report earlier) {
            return isFinal()
                    && result.status() == earlier.result.status()
                    && (result.status() == TaskResult.Status.COMPLETED
                            || result.reason().equals(earlier.result.reason()));
        }
    }

    /** Thrown for a request that coordinators refuse; the message is the reason, as one sentence. */
    static final class RefusedException extends RuntimeException {
        private final int status;
        private final boolean isViolation;

        /** @param isViolation false if an agent that conforms may send such a request */
        RefusedException(int status, String why, boolean isViolation) {
            super(why);
            this.status = status;
            this.isViolation = isViolation;
        }

        int status() {
            return status;
        }

        boolean isViolation() {
            return isViolation;
        }
    }

    /** Records a registration; one under another id does not count. */
    synchronized void registered(ObjectNode agent) {
        String id = agent.path("agent_id").asString("");
        if (!id.equals(agentId)) {
            otherId = id;
            return;
        }
        registration = agent;
        registered = true;
        gone = false;
        alive();
        notifyAll();
    }

    /** Records that the agent has reported that it is inactive: its next heartbeat is accepted. */
    synchronized void left() {
        gone = true;
        notifyAll();
    }

    /** Records that the agent has deregistered: its heartbeats are refused until it registers again. */
    synchronized void deregistered() {
        registered = false;
        left();
    }

    /** Records that a task is given to the agent; again, if it was given before. */
    synchronized void given(String taskId) {
        if (given.add(taskId)) {
            live.add(taskId);
        }
    }

    /** Records that an assignment reaches the agent, which may be later than it is given. */
    synchronized void delivered(String taskId) {
        delivered.put(taskId, System.nanoTime());
        notifyAll();
    }

    synchronized boolean isDelivered(String taskId) {
        return delivered.containsKey(taskId);
    }

    synchronized void cancelled(String taskId) {
        live.remove(taskId);
    }

    synchronized boolean isGiven(String taskId) {
        return given.contains(taskId);
    }

    /** Whether a task has neither ended nor been cancelled. */
    synchronized boolean isLive(String taskId) {
        return live.contains(taskId);
    }

    /**
     * Records a report.
     *
     * @param body as on {@code tasks.results}
     * @throws RefusedException if coordinators would not accept it
     */
    synchronized void reported(JsonNode body) {
        TaskResult result;
        try {
            result = Json.read(body, TaskResult.class);
        } catch (Json.MalformedMessageException e) {
            throw new RefusedException(422, String.valueOf(e.getMessage()), true);
        }
        if (!given.contains(result.taskId())) {
            throw new RefusedException(404, "Task not found", true);
        }
        boolean isItsOwn = result.agentId().equals(agentId) && result.attempt() == ATTEMPT;
        long now = System.nanoTime();
        Report report = new Report(now, delivered.getOrDefault(result.taskId(), now), result);
        boolean isAccepted = isItsOwn
                && (live.contains(result.taskId())
                        || ends(result.taskId()).stream().anyMatch(report::repeats));
        if (isItsOwn) {
            // Also what comes too late: it shows that the agent has worked on it.
            reports.add(report);
            if (report.isFinal()) {
                live.remove(result.taskId());
            }
            notifyAll();
        }
        if (!isAccepted) {
            throw new RefusedException(
                    409,
                    "attempt " + result.attempt() + " is not live at agent " + result.agentId()
                            + ": its task has ended, or was requeued",
                    !isItsOwn);
        }
    }

    /** Records what coordinators refuse. */
    synchronized void violated(String what) {
        violation = what;
        notifyAll();
    }

    /** What coordinators have refused since the last call of {@link #forgetRefusals}; null if nothing. */
    synchronized @Nullable String violation() {
        return violation;
    }

    /** Records a request that had no effect, such as one to an unknown path. It is no violation, but may be the cause of one. */
    synchronized void misdirected(String what) {
        misdirected = what;
    }

    /** The last such request since the last call of {@link #forgetRefusals}; null if there was none. */
    synchronized @Nullable String misdirected() {
        return misdirected;
    }

    synchronized void forgetRefusals() {
        violation = null;
        misdirected = null;
    }

    /** Records a heartbeat. */
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

    /** Records that the process of the agent has ended on its own: nothing more is awaited from it. */
    synchronized void ended() {
        ended = true;
        notifyAll();
    }

    synchronized boolean isRegistered(String id) {
        return registered && id.equals(agentId);
    }

    /** Another id under which an agent has registered; null if none has. */
    synchronized @Nullable String otherId() {
        return otherId;
    }

    /** Whether the agent is inactive or deregistered. */
    synchronized boolean isGone() {
        return gone;
    }

    /** The final reports of a task. */
    synchronized List<Report> ends(String taskId) {
        return reports.stream()
                .filter(report -> report.isFinal() && report.result().taskId().equals(taskId))
                .toList();
    }

    /** Waits until something is found; null if that takes too long, or if the agent does what coordinators refuse or has ended. */
    synchronized <T> @Nullable T await(Duration timeout, Supplier<@Nullable T> search) throws InterruptedException {
        long end = System.nanoTime() + timeout.toNanos();
        while (true) {
            T found = search.get();
            long left = TimeUnit.NANOSECONDS.toMillis(end - System.nanoTime());
            if (found != null || left <= 0 || violation != null || ended) {
                return found;
            }
            // In intervals: some searches look elsewhere.
            wait(Math.min(left, 100));
        }
    }
}
