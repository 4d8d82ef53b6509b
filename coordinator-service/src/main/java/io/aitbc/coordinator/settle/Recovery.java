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
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Predicate;
import org.apache.kafka.common.KafkaException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Every second, gives back what agents will not settle: attempts past their deadline, and all that lost agents held. */
final class Recovery implements AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(Recovery.class);
    private static final Duration EVERY = Duration.ofSeconds(1);
    private static final Duration LOOK_AT_ALL_EVERY = Duration.ofMinutes(10);

    private final Attempts attempts;
    private final GiveBack giveBack;
    private final AssignmentArchive archive;
    private final Predicate<String> ownsAgent;
    private final Clock clock;
    private final Pace looksAtAll = new Pace(LOOK_AT_ALL_EVERY);
    private final Recurring recovering = new Recurring("recovery", EVERY, this::runOnce, this::closeArchive);

    /** @param ownsAgent whether it is on this coordinator to watch over an agent */
    Recovery(
            KafkaClients clients,
            Topics topics,
            Attempts attempts,
            GiveBack giveBack,
            Predicate<String> ownsAgent,
            Clock clock) {
        this.attempts = attempts;
        this.giveBack = giveBack;
        this.archive = new AssignmentArchive(clients, topics);
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

    private void closeArchive() {
        archive.close();
    }

    private void runOnce() {
        if (looksAtAll.isDue()) {
            attempts.letAllBeDue();
        }
        List<KafkaException> failures = new ArrayList<>();
        forOwn(attempts.agentsDue(clock.instant()), failures, this::giveBackOverdue);
        Map<String, Instant> lost = attempts.lostAgents();
        forOwn(lost.keySet(), failures, agentId -> giveBackAll(agentId, lost.get(agentId)));
        if (!failures.isEmpty()) {
            throw failures.get(0);
        }
    }

    /** One whose topic cannot be read is not to keep the others. */
    private void forOwn(Collection<String> agentIds, List<KafkaException> failures, Consumer<String> action) {
        for (String agentId : agentIds) {
            if (ownsAgent.test(agentId)) {
                try {
                    action.accept(agentId);
                } catch (KafkaException e) {
                    failures.add(e);
                }
            }
        }
    }

    private void giveBackOverdue(String agentId) {
        List<Attempts.Held> overdue = attempts.overdue(agentId, clock.instant());
        giveBack(overdue, NextStep.Ending.OVERDUE, "no result came before the deadline");
    }

    private void giveBackAll(String agentId, Instant lostAt) {
        List<Attempts.Held> held = attempts.heldSince(agentId, lostAt);
        if (giveBack(held, NextStep.Ending.AGENT_LOST, "agent " + agentId + " was lost")
                && held.size() < Attempts.MOST_AT_ONCE) {
            attempts.noLongerLost(agentId, lostAt);
        }
    }

    private boolean giveBack(List<Attempts.Held> held, NextStep.Ending ending, String reason) {
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
