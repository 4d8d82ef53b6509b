package io.aitbc.coordinator.security;

import com.fasterxml.jackson.annotation.JsonProperty;

/**
 * The body of {@code POST /auth/session}.
 *
 * @param credential an API key or a token
 */
public record NewSession(@JsonProperty("credential") String credential) {
    /** Cookies hold about 4 kB. */
    private static final int MAX_LENGTH = 3_800;

    public NewSession {
        if (credential == null || !credential.matches("[A-Za-z0-9._~+/-]+=*") || credential.length() > MAX_LENGTH) {
            throw new IllegalArgumentException("credential must be a key or a token");
        }
    }

    /** Without the credential. */
    @Override
    public String toString() {
        return "NewSession";
    }
}
