package io.aitbc.coordinator.agent;

import static io.aitbc.coordinator.agent.AnAgent.NOW;
import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Registration;
import io.aitbc.contracts.Requirements;
import java.time.Duration;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class EligibilityTest {
    private static final HealthPolicy POLICY =
            new HealthPolicy(Duration.ofSeconds(30), Duration.ofSeconds(300), 0.5, 0.9, 0.8);
    private static final Registration AGENT = AnAgent.named("agent-1")
            .type("worker")
            .capabilities("hash", "chat")
            .services("s1", "s2")
            .tags("gpu", "eu")
            .region("west")
            .chain("main")
            .registration();

    @ParameterizedTest(name = "{0} suits: {1}")
    @CsvSource({
        "{}, true",
        "{\"agent_id\":\"agent-1\"}, true",
        "{\"agent_id\":\"agent-2\"}, false",
        "{\"agent_type\":\"worker\"}, true",
        "{\"agent_type\":\"Worker\"}, false",
        "'{\"capabilities\":[\"chat\",\"hash\"]}', true",
        "'{\"capabilities\":[\"hash\",\"video\"]}', false",
        "{\"services\":[\"s2\"]}, true",
        "'{\"services\":[\"s2\",\"s3\"]}', false",
        "{\"tags\":[\"gpu\"]}, true",
        "{\"tags\":[\"GPU\"]}, false",
        "{\"region\":\"west\"}, true",
        "{\"region\":\"east\"}, false",
        "{\"chain_id\":\"main\"}, true",
        "{\"chain_id\":\"test\"}, false",
        "{\"chain_id\":\"\"}, true", // existing clients send this for any chain
        "'{\"capabilities\":[\"hash\"],\"tags\":[\"tpu\"]}', false",
        "{\"affinity_key\":\"k\"}, true", // a preference, too
        "'{\"location\":{\"lat\":1.5,\"lon\":2.5}}', true", // a preference, never a condition
        "{\"min_health_score\":1.0}, true", // depends on the state of an agent, not its kind
        "{\"made_up\":1}, true"
    })
    void allRequirementsMustBeMet(String requirements, boolean expected) {
        assertThat(Eligibility.meetsRequirements(AGENT, read(requirements), true))
                .isEqualTo(expected);
    }

    @Test
    void anAgentWithoutAChainTakesNoTaskOfAChain() {
        assertThat(Eligibility.meetsRequirements(
                        AnAgent.named("n").registration(), read("{\"chain_id\":\"main\"}"), true))
                .isFalse();
    }

    @Test
    void regionIsRequiredOnlyIfNoStrategyHandlesIt() {
        Requirements east = read("{\"region\":\"east\"}");
        Registration nowhere = AnAgent.named("n").registration();

        assertThat(Eligibility.meetsRequirements(AGENT, east, false)).isTrue();
        assertThat(Eligibility.meetsRequirements(nowhere, east, false)).isTrue();
        assertThat(Eligibility.meetsRequirements(nowhere, east, true)).isFalse();
    }

    @ParameterizedTest
    @EnumSource(AgentStatus.class)
    void onlyActiveAgentsAreAvailable(AgentStatus status) {
        Agent agent = AnAgent.named("a").status(status).build();

        assertThat(fit(agent, Requirements.NONE)).isEqualTo(status == AgentStatus.ACTIVE);
    }

    @ParameterizedTest(name = "cpu {0}, memory {1}: {2}")
    @CsvSource({"0.89, 0, true", "0.9, 0, false", "89, 0, true", "90, 0, false", "0, 0.79, true", "0, 0.8, false"})
    void loadMustBeBelowTheLimits(double cpu, double memory, boolean expected) {
        Agent agent = AnAgent.named("a").load(cpu, memory).build();

        assertThat(fit(agent, Requirements.NONE)).isEqualTo(expected);
    }

    @ParameterizedTest(name = "silent for {0} s, wanted {1}: {2}")
    @CsvSource({"165, , true", "166, , false", "57, 0.9, true", "58, 0.9, false", "165, 0.1, true", "166, 0.1, false"})
    void healthMustReachTheHigherOfTheThresholds(long silence, @Nullable Double wanted, boolean expected) {
        Agent agent = AnAgent.named("a").silentFor(silence).build();
        Requirements task = read("{\"min_health_score\":" + wanted + "}");

        assertThat(fit(agent, task)).isEqualTo(expected);
    }

    private static boolean fit(Agent agent, Requirements task) {
        return Eligibility.isAvailable(agent, POLICY)
                && Health.of(agent, NOW, POLICY).score() >= Eligibility.minHealth(task, POLICY);
    }

    private static Requirements read(String json) {
        return Json.read(json.getBytes(), Requirements.class);
    }
}
