package io.aitbc.coordinator.security;

import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.Semaphore;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReentrantLock;

/** Signs local users in by name and password, and slows those who guess. Thread-safe. */
public final class Logins {
    /** How many callers wait for their turn; each of them occupies a thread. */
    private static final int MAX_CALLERS = 16;

    private final Users users;
    private final RateLimits limits;
    private final Semaphore callers = new Semaphore(MAX_CALLERS);
    /** Held while a password is compared, which takes a processor for about 0.1 s: agents' calls must not wait behind many of them. */
    private final Lock turn = new ReentrantLock(true);

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
        // Before the attempt is counted: an attempt that is turned away here is no guess.
        if (!callers.tryAcquire()) {
            throw new ThrottledException("too many callers sign in at the same time", Duration.ofSeconds(1));
        }
        try {
            limits.attempted(address, name);
            Users.User user =
                    compare(name, password).orElseThrow(() -> new InvalidCredentialException("Invalid credentials"));
            limits.succeeded(address, name);
            return user;
        } finally {
            callers.release();
        }
    }

    private Optional<Users.User> compare(String name, String password) {
        turn.lock();
        try {
            return users.authenticate(name, password);
        } finally {
            turn.unlock();
        }
    }
}
