package io.aitbc.coordinator.settle;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.background.Pace;
import io.aitbc.coordinator.background.Recurring;
import io.aitbc.coordinator.kafka.KafkaClients;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
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
 * Every second, gives back what agents will not settle: attempts past their deadline, and everything that lost agents held. Attempts with a
 * reported result are left alone, even if nobody has read the result yet.
 */
final class Recovery implements AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(Recovery.class);
    private static final Duration EVERY = Duration.ofSeconds(1);
    /** Maximum age of the search; after that it is repeated before the next agent. */
    private static final Duration SEARCH_COUNTS_FOR = Duration.ofSeconds(2);

    private static final Duration LOOK_AT_ALL_EVERY = Duration.ofMinutes(10);

    private final Attempts attempts;
    private final GiveBack giveBack;
    private final AssignmentArchive archive;
    private final UnreadResults unread;
    /** Candidates of this round, where unsettled results began before it, what the last search found reported, and when it ended. */
    private Set<String> candidates = Set.of();

    private Map<TopicPartition, Long> unsettledFrom = Map.of();
    private Set<String> reported = Set.of();
    private long searchedAt;
    private final Predicate<String> ownsAgent;
    private final Clock clock;
    private final Pace looksAtAll = new Pace(LOOK_AT_ALL_EVERY);
    private final Recurring recovering = new Recurring("recovery", EVERY, this::runOnce, this::closeConsumers);

    /** @param ownsAgent whether this coordinator monitors an agent */
    Recovery(
            KafkaClients clients,
            Admin admin,
            Topics topics,
            Attempts attempts,
            GiveBack giveBack,
            Predicate<String> ownsAgent,
            Clock clock) {
        this.attempts = attempts;
        this.giveBack = giveBack;
        this.archive = new AssignmentArchive(clients, topics);
        this.unread = new UnreadResults(clients, admin, topics);
        this.ownsAgent = ownsAgent;
        this.clock = clock;
    }

    void start() {
        recovering.start();
    }

    @Override
    public void close() {
        recovering.close();
    }

    List<String> troubles() {
        return recovering.troubles();
    }

    private void closeConsumers() {
        archive.close();
        unread.close();
    }

    private void runOnce() throws InterruptedException {
        if (looksAtAll.isDue()) {
            attempts.letAllBeDue();
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
        Map<String, List<Attempts.Held>> overdue = new LinkedHashMap<>();
        for (String agentId : agentsDue) {
            overdue.put(agentId, attempts.overdue(agentId, clock.instant(), reported));
        }
        Map<String, List<Attempts.Held>> lost = new LinkedHashMap<>();
        for (String agentId : lostAgents.keySet()) {
            lost.put(agentId, attempts.heldSince(agentId, lostAgents.get(agentId), reported));
        }
        // Collected before the search: a result reported earlier is then either unread or settled.
        candidates = Stream.concat(overdue.values().stream(), lost.values().stream())
                .flatMap(List::stream)
                .map(Attempts.Held::assignmentId)
                .collect(Collectors.toSet());
        search();
        List<KafkaException> failures = new ArrayList<>();
        forEach(overdue, failures, (agentId, held) -> giveBackOverdue(unreported(held)));
        forEach(lost, failures, (agentId, held) -> giveBackAll(agentId, lostAgents.get(agentId), held));
        if (!failures.isEmpty()) {
            throw failures.get(0);
        }
    }

    private List<String> own(Collection<String> agentIds) {
        return agentIds.stream().filter(ownsAgent).toList();
    }

    private void search() throws InterruptedException {
        reported = unread.among(candidates, unsettledFrom);
        searchedAt = System.nanoTime();
    }

    private List<Attempts.Held> unreported(List<Attempts.Held> held) {
        return held.stream()
                .filter(one -> !reported.contains(one.assignmentId()))
                .toList();
    }

    private interface Step {
        void take(String agentId, List<Attempts.Held> held) throws InterruptedException;
    }

    /** An unreadable agent topic does not block the other agents. */
    private void forEach(Map<String, List<Attempts.Held>> byAgent, List<KafkaException> failures, Step step)
            throws InterruptedException {
        for (Map.Entry<String, List<Attempts.Held>> entry : byAgent.entrySet()) {
            try {
                if (System.nanoTime() - searchedAt > SEARCH_COUNTS_FOR.toNanos()) {
                    // This process may have been paused, and more results reported meanwhile.
                    search();
                }
                step.take(entry.getKey(), entry.getValue());
            } catch (KafkaException e) {
                failures.add(e);
            }
        }
    }

    private void giveBackOverdue(List<Attempts.Held> overdue) throws InterruptedException {
        giveBack(overdue, NextStep.Ending.OVERDUE, "no result came before the deadline");
    }

    private void giveBackAll(String agentId, Instant lostAt, List<Attempts.Held> held) throws InterruptedException {
        List<Attempts.Held> unreported = unreported(held);
        if (giveBack(unreported, NextStep.Ending.AGENT_LOST, "agent " + agentId + " was lost")
                && unreported.size() == held.size()
                && held.size() < Attempts.MOST_AT_ONCE) {
            attempts.noLongerLost(agentId, lostAt);
        }
    }

    private boolean giveBack(List<Attempts.Held> held, NextStep.Ending ending, String reason)
            throws InterruptedException {
        if (held.isEmpty()) {
            return true;
        }
        log.atInfo().addKeyValue("tasks", held.size()).log("Giving back: {}", reason);
        String error = Json.text(reason);
        return giveBack.giveBack(
                held.stream()
                        .map(attempt -> new GiveBack.Ended(attempt, ending, error))
                        .toList(),
                archive);
    }
}
