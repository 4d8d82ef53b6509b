package io.aitbc.coordinator.security;

import com.fasterxml.jackson.annotation.JsonProperty;
import org.jspecify.annotations.Nullable;

/**
 * The body of {@code POST /auth/session}: either a credential, or the name and password of a local user.
 *
 * @param credential an API key or a token
 */
public record NewSession(
        @JsonProperty("credential") @Nullable String credential,
        @JsonProperty("username") @Nullable String username,
        @JsonProperty("password") @Nullable String password) {
    /** Cookies hold about 4 kB. */
    private static final int MAX_LENGTH = 3_800;

    public NewSession {
        if (credential == null) {
            if (username == null || password == null) {
                throw new IllegalArgumentException("credential is required, or username and password");
            }
            login(username, password);
        } else if (!credential.matches("[A-Za-z0-9._~+/-]+=*") || credential.length() > MAX_LENGTH) {
            throw new IllegalArgumentException("credential must be a key or a token");
        }
    }

    private static NewLogin login(String username, String password) {
        return new NewLogin(username, password);
    }

    /** Without the credential. */
    @Override
    public String toString() {
        return "NewSession";
    }
}
