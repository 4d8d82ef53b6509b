package io.aitbc.coordinator.security;

import io.aitbc.contracts.Task;
import java.security.Principal;
import java.time.Instant;
import org.jspecify.annotations.Nullable;
import org.springframework.security.access.AccessDeniedException;
import org.springframework.security.core.Authentication;
import org.springframework.security.core.AuthenticationException;
import org.springframework.security.core.context.SecurityContextHolder;
import org.springframework.security.oauth2.server.resource.InvalidBearerTokenException;

/**
 * Who sends a request.
 *
 * @param name of the key or the token's subject
 * @param agentId the only agent that a caller with role agent may act as; ends with {@code *} if it is a prefix
 * @param fairnessKey the only one whose tasks the caller may submit and see; null for all tasks
 * @param taskId the only task that a caller with a token for one task may see; null for any other caller
 * @param keyId null if it has no API key of {@link ApiKeys}
 * @param expiresAt end of its credential; null if it has none
 */
public record Caller(
        String name,
        Role role,
        @Nullable String agentId,
        @Nullable String fairnessKey,
        @Nullable String taskId,
        @Nullable String keyId,
        @Nullable Instant expiresAt) {

    /** Everyone, while security is off. */
    public static final Caller ANYONE = new Caller("anyone", Role.ADMIN, null, null, null, null, null);

    /** A request without a credential, to a public path while security is on. It may act as no agent. */
    public static final Caller NOBODY = new Caller("nobody", Role.AGENT, null, null, null, null, null);

    /** Who sends the request that this thread handles. */
    public static Caller current() {
        return of(SecurityContextHolder.getContext().getAuthentication());
    }

    /** @param principal of a request; null while security is off */
    public static Caller of(@Nullable Principal principal) {
        if (principal == null) {
            return ANYONE;
        }
        return principal instanceof Authentication authentication
                        && authentication.getPrincipal() instanceof Caller caller
                ? caller
                : NOBODY;
    }

    /** The error for a caller whose credential is revoked, or expires, while its call is open. */
    public static AuthenticationException ended() {
        return new InvalidBearerTokenException("the credential was revoked, or has expired");
    }

    /** Whether the caller is this agent, or no agent at all: then its role decides. */
    public boolean mayActAs(String agent) {
        if (role != Role.AGENT) {
            return true;
        }
        return agentId != null
                && (agentId.endsWith("*")
                        ? agent.startsWith(agentId.substring(0, agentId.length() - 1))
                        : agent.equals(agentId));
    }

    /** Identifies its credential, such as for limits; never contains it. The same for all tokens for one task that a caller has made. */
    public String credential() {
        if (keyId != null) {
            return "key " + keyId;
        }
        return (taskId == null ? "name " + role.wireName() : "task tokens of") + " " + name;
    }

    /** Whether the caller may see its own scope's tasks only. */
    public boolean isScoped() {
        return fairnessKey != null;
    }

    /**
     * Whether the caller may see a task.
     *
     * @param ofTask the task's fairness key; null if it has none
     */
    public boolean maySee(String task, @Nullable String ofTask) {
        return (taskId == null || taskId.equals(task)) && (fairnessKey == null || fairnessKey.equals(ofTask));
    }

    /**
     * The task as this caller submits it: with its scope's fairness key.
     *
     * @throws AccessDeniedException if it has another one, or sets its own weight
     */
    public Task inScope(Task task) {
        if (fairnessKey != null && task.fairnessWeight() != null) {
            throw new AccessDeniedException(
                    "this credential may not set fairness_weight: operators set the weight of a fairness_key");
        }
        if (fairnessKey == null || fairnessKey.equals(task.fairnessKey())) {
            return task;
        }
        if (task.fairnessKey() != null) {
            throw new AccessDeniedException("this credential is for another fairness_key");
        }
        return task.withFairnessKey(fairnessKey);
    }

    /** @throws AccessDeniedException if the caller is another agent */
    public void requireAgent(String agent) {
        if (!mayActAs(agent)) {
            throw new AccessDeniedException("this credential is for agent " + agentId + ", not for " + agent);
        }
    }
}
