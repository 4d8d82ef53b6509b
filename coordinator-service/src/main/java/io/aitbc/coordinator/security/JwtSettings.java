package io.aitbc.coordinator.security;

import java.nio.charset.StandardCharsets;
import org.springframework.boot.context.properties.ConfigurationProperties;

/**
 * Which JSON Web Tokens are accepted.
 *
 * @param issuer URL of an OpenID Connect issuer, whose keys are read from its metadata; empty: none
 * @param audience required in {@code aud}; empty: not checked, which is possible without an issuer only
 * @param roleClaim the claim that holds the role, or several of them
 * @param secret of tokens signed with HS256, at least 32 bytes; empty: none are accepted
 */
@ConfigurationProperties("aitbc.jwt")
record JwtSettings(String issuer, String audience, String roleClaim, String secret) {
    private static final int MIN_SECRET_BYTES = 32;

    JwtSettings {
        if (!secret.isEmpty() && secret.getBytes(StandardCharsets.UTF_8).length < MIN_SECRET_BYTES) {
            throw new SecuritySettingException(
                    "aitbc.jwt.secret (AITBC_JWT_SECRET) must have at least " + MIN_SECRET_BYTES + " bytes");
        }
        if (!issuer.isEmpty() && audience.isEmpty()) {
            throw new SecuritySettingException("aitbc.jwt.audience (AITBC_JWT_AUDIENCE) is required with an issuer:"
                    + " otherwise its tokens for other services would be accepted");
        }
    }

    boolean acceptsTokens() {
        return !issuer.isEmpty() || !secret.isEmpty();
    }

    /** Without the secret. */
    @Override
    public String toString() {
        return "JwtSettings[issuer=" + issuer + ", audience=" + audience + "]";
    }
}
