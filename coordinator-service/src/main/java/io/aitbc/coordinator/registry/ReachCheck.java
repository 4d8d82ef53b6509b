package io.aitbc.coordinator.registry;

import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.background.BackgroundService;
import io.aitbc.coordinator.background.PeriodicJob;
import io.aitbc.coordinator.background.Problem;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Predicate;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.common.KafkaFuture;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Checks whether agents that registered over REST consume their topics: whether their consumer groups have a member. Until then, or until
 * it sends a heartbeat or a result over Kafka, such an agent is assigned nothing.
 */
public final class ReachCheck implements BackgroundService {
    private static final Logger log = LoggerFactory.getLogger(ReachCheck.class);
    private static final Duration INTERVAL = Duration.ofSeconds(1);
    private static final int MAX_GROUPS = 500;
    private static final long WAIT_SECONDS = 10;

    private final Admin admin;
    private final Topics topics;
    private final Registry registry;
    private final Predicate<String> ownsAgent;
    private final PeriodicJob job = new PeriodicJob("reach", INTERVAL, this::check);
    /** As of the last check. */
    private volatile Set<String> unreached = Set.of();

    /** Agents that have reported a result over Kafka since the last check. */
    private final Set<String> reporters = ConcurrentHashMap.newKeySet();

    /** @param ownsAgent whether this coordinator monitors an agent */
    ReachCheck(Admin admin, Topics topics, Registry registry, Predicate<String> ownsAgent) {
        this.admin = admin;
        this.topics = topics;
        this.registry = registry;
        this.ownsAgent = ownsAgent;
    }

    @Override
    public void start() {
        job.start();
    }

    @Override
    public void close() {
        job.close();
    }

    @Override
    public List<Problem> problems() {
        return job.problems();
    }

    /** Whether an agent was not reached yet when that was last checked. */
    public boolean isUnreached(String agentId) {
        return unreached.contains(agentId);
    }

    /** Records that an agent has reported a result over Kafka: it has read its topic. */
    public void reported(String agentId) {
        reporters.add(agentId);
    }

    private void check() throws InterruptedException, TimeoutException {
        Set<String> reported = Set.copyOf(reporters);
        reporters.removeAll(reported);
        if (!reported.isEmpty()) {
            registry.markReached(List.copyOf(reported));
        }
        unreached = registry.unreached();
        List<String> owned = unreached.stream().filter(ownsAgent).sorted().toList();
        for (int from = 0; from < owned.size(); from += MAX_GROUPS) {
            check(owned.subList(from, Math.min(owned.size(), from + MAX_GROUPS)));
        }
    }

    private void check(List<String> agentIds) throws InterruptedException, TimeoutException {
        Map<String, KafkaFuture<ConsumerGroupDescription>> groups = admin.describeConsumerGroups(
                        agentIds.stream().map(topics::agentGroup).toList())
                .describedGroups();
        List<String> reached = new ArrayList<>();
        for (String agentId : agentIds) {
            KafkaFuture<ConsumerGroupDescription> group = groups.get(topics.agentGroup(agentId));
            try {
                if (group != null
                        && !group.get(WAIT_SECONDS, TimeUnit.SECONDS).members().isEmpty()) {
                    reached.add(agentId);
                }
            } catch (ExecutionException e) {
                // Mostly because the group does not exist.
                log.atTrace().addKeyValue("agent_id", agentId).log("Group not described: {}", e.toString());
            }
        }
        if (!reached.isEmpty()) {
            registry.markReached(reached);
        }
    }
}
