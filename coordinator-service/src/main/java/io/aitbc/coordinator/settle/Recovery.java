package io.aitbc.coordinator.settle;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.background.PeriodicJob;
import io.aitbc.coordinator.background.Problem;
import io.aitbc.coordinator.background.RateLimiter;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.usage.LimitUsage;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Every second, requeues attempts that agents will not settle: those past their deadline, and all that lost agents held. Attempts with a
 * reported result are left alone, even if nobody has read the result yet.
 */
final class Recovery implements AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(Recovery.class);
    private static final Duration INTERVAL = Duration.ofSeconds(1);
    /** Maximum age of the search; after that it is repeated before the next agent. */
    private static final Duration SEARCH_TTL = Duration.ofSeconds(2);

    private static final Duration FULL_CHECK_INTERVAL = Duration.ofMinutes(10);
    private static final Duration LIMIT_CHECK_INTERVAL = Duration.ofMinutes(1);

    private final Attempts attempts;
    private final Requeuer requeuer;
    private final AssignmentArchive archive;
    private final UnreadResults unread;
    /** Candidates of this round, where unsettled results began before it, the reports found by the last search, and when it ended. */
    private Map<String, String> candidates = Map.of();

    private Map<TopicPartition, Long> unsettledFrom = Map.of();
    private UnreadResults.Reported reported = UnreadResults.Reported.NONE;
    private long searchedAt;
    private final Predicate<String> ownsAgent;
    private final Clock clock;
    private final LimitUsage usage;
    private final RateLimiter fullCheckLimiter = new RateLimiter(FULL_CHECK_INTERVAL);
    private final RateLimiter limitCheckLimiter = new RateLimiter(LIMIT_CHECK_INTERVAL);
    private final PeriodicJob job = new PeriodicJob("recovery", INTERVAL, this::runOnce, this::closeConsumers);

    /** @param ownsAgent whether this coordinator monitors an agent */
    Recovery(
            KafkaClients clients,
            Admin admin,
            Topics topics,
            ResultRecords results,
            Attempts attempts,
            Requeuer requeuer,
            Predicate<String> ownsAgent,
            LimitUsage usage,
            Clock clock) {
        this.attempts = attempts;
        this.requeuer = requeuer;
        this.archive = new AssignmentArchive(clients, topics);
        this.unread = new UnreadResults(clients, admin, topics, results);
        this.ownsAgent = ownsAgent;
        this.usage = usage;
        this.clock = clock;
    }

    void start() {
        job.start();
    }

    @Override
    public void close() {
        job.close();
    }

    List<Problem> problems() {
        return job.problems();
    }

    private void closeConsumers() {
        archive.close();
        unread.close();
    }

    private void runOnce() throws InterruptedException {
        if (fullCheckLimiter.tryAcquire()) {
            attempts.markAllDue();
        }
        if (limitCheckLimiter.tryAcquire()) {
            int removed = usage.check();
            if (removed > 0) {
                log.atWarn()
                        .addKeyValue("removed", removed)
                        .log("Units of limits were held by attempts that are not live");
            }
        }
        String mark = attempts.indexMark();
        if (mark == null) {
            // What is read may be outdated.
            return;
        }
        List<String> agentsDue = own(attempts.agentsDue(clock.instant()));
        Map<String, Instant> lostAgents = attempts.lostAgents();
        lostAgents.keySet().removeIf(agentId -> !ownsAgent.test(agentId));
        if (agentsDue.isEmpty() && lostAgents.isEmpty()) {
            return;
        }
        // Before the attempts are read: progress that is settled after that is still found, and the attempt is left
        // alone.
        unsettledFrom = unread.unsettledFrom();
        Map<String, List<Attempts.HeldAttempt>> overdue = new LinkedHashMap<>();
        for (String agentId : agentsDue) {
            overdue.put(agentId, attempts.overdue(agentId, clock.instant(), reported.any()));
        }
        Map<String, List<Attempts.HeldAttempt>> lost = new LinkedHashMap<>();
        for (String agentId : lostAgents.keySet()) {
            lost.put(agentId, attempts.heldBefore(agentId, lostAgents.get(agentId), reported.ended()));
        }
        // Collected before the search: a result reported earlier is then either unread or settled.
        candidates = Stream.concat(overdue.values().stream(), lost.values().stream())
                .flatMap(List::stream)
                .collect(Collectors.toMap(
                        Attempts.HeldAttempt::assignmentId, Attempts.HeldAttempt::agentId, (one, same) -> one));
        search();
        if (!mark.equals(attempts.indexMark())) {
            return;
        }
        List<KafkaException> failures = new ArrayList<>();
        forEach(byTopic(overdue), failures, (agentIds, held) -> requeueOverdue(without(reported.any(), held)));
        forEach(byTopic(lost), failures, (agentIds, held) -> requeueAll(agentIds, lost, lostAgents));
        if (!failures.isEmpty()) {
            throw failures.get(0);
        }
    }

    private List<String> own(Collection<String> agentIds) {
        return agentIds.stream().filter(ownsAgent).toList();
    }

    private void search() throws InterruptedException {
        reported = unread.reportedAmong(candidates, unsettledFrom);
        searchedAt = System.nanoTime();
    }

    private static List<Attempts.HeldAttempt> without(Set<String> reported, List<Attempts.HeldAttempt> held) {
        return held.stream()
                .filter(one -> !reported.contains(one.assignmentId()))
                .toList();
    }

    private interface Step {
        void take(Set<String> agentIds, List<Attempts.HeldAttempt> held) throws InterruptedException;
    }

    /** Joins agents without a topic of their own, up to the batch limit: the shared topic is read once for all of them. */
    private Map<Set<String>, List<Attempts.HeldAttempt>> byTopic(Map<String, List<Attempts.HeldAttempt>> byAgent) {
        Set<String> withoutTopic = attempts.withoutTopic(byAgent.keySet());
        Map<Set<String>, List<Attempts.HeldAttempt>> groups = new LinkedHashMap<>();
        Set<String> joined = new LinkedHashSet<>();
        List<Attempts.HeldAttempt> held = new ArrayList<>();
        for (Map.Entry<String, List<Attempts.HeldAttempt>> entry : byAgent.entrySet()) {
            if (!withoutTopic.contains(entry.getKey())) {
                groups.put(Set.of(entry.getKey()), entry.getValue());
                continue;
            }
            joined.add(entry.getKey());
            held.addAll(entry.getValue());
            if (held.size() >= Attempts.MAX_BATCH) {
                groups.put(Set.copyOf(joined), List.copyOf(held));
                joined.clear();
                held.clear();
            }
        }
        if (!joined.isEmpty()) {
            groups.put(joined, held);
        }
        return groups;
    }

    /** An unreadable agent topic does not block the other agents. */
    private void forEach(Map<Set<String>, List<Attempts.HeldAttempt>> groups, List<KafkaException> failures, Step step)
            throws InterruptedException {
        for (Map.Entry<Set<String>, List<Attempts.HeldAttempt>> entry : groups.entrySet()) {
            try {
                if (System.nanoTime() - searchedAt > SEARCH_TTL.toNanos()) {
                    // This process may have been paused, and more results reported meanwhile.
                    search();
                }
                step.take(entry.getKey(), entry.getValue());
            } catch (KafkaException e) {
                failures.add(e);
            }
        }
    }

    private void requeueOverdue(List<Attempts.HeldAttempt> overdue) throws InterruptedException {
        requeuer.requeue(
                failed(overdue, RetryDecision.FailureReason.OVERDUE, "no result arrived before the deadline"), archive);
    }

    private void requeueAll(
            Set<String> agentIds, Map<String, List<Attempts.HeldAttempt>> lost, Map<String, Instant> lostAgents)
            throws InterruptedException {
        List<Requeuer.FailedAttempt> all = new ArrayList<>();
        Set<String> finished = new LinkedHashSet<>();
        for (String agentId : agentIds) {
            List<Attempts.HeldAttempt> held = lost.getOrDefault(agentId, List.of());
            // Progress reports of a lost agent do not keep its attempts.
            List<Attempts.HeldAttempt> unreported = without(reported.ended(), held);
            all.addAll(failed(unreported, RetryDecision.FailureReason.AGENT_LOST, "agent " + agentId + " was lost"));
            if (unreported.size() == held.size() && held.size() < Attempts.MAX_BATCH) {
                finished.add(agentId);
            }
        }
        if (requeuer.requeue(all, archive)) {
            finished.forEach(agentId -> attempts.clearLost(agentId, Objects.requireNonNull(lostAgents.get(agentId))));
        }
    }

    private static List<Requeuer.FailedAttempt> failed(
            List<Attempts.HeldAttempt> held, RetryDecision.FailureReason failureReason, String reason) {
        if (!held.isEmpty()) {
            log.atInfo().addKeyValue("tasks", held.size()).log("Requeueing: {}", reason);
        }
        String error = Json.text(reason);
        return held.stream()
                .map(attempt -> new Requeuer.FailedAttempt(attempt, RetryDecision.Failure.of(failureReason), error))
                .toList();
    }
}
