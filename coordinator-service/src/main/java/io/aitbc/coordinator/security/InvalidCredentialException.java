package io.aitbc.coordinator.security;

import org.springframework.security.authentication.BadCredentialsException;

/** A password, a token or a key that was given in a body is not valid: 401, and counted as a failed sign-in. */
public final class InvalidCredentialException extends BadCredentialsException {
    public InvalidCredentialException(String message) {
        super(message);
    }
}
