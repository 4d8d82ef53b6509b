package io.aitbc.agentctl.conformance;

import io.aitbc.agentctl.conformance.Check.Finding;
import io.aitbc.agentctl.conformance.Check.Verdict;
import io.aitbc.agentctl.conformance.Journal.Report;
import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Cancellation;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Registration;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Task;
import io.aitbc.contracts.TaskResult;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Objects;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The checks of one agent. Each gives it assignments, as a coordinator would, and judges by what it reports.
 *
 * @param agent the process to stop; null if it was started elsewhere
 * @param taskData of a task that keeps the agent busy
 * @param busy for about how long
 * @param silence how long the agent may send no heartbeat
 */
record Conformance(
        String agentId,
        Link link,
        Journal journal,
        @Nullable AgentProcess agent,
        ObjectNode taskData,
        Duration busy,
        Duration silence) {
    private static final Duration PATIENCE = Duration.ofSeconds(15);
    private static final Duration EXIT_TIMEOUT = Duration.ofSeconds(60);
    private static final Duration HEALTH_TIMEOUT = Duration.ofSeconds(5);
    private static final Duration GRACE = Duration.ofMillis(500);
    private static final int MAX_CAPACITY = 200;

    List<Finding> run(Collection<Check> wanted) throws InterruptedException {
        List<Finding> findings = new ArrayList<>();
        boolean hasEnded = false;
        for (Check check : Check.values()) {
            if (wanted.contains(check)) {
                findings.add(hasEnded ? new Finding(check, Verdict.SKIPPED, "its process has ended") : run(check));
                hasEnded |= ending() != null;
            }
        }
        return findings;
    }

    /** How its process has ended on its own; null if it has not. */
    private @Nullable String ending() throws InterruptedException {
        return agent == null ? null : agent.ending();
    }

    private Finding run(Check check) throws InterruptedException {
        String skipped = skipped(check);
        if (skipped != null) {
            return new Finding(check, Verdict.SKIPPED, skipped);
        }
        journal.forgetRefusals();
        String found = switch (check) {
            case COMPLETES -> completes();
            case UNKNOWN_FIELDS -> ignoresWhatItDoesNotKnow();
            case BAD_ASSIGNMENT -> survivesABadAssignment();
            case REPEATED_ASSIGNMENT -> runsARepeatedAssignmentOnce();
            case CANCELLATION -> heedsACancellation();
            case CAPACITY -> keepsItsCapacity();
            case HEARTBEATS -> sendsHeartbeatsWhileBusy();
            case COMMIT -> commitsAfterItsReport();
            case SIGNATURE -> repeatsTheSignature();
            case SIGTERM -> losesNothingWhenItIsStopped(Objects.requireNonNull(agent));
        };
        String violation = journal.violation();
        String ending = ending();
        // Each is the cause of what follows it.
        String cause = violation == null ? ending : violation + (ending == null ? "" : "; " + ending);
        String problem = cause == null ? withMisdirected(found) : cause;
        return new Finding(check, problem == null ? Verdict.PASSED : Verdict.FAILED, problem == null ? "" : problem);
    }

    /** A request to a wrong path may be why something is missing. */
    private @Nullable String withMisdirected(@Nullable String found) {
        String misdirected = journal.misdirected();
        return found == null || misdirected == null ? found : found + " (" + misdirected + ")";
    }

    /** Why a check says nothing about this agent; null if it does. */
    private @Nullable String skipped(Check check) {
        if (check == Check.CAPACITY && !(link instanceof KafkaDesk)) {
            return "only over Kafka can more than its capacity arrive";
        } else if (check == Check.CAPACITY && capacity() > MAX_CAPACITY) {
            return "its capacity is " + capacity() + ": register it with at most " + MAX_CAPACITY;
        } else if (check == Check.COMMIT && !(link instanceof KafkaDesk)) {
            return "only agents over Kafka commit offsets";
        } else if (check == Check.SIGNATURE && !(link instanceof KafkaDesk)) {
            return "only over Kafka is it required";
        }
        return check == Check.SIGTERM && agent == null ? "name the command that starts the agent" : null;
    }

    private boolean isPushed() {
        return registration().path("delivery").asString("").equals("push");
    }

    private ObjectNode registration() {
        ObjectNode registered = journal.registration();
        return registered == null ? Json.object() : registered;
    }

    private int capacity() {
        return registration().path("capacity").asInt(Registration.DEFAULT_CAPACITY);
    }

    private ObjectNode assignment(ObjectNode data) {
        Instant now = Instant.now();
        Task task = Task.of("conformance-" + UUID.randomUUID(), data, Requirements.NONE);
        return (ObjectNode) Json.tree(Assignment.of(task.accepted(task.id(), now), Priority.NORMAL, agentId, now));
    }

    private List<Report> ends(ObjectNode assignment) {
        return journal.ends(assignment.get("task_id").asString());
    }

    private boolean isDelivered(ObjectNode assignment) {
        return journal.isDelivered(assignment.get("task_id").asString());
    }

    private ObjectNode give() {
        ObjectNode assignment = assignment(taskData);
        link.give(assignment);
        return assignment;
    }

    private @Nullable Report awaitEnd(ObjectNode assignment, Duration timeout) throws InterruptedException {
        return journal.await(
                timeout, () -> ends(assignment).stream().findFirst().orElse(null));
    }

    private static void pause(Duration duration) throws InterruptedException {
        TimeUnit.NANOSECONDS.sleep(duration.toNanos());
    }

    /** Gives it an ordinary task; null if that completes. */
    private @Nullable String problemWithNextTask() throws InterruptedException {
        return problemWith(give(), busy.plus(PATIENCE));
    }

    private @Nullable String problemWith(ObjectNode assignment, Duration timeout) throws InterruptedException {
        return problemWith(awaitEnd(assignment, timeout), timeout);
    }

    private static @Nullable String problemWith(@Nullable Report end, Duration timeout) {
        if (end == null) {
            return "it reported no result within " + timeout.toSeconds() + " s";
        }
        JsonNode reason = end.result().reason();
        return end.status().equals("completed")
                ? null
                : "it reported " + end.status() + ": " + reason.asString(reason.toString());
    }

    private @Nullable String completes() throws InterruptedException {
        String problem = problemWithNextTask();
        return problem == null ? null : problem + " (--task gives it a task that it can do)";
    }

    private @Nullable String ignoresWhatItDoesNotKnow() throws InterruptedException {
        link.giveUnknownMessage();
        ObjectNode assignment = assignment(taskData);
        assignment.put("from_a_later_version", 1).putObject("and_an_object").put("x", true);
        link.give(assignment);
        String problem = problemWith(assignment, busy.plus(PATIENCE));
        return problem == null
                ? null
                : "given a field or a message that it does not know, " + problem + ": it must ignore those";
    }

    private @Nullable String survivesABadAssignment() throws InterruptedException {
        ObjectNode bad =
                assignment(Json.object().put("task_type", "no-such-type").put("no_such_field", true));
        link.give(bad);
        link.giveGarbage();
        Report end = awaitEnd(bad, busy.plus(PATIENCE));
        String problem = problemWithNextTask();
        if (problem != null) {
            return "after an assignment that it cannot run, " + problem;
        }
        return end == null
                ? "it reported nothing about an assignment that it cannot run: it must report failed or rejected, or the task lasts until its deadline"
                : null;
    }

    /** It is repeated late in its run, so that a second run would end clearly later, and after its report. */
    private @Nullable String runsARepeatedAssignmentOnce() throws InterruptedException {
        ObjectNode assignment = give();
        pause(busy.multipliedBy(3).dividedBy(4));
        link.give(assignment);
        String problem = problemWith(assignment, busy.plus(PATIENCE));
        if (problem != null) {
            return problem;
        }
        // Ends later than a second run of the other would, also one that had to wait for its slot.
        problem = problemWithNextTask();
        pause(GRACE);
        if (problem == null) {
            link.give(assignment);
            problem = problemWithNextTask();
            pause(GRACE);
        }
        List<Report> ends = ends(assignment);
        if (ends.stream().skip(1).anyMatch(end -> !end.status().equals("rejected") && isOtherRun(ends.get(0), end))) {
            return "it ran an assignment again that was delivered again: assignments are delivered at least once, with the same assignment_id and assigned_at";
        }
        return problem == null ? null : "after an assignment that was delivered again, " + problem;
    }

    /**
     * An agent may answer a repeated assignment with its report, which it then sends again at once: when its run ends, or when it
     * gets the assignment. A second run that began in the last quarter of the first reports after three quarters of the time, any
     * other one after all of it.
     */
    private boolean isOtherRun(Report first, Report other) {
        TaskResult one = first.result();
        TaskResult two = other.result();
        if (one.startedAt() != null
                && two.startedAt() != null
                && !one.startedAt().equals(two.startedAt())) {
            return true;
        } else if (one.finishedAt() != null && one.finishedAt().equals(two.finishedAt())) {
            return false;
        }
        long earliest = Math.max(first.nanos(), other.deliveredNanos());
        return other.nanos() - earliest > busy.toNanos() * 3 / 8;
    }

    private @Nullable String heedsACancellation() throws InterruptedException {
        ObjectNode cancelled = give();
        pause(busy.dividedBy(3));
        link.cancel((ObjectNode)
                Json.tree(Cancellation.of(cancelled.get("task_id").asString(), 1, agentId, Instant.now())));
        // Ends later than the cancelled one would.
        String problem = problemWithNextTask();
        if (problem != null) {
            return "after a cancellation, " + problem;
        }
        return ends(cancelled).stream().anyMatch(end -> end.status().equals("completed"))
                ? "it completed a task that was cancelled while it ran: its work is wasted, and its slot stays taken"
                : null;
    }

    /** Gives it more at once than coordinators assign: its topic may still hold assignments that it lost at their deadline. */
    private @Nullable String keepsItsCapacity() throws InterruptedException {
        int capacity = capacity();
        long from = System.nanoTime();
        List<ObjectNode> given = new ArrayList<>();
        for (int i = 0; i < 2 * capacity + 1; i++) {
            given.add(give());
        }
        int waves = 3;
        Duration timeout = busy.multipliedBy(waves).plus(PATIENCE);
        for (ObjectNode assignment : given) {
            Report end = awaitEnd(assignment, timeout);
            String problem = problemWith(end, timeout);
            // It may give back what it has no slot for.
            if (problem != null && !(end != null && end.status().equals("rejected"))) {
                return "given " + given.size() + " tasks at once, " + problem;
            }
        }
        // None that waits for a slot can end earlier than twice that time.
        long atOnce = given.stream()
                .map(one -> ends(one).get(0))
                .filter(end -> end.status().equals("completed") && end.nanos() - from < busy.toNanos() * 3 / 2)
                .count();
        return atOnce > capacity ? "it ran " + atOnce + " tasks at once, and its capacity is " + capacity : null;
    }

    private @Nullable String sendsHeartbeatsWhileBusy() throws InterruptedException {
        List<ObjectNode> running = new ArrayList<>();
        String unanswered = null;
        journal.listen();
        long end = System.nanoTime() + silence.multipliedBy(5).dividedBy(4).toNanos();
        while (System.nanoTime() < end && ending() == null) {
            running.removeIf(one -> !ends(one).isEmpty());
            while (running.size() < Math.min(capacity(), MAX_CAPACITY)) {
                running.add(give());
            }
            unanswered = unanswered == null ? link.silence(HEALTH_TIMEOUT) : unanswered;
            pause(Duration.ofMillis(100));
        }
        Duration silent = journal.longestSilence();
        for (ObjectNode assignment : running) {
            awaitEnd(assignment, busy.plus(PATIENCE));
        }
        if (isPushed() || unanswered != null) {
            return unanswered;
        }
        return silent.compareTo(silence) > 0
                ? "it sent no heartbeat for " + silent.toSeconds()
                        + " s while it was busy: coordinators expect one every 30 s, and give its tasks to others after 300 s"
                : null;
    }

    private @Nullable String repeatsTheSignature() throws InterruptedException {
        String signature = "signature-" + UUID.randomUUID();
        ObjectNode assignment = assignment(taskData).put("signature", signature);
        link.give(assignment);
        Report end = awaitEnd(assignment, busy.plus(PATIENCE));
        String problem = problemWith(end, busy.plus(PATIENCE));
        return problem == null && end != null && !signature.equals(end.result().signature())
                ? "its report does not repeat the signature of the assignment: coordinators with security on refuse it"
                : problem;
    }

    private boolean isCommitted(ObjectNode assignment) {
        return link.isCommitted(assignment.get("assignment_id").asString());
    }

    private @Nullable String commitsAfterItsReport() throws InterruptedException {
        ObjectNode assignment = give();
        long end = System.nanoTime() + busy.plus(PATIENCE).toNanos();
        while (ends(assignment).isEmpty() && System.nanoTime() < end && ending() == null) {
            if (isCommitted(assignment) && ends(assignment).isEmpty()) {
                return "it commits an assignment before it has reported it: after a crash, its work is lost";
            }
            pause(Duration.ofMillis(20));
        }
        String problem = problemWith(assignment, Duration.ZERO);
        if (problem != null) {
            return problem;
        }
        Boolean committed = journal.await(PATIENCE, () -> isCommitted(assignment) ? true : null);
        return committed == null
                ? "it does not commit an assignment after its report: after a restart, it runs the task again"
                : null;
    }

    private @Nullable String losesNothingWhenItIsStopped(AgentProcess process) throws InterruptedException {
        List<ObjectNode> running = new ArrayList<>();
        for (int i = 0; i < Math.min(capacity(), MAX_CAPACITY); i++) {
            running.add(give());
        }
        // It need not claim as many as its capacity.
        if (journal.await(busy.plus(PATIENCE), () -> running.stream().anyMatch(this::isDelivered) ? true : null)
                == null) {
            return "it has not claimed a task that it could lose";
        }
        pause(busy.dividedBy(2));
        if (process.ending() == null && !process.stop(EXIT_TIMEOUT)) {
            return "it has not ended " + EXIT_TIMEOUT.toSeconds() + " s after SIGTERM";
        }
        pause(GRACE);
        List<ObjectNode> held = running.stream().filter(this::isDelivered).toList();
        long unreported = held.stream().filter(one -> ends(one).isEmpty()).count();
        if (unreported > 0) {
            return "stopped by SIGTERM, it neither finished nor rejected " + unreported + " of " + held.size()
                    + " tasks: they are repeated later, and use an attempt";
        }
        return journal.await(PATIENCE, () -> journal.isGone() ? true : null) == null
                ? "stopped by SIGTERM, it does not deregister: it is assigned tasks until it is silent for 300 s"
                : null;
    }
}
