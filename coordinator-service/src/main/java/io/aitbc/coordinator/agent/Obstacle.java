package io.aitbc.coordinator.agent;

import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Capability;
import io.aitbc.contracts.Delivery;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Resources;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * A reason why an agent cannot take a task now. An agent has none if and only if {@link Eligibility} accepts it, it is not full, and enough of its
 * resources is left; whether it is kept free for another task is known to the lanes alone.
 *
 * @param detail the reason as text, with the requirement and the agent's value
 */
public record Obstacle(Kind kind, String detail) {
    /** Ordered by the effort needed to remove the obstacle, largest first. */
    public enum Kind {
        /** The task requires another agent by id. */
        OTHER_AGENT_WANTED,
        WRONG_TYPE,
        WRONG_CHAIN,
        MISSING_CAPABILITY,
        MISSING_SERVICE,
        MISSING_TAG,
        WRONG_REGION,
        /** It does not declare a resource, or less of it than the task takes. */
        MISSING_RESOURCE,
        NOT_ACTIVE,
        /** It registered over REST for delivery over Kafka, and does not read its topic; or its endpoint cannot be reached. */
        NOT_REACHED,
        UNHEALTHY,
        OVER_CPU_LIMIT,
        OVER_MEMORY_LIMIT,
        /** It pulls, and no claim is open; or the coordinator that pushes to it is backing off. */
        NO_OPEN_CLAIM,
        /** Other tasks take so much of a resource that too little is left. */
        RESOURCE_IN_USE,
        /** It is kept free for a task that takes more, and has waited long. */
        KEPT_FREE,
        FULL;

        /** Whether an agent with such an obstacle could never take the task, as it is registered. */
        public boolean isStatic() {
            return compareTo(NOT_ACTIVE) < 0;
        }

        public String wireName() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** All obstacles between an agent and a task. */
    public static List<Obstacle> between(
            Agent agent, Requirements task, Instant now, HealthPolicy policy, boolean regionRequired) {
        List<Obstacle> found = new ArrayList<>();
        var offers = agent.registration();
        if (task.agentId() != null && !task.agentId().equals(agent.id())) {
            found.add(new Obstacle(Kind.OTHER_AGENT_WANTED, "the task is for agent " + task.agentId()));
        }
        if (task.agentType() != null && !task.agentType().equals(offers.agentType())) {
            found.add(new Obstacle(Kind.WRONG_TYPE, "it is a " + offers.agentType() + ", not a " + task.agentType()));
        }
        if (task.chainId() != null && !task.chainId().equals(offers.chainId())) {
            found.add(new Obstacle(
                    Kind.WRONG_CHAIN,
                    "its chain is " + (isNone(offers.chainId()) ? "unknown" : offers.chainId()) + ", not "
                            + task.chainId()));
        }
        for (String demand : task.capabilities()) {
            if (!Capability.meets(offers.capabilities(), demand)) {
                found.add(new Obstacle(Kind.MISSING_CAPABILITY, "it has no capability " + demand));
            }
        }
        addMissing(found, Kind.MISSING_SERVICE, "service", task.services(), offers.services());
        addMissing(found, Kind.MISSING_TAG, "tag", task.tags(), offers.tags());
        if (regionRequired && task.region() != null && !task.region().equals(offers.region())) {
            found.add(new Obstacle(
                    Kind.WRONG_REGION,
                    "its region is " + (offers.region() == null ? "unknown" : offers.region()) + ", not "
                            + task.region()));
        }
        task.resources().thousandths().forEach((name, needed) -> {
            long declared = offers.resources().thousandths().getOrDefault(name, 0L);
            if (declared < needed) {
                found.add(new Obstacle(
                        Kind.MISSING_RESOURCE,
                        "it has " + (declared == 0 ? "no" : Resources.amount(declared)) + " " + name + ", and "
                                + isNeeded(needed)));
            }
        });
        if (agent.status() != AgentStatus.ACTIVE) {
            found.add(new Obstacle(
                    Kind.NOT_ACTIVE, "its status is " + agent.status().wireName()));
        }
        if (agent.unreached() != null) {
            found.add(new Obstacle(Kind.NOT_REACHED, agent.unreached()));
        }
        double score = Health.of(agent, now, policy).score();
        double wanted = Eligibility.minHealth(task, policy);
        if (score < wanted) {
            found.add(new Obstacle(Kind.UNHEALTHY, text("its health score is %.2f, below %.2f", score, wanted)));
        }
        if (agent.cpu() >= policy.maxCpu()) {
            found.add(new Obstacle(
                    Kind.OVER_CPU_LIMIT,
                    text("its CPU usage is %.2f and the limit is %.2f", agent.cpu(), policy.maxCpu())));
        }
        if (agent.memory() >= policy.maxMemory()) {
            found.add(new Obstacle(
                    Kind.OVER_MEMORY_LIMIT,
                    text("its memory usage is %.2f and the limit is %.2f", agent.memory(), policy.maxMemory())));
        }
        // An unreached agent has no claim for that reason.
        if (agent.usesClaims()
                && agent.unreached() == null
                && agent.openSlots() <= 0
                && agent.inflight() < agent.capacity()) {
            boolean isPull = agent.registration().delivery() == Delivery.PULL;
            found.add(
                    agent.inflight() == 0
                            ? new Obstacle(
                                    Kind.NO_OPEN_CLAIM,
                                    isPull
                                            ? "it pulls its assignments, and has no open claim"
                                            : "assignments are pushed to it, and it was not reached yet or its coordinator is backing off")
                            : new Obstacle(
                                    Kind.FULL,
                                    held(agent) + " and "
                                            + (isPull ? "has no open claim" : "its coordinator is backing off")));
        }
        task.resources().thousandths().forEach((name, needed) -> {
            long declared = offers.resources().thousandths().getOrDefault(name, 0L);
            if (declared >= needed && agent.left(name) < needed) {
                found.add(new Obstacle(
                        Kind.RESOURCE_IN_USE,
                        "it has " + Resources.amount(Math.max(0, agent.left(name))) + " of "
                                + Resources.amount(declared) + " " + name + " left, and " + isNeeded(needed)));
            }
        });
        if (agent.inflight() >= agent.capacity()) {
            found.add(new Obstacle(Kind.FULL, held(agent) + " and its capacity is " + agent.capacity()));
        }
        return found;
    }

    /** @param resources what the task takes for which the agent is kept free */
    public static Obstacle keptFree(Resources resources) {
        return new Obstacle(
                Kind.KEPT_FREE,
                "it is kept free for a task that has waited long and takes "
                        + resources.amounts().entrySet().stream()
                                .map(one -> one.getValue() + " " + one.getKey())
                                .collect(Collectors.joining(" and ")));
    }

    private static String isNeeded(long thousandths) {
        return Resources.amount(thousandths) + (thousandths == 1_000 ? " is needed" : " are needed");
    }

    private static String held(Agent agent) {
        return "it holds " + agent.inflight() + (agent.inflight() == 1 ? " task" : " tasks");
    }

    private static void addMissing(
            List<Obstacle> found, Kind kind, String what, List<String> wanted, List<String> offered) {
        for (String one : wanted) {
            if (!offered.contains(one)) {
                found.add(new Obstacle(kind, "it has no " + what + " " + one));
            }
        }
    }

    private static boolean isNone(@Nullable String text) {
        return text == null || text.isEmpty();
    }

    private static String text(String format, double is, double limit) {
        return String.format(Locale.ROOT, format, is, limit);
    }
}
