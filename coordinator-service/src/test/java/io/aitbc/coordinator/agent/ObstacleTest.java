package io.aitbc.coordinator.agent;

import static io.aitbc.coordinator.agent.AnAgent.NOW;
import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Resources;
import io.aitbc.coordinator.balance.Candidate;
import io.aitbc.coordinator.match.ATask;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ObstacleTest {
    private static final HealthPolicy POLICY =
            new HealthPolicy(Duration.ofSeconds(30), Duration.ofSeconds(300), 0.5, 0.9, 0.8);

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
                    {}                            |
                    {"agent_id":"b"}              | other_agent_wanted: the task is for agent b
                    {"agent_type":"gpu-box"}      | wrong_type: it is a worker, not a gpu-box
                    {"capabilities":["a","x","y"]}| missing_capability: it has no capability x; missing_capability: it has no capability y
                    {"services":["s"]}            | missing_service: it has no service s
                    {"tags":["t"]}                | missing_tag: it has no tag t
                    {"chain_id":"b"}              | wrong_chain: its chain is a, not b
                    {"region":"eu"}               | wrong_region: its region is unknown, not eu
                    {"min_health_score":1.0}      |
                    """)
    void unmetRequirementsAreObstacles(String requirements, String obstacles) {
        Agent agent = AnAgent.named("agent")
                .type("worker")
                .capabilities("a")
                .chain("a")
                .build();
        assertThat(text(agent, requirements)).isEqualTo(obstacles == null ? "" : obstacles);
    }

    @Test
    void whatIsLeftOfResourcesIsNamed() {
        Agent agent =
                AnAgent.named("agent").has("gpu 4", "disk 0.5").uses("gpu 3").build();

        assertThat(text(agent, "{\"resources\":{\"gpu\":1,\"disk\":0.5}}")).isEmpty();
        assertThat(text(agent, "{\"resources\":{\"gpu\":2}}"))
                .isEqualTo("resource_in_use: it has 1 of 4 gpu left, and 2 are needed");
        assertThat(text(agent, "{\"resources\":{\"gpu\":5,\"disk\":1,\"tpu\":1}}"))
                .isEqualTo(
                        "missing_resource: it has 4 gpu, and 5 are needed; missing_resource: it has 0.5 disk, and 1 is needed; "
                                + "missing_resource: it has no tpu, and 1 is needed");
    }

    @Test
    void anUnsuitableStateIsAnObstacle() {
        Agent agent = AnAgent.named("agent")
                .status(AgentStatus.MAINTENANCE)
                .load(Map.of("cpu_usage", 0.95, "memory_usage", 0.85))
                .capacity(2)
                .holds(2)
                .build();
        assertThat(text(agent, "{\"min_health_score\":0.9}"))
                .isEqualTo("not_active: its status is maintenance; unhealthy: its health score is 0.47, below 0.90; "
                        + "over_cpu_limit: its CPU usage is 0.95 and the limit is 0.90; "
                        + "over_memory_limit: its memory usage is 0.85 and the limit is 0.80; "
                        + "full: it holds 2 tasks and its capacity is 2");
    }

    @Test
    void anAgentThatPullsNeedsAnOpenClaim() {
        assertThat(text(AnAgent.named("agent").pulls(1).build(), "{}")).isEmpty();
        assertThat(text(AnAgent.named("agent").pulls(0).build(), "{}"))
                .isEqualTo("no_open_claim: it pulls its assignments, and has no open claim");
        assertThat(text(AnAgent.named("agent").pulls(0).holds(2).build(), "{}"))
                .isEqualTo("full: it holds 2 tasks and has no open claim");
    }

    @Test
    void anAgentThatIsPushedToNeedsAClaimOfItsCoordinator() {
        assertThat(text(AnAgent.named("agent").isPushed(1).build(), "{}")).isEmpty();
        assertThat(text(AnAgent.named("agent").isPushed(0).build(), "{}"))
                .isEqualTo(
                        "no_open_claim: assignments are pushed to it, and it was not reached yet or its coordinator is backing off");
        assertThat(text(AnAgent.named("agent").isPushed(0).holds(2).build(), "{}"))
                .isEqualTo("full: it holds 2 tasks and its coordinator is backing off");
    }

    /** The API reports an obstacle exactly when the matcher sees one. */
    @Test
    void thereIsNoObstacleExactlyIfTheAgentIsEligibleAndHasCapacity() {
        Random random = new Random(7);
        int eligible = 0;
        for (int i = 0; i < 20_000; i++) {
            Agent agent = agent(random);
            Requirements task = requirements(random);
            boolean regionRequired = random.nextBoolean();
            boolean may = Eligibility.meetsRequirements(agent.registration(), task, regionRequired)
                    && Eligibility.isAvailable(agent, POLICY)
                    && Health.of(agent, NOW, POLICY).score() >= Eligibility.minHealth(task, POLICY)
                    && agent.inflight() < agent.capacity()
                    && agent.unreached() == null
                    && new Candidate(agent).lacking(task.resources()) == 0
                    && (!agent.usesClaims() || agent.openSlots() > 0);
            eligible += may ? 1 : 0;
            assertThat(Obstacle.between(agent, task, NOW, POLICY, regionRequired)
                            .isEmpty())
                    .as("%s for %s", task, agent)
                    .isEqualTo(may);
        }
        assertThat(eligible).isBetween(500, 19_500);
    }

    private static Agent agent(Random random) {
        AnAgent agent = AnAgent.named(random.nextBoolean() ? "a" : "b")
                .type(random.nextInt(5) == 0 ? "other" : "worker")
                .capabilities(random.nextBoolean() ? new String[] {"x", "y"} : new String[] {"x", "gpu:2"})
                .capacity(3)
                .holds(random.nextInt(5))
                .has("gpu " + (1 + random.nextInt(2)))
                .uses("gpu " + (0.5 + random.nextInt(2)))
                .load(Map.of("cpu_usage", random.nextDouble(), "memory_usage", random.nextDouble() * 0.9));
        if (random.nextInt(5) == 0) {
            agent.status(AgentStatus.values()[random.nextInt(AgentStatus.values().length)]);
        }
        if (random.nextBoolean()) {
            agent.region("eu");
        }
        if (random.nextInt(6) == 0) {
            agent.unreached();
        }
        if (random.nextInt(4) == 0) {
            agent.pulls(random.nextInt(3));
        }
        if (random.nextInt(3) > 0) {
            agent.chain(random.nextInt(3) == 0 ? "other" : "c");
        }
        return agent.build();
    }

    private static Requirements requirements(Random random) {
        return new Requirements(
                random.nextInt(3) == 0 ? "worker" : null,
                random.nextBoolean()
                        ? List.of()
                        : List.of(List.of("x", "y", "gpu>=2").get(random.nextInt(3))),
                List.of(),
                List.of(),
                random.nextInt(3) == 0 ? random.nextDouble() : null,
                random.nextInt(3) == 0 ? "eu" : null,
                null,
                random.nextInt(4) == 0 ? "a" : null,
                null,
                random.nextInt(4) == 0 ? "c" : null,
                random.nextInt(3) == 0 ? ATask.resources("gpu " + (0.5 + random.nextInt(2))) : Resources.NONE,
                Map.of());
    }

    private static String text(Agent agent, String requirements) {
        return String.join(
                "; ",
                Obstacle.between(agent, Json.read(requirements, Requirements.class), NOW, POLICY, true).stream()
                        .map(obstacle -> obstacle.kind().wireName() + ": " + obstacle.detail())
                        .toList());
    }
}
