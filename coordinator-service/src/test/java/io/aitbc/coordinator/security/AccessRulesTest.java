package io.aitbc.coordinator.security;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class AccessRulesTest {
    @Test
    void theDocumentationHasTheTable() throws IOException {
        List<String> table = new ArrayList<>(List.of("| endpoint | roles |", "|---|---|"));
        AccessRules.all().forEach(rule -> table.add("| `%s` | %s |".formatted(rule.endpoint(), roles(rule))));
        assertThat(Files.readAllLines(Path.of("..", "docs", "security.md"))).containsSequence(table);
    }

    private static String roles(AccessRules.Rule rule) {
        if (rule.isPublic()) {
            return "public";
        }
        return rule.roles().size() == Role.values().length && rule.isForScoped()
                ? "all"
                : rule.roles().stream()
                        .sorted()
                        .map(role -> role == Role.SUBMITTER && !rule.isForScoped()
                                ? "submitter of all tasks"
                                : role.wireName())
                        .collect(Collectors.joining(", "));
    }

    @Test
    void anEndpointWithoutARuleFailsTheStart() {
        List<String> known = Stream.of("GET /tasks/{task_id}", "GET /v1", "POST /v1/tasks/submit", "GET /openapi.json")
                .toList();
        AccessRules.requireComplete(known);
        assertThatIllegalStateException()
                .isThrownBy(() -> AccessRules.requireComplete(List.of("GET /health", "POST /new", "GET /v1/other")))
                .withMessage("endpoints without an access rule: POST /new, GET /v1/other");
    }

    /** A new endpoint is recorded. One that is not is a decision, to be made here too. */
    @Test
    void onlyWhatAgentsAndClientsDoAllTheTimeIsNotForTheAuditTrail() {
        assertThat(AccessRules.all().stream()
                        .filter(rule -> !rule.method().equals("GET") && !rule.isRecorded())
                        .map(AccessRules.Rule::endpoint))
                .containsExactlyInAnyOrder(
                        "POST /agents/register",
                        "POST /agents/discover",
                        "POST /agents/{agent_id}/heartbeat",
                        "POST /agents/{agent_id}/assignments/claim",
                        "POST /tasks/submit",
                        "POST /tasks/submit/batch",
                        "POST /tasks/{task_id}/token",
                        "POST /tasks/{task_id}/results",
                        "POST /auth/refresh",
                        "POST /auth/validate",
                        "POST /auth/api-key/validate",
                        "DELETE /auth/session");
    }

    @Test
    void aRuleIsFoundByItsPattern() {
        assertThat(AccessRules.of("GET", "/tasks/{task_id}").orElseThrow().roles())
                .containsExactlyInAnyOrder(Role.ADMIN, Role.OPERATOR, Role.SUBMITTER, Role.VIEWER);
        assertThat(AccessRules.of("DELETE", "/tasks/{task_id}")).isEmpty();
        assertThat(AccessRules.of("POST", "/agents/{agent_id}/assignments/claim")
                        .orElseThrow()
                        .isOwnAgentOnly())
                .isTrue();
        assertThat(AccessRules.of("GET", "/health").orElseThrow().isPublic()).isTrue();
    }
}
