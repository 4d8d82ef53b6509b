package io.aitbc.coordinator.settle;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.background.Recurring;
import io.aitbc.coordinator.kafka.KafkaClients;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Every second, gives back what agents will not settle: attempts past their deadline, and all that lost agents held. */
final class Recovery implements AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(Recovery.class);
    private static final Duration EVERY = Duration.ofSeconds(1);

    private final Attempts attempts;
    private final GiveBack giveBack;
    private final AssignmentArchive archive;
    private final Predicate<String> ownsAgent;
    private final Clock clock;
    private boolean knowsWhoIsDue;
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

    private void closeArchive() {
        archive.close();
    }

    private void runOnce() {
        if (!knowsWhoIsDue) {
            attempts.letAllBeDue();
            knowsWhoIsDue = true;
        }
        for (String agentId : attempts.agentsDue(clock.instant())) {
            if (ownsAgent.test(agentId)) {
                List<Attempts.Held> overdue = attempts.overdue(agentId, clock.instant());
                giveBack(overdue, NextStep.Ending.OVERDUE, "no result came before the deadline");
            }
        }
        for (Map.Entry<String, Instant> lost : attempts.lostAgents().entrySet()) {
            String agentId = lost.getKey();
            if (ownsAgent.test(agentId)) {
                List<Attempts.Held> held = attempts.heldSince(agentId, lost.getValue());
                if (giveBack(held, NextStep.Ending.AGENT_LOST, "agent " + agentId + " was lost")) {
                    attempts.noLongerLost(agentId, lost.getValue());
                }
            }
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
