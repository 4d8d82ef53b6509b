package io.aitbc.coordinator.security;

import org.springframework.boot.context.properties.ConfigurationProperties;

/**
 * Requests per second that all coordinators together accept, from 0: unlimited.
 *
 * @param anonymous without a valid credential, per address
 * @param admin per credential with this role; so for the other roles
 * @param agentCalls registrations, heartbeats, claims and results, per credential of any role; counted apart from other requests, so that
 *     submissions do not use them up
 * @param failuresPerMinute requests with an invalid credential, and wrong passwords, per address and coordinator; 0: unlimited
 */
@ConfigurationProperties("aitbc.limits")
public record RateLimitSettings(
        double anonymous,
        double admin,
        double operator,
        double submitter,
        double viewer,
        double agentCalls,
        int failuresPerMinute) {
    public RateLimitSettings {
        require("anonymous", anonymous);
        require("admin", admin);
        require("operator", operator);
        require("submitter", submitter);
        require("viewer", viewer);
        require("agent-calls", agentCalls);
        require("failures-per-minute", failuresPerMinute);
    }

    private static void require(String name, double perSecond) {
        if (!(perSecond >= 0 && perSecond <= 1_000_000)) {
            throw new IllegalArgumentException("aitbc.limits." + name + " must be from 0 to 1000000");
        }
    }

    double of(Role role) {
        return switch (role) {
            case ADMIN -> admin;
            case OPERATOR -> operator;
            case SUBMITTER -> submitter;
            case VIEWER, AGENT -> viewer;
        };
    }
}
