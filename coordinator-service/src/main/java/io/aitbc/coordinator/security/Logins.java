package io.aitbc.coordinator.security;

import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.Semaphore;

/** Signs local users in by name and password, and slows those who guess. Thread-safe. */
public final class Logins {
    /** A comparison takes a processor for about 0.1 s: agents' calls must not wait behind a flood of them. */
    private static final int MAX_COMPARISONS = 1;

    private final Users users;
    private final RateLimits limits;
    private final Semaphore comparisons = new Semaphore(MAX_COMPARISONS);

    public Logins(Users users, RateLimits limits) {
        this.users = users;
        this.limits = limits;
    }

    /**
     * The user with a name and password.
     *
     * @param address of the caller
     * @throws InvalidCredentialException if there is no such user, or the password is wrong
     * @throws ThrottledException after too many failures from this address, or with this name, or while many others sign in
     */
    public Users.User login(String name, String password, String address) {
        limits.attempted(address, name);
        Optional<Users.User> user = compare(name, password);
        if (user.isEmpty()) {
            throw new InvalidCredentialException("Invalid credentials");
        }
        limits.succeeded(address, name);
        return user.get();
    }

    private Optional<Users.User> compare(String name, String password) {
        if (!comparisons.tryAcquire()) {
            throw new ThrottledException("too many callers sign in at the same time", Duration.ofSeconds(1));
        }
        try {
            return users.authenticate(name, password);
        } finally {
            comparisons.release();
        }
    }
}
