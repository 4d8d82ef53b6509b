package io.aitbc.coordinator.security;

import com.fasterxml.jackson.annotation.JsonProperty;

/** The body of {@code POST /auth/login}. */
public record NewLogin(
        @JsonProperty("username") String username,
        @JsonProperty("password") String password) {
    private static final int MAX_LENGTH = 1_000;

    public NewLogin {
        if (username == null || username.isEmpty() || password == null || password.isEmpty()) {
            throw new IllegalArgumentException("Username and password are required");
        }
        if (username.length() > MAX_LENGTH || password.length() > MAX_LENGTH) {
            throw new IllegalArgumentException("username and password must have at most " + MAX_LENGTH + " characters");
        }
    }

    /** Without the password. */
    @Override
    public String toString() {
        return "NewLogin[username=" + username + "]";
    }
}
