package io.aitbc.coordinator.security;

/** Signs local users in by name and password, and slows those who guess. */
public final class Logins {
    private final Users users;
    private final RateLimits limits;

    public Logins(Users users, RateLimits limits) {
        this.users = users;
        this.limits = limits;
    }

    /**
     * The user with a name and password.
     *
     * @param address of the caller
     * @throws InvalidCredentialException if there is no such user, or the password is wrong
     * @throws ThrottledException after too many failures from this address, or with this name
     */
    public Users.User login(String name, String password, String address) {
        limits.requireFewFailures(address, name);
        return users.authenticate(name, password).orElseThrow(() -> {
            limits.failed(address, name);
            return new InvalidCredentialException("Invalid credentials");
        });
    }
}
