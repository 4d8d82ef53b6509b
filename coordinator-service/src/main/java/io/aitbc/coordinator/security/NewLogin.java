package io.aitbc.coordinator.security;

import com.fasterxml.jackson.annotation.JsonProperty;

/** The body of {@code POST /auth/login}. */
public record NewLogin(
        @JsonProperty("username") String username,
        @JsonProperty("password") String password) {
    public NewLogin {
        if (username == null || username.isEmpty() || password == null || password.isEmpty()) {
            throw new IllegalArgumentException("Username and password are required");
        }
    }

    /** Without the password. */
    @Override
    public String toString() {
        return "NewLogin[username=" + username + "]";
    }
}
