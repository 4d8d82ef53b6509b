package io.aitbc.coordinator.security;

import io.aitbc.contracts.Ids;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.BooleanSupplier;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.security.authentication.AuthenticationServiceException;
import org.springframework.security.crypto.bcrypt.BCryptPasswordEncoder;
import org.springframework.security.crypto.password.DelegatingPasswordEncoder;
import org.springframework.security.crypto.password.PasswordEncoder;
import org.springframework.security.oauth2.jwt.Jwt;

/**
 * Local users, for installations without an identity provider. Their names, roles and password hashes are configured. A role that was
 * assigned over REST replaces the configured one. Thread-safe.
 */
public final class Users {
    /** Of its records in {@link SecurityTopic}. */
    static final String KIND = "role:";

    static final String PASSWORD_CLAIM = "password_version";

    private static final int VERSION_LENGTH = 16;
    private static final int FIELDS = 3;
    private static final int MAX_PASSWORD_BYTES = 72;

    private final Map<String, Entry> configured;
    /** By user id, also of users that are not configured: keys can be made for them. */
    private final Map<String, String> assigned = new ConcurrentHashMap<>();

    private final SecurityTopic.Writer roles;
    private final BooleanSupplier isLoaded;
    private final PasswordEncoder encoder;
    /** Compared with the password of an unknown user, which then takes as long as that of a known one. */
    private final String someHash;

    /**
     * Where the users are configured.
     *
     * @param list lines of {@code name:role:hash}; empty: none
     * @param file path of a file with such lines; empty: none
     */
    @ConfigurationProperties("aitbc.users")
    record Settings(String list, String file) {
        /** Without the hashes. */
        @Override
        public String toString() {
            return "Settings[file=" + file + "]";
        }
    }

    /**
     * A user.
     *
     * @param id also the name to sign in with
     * @param roleName as given: the AITBC coordinator's clients know a submitter as {@code user}
     */
    public record User(String id, String roleName) {
        public Role role() {
            return Role.parse(roleName);
        }

        /** The user that signs in, before it has a token. */
        public Caller caller() {
            return new Caller(id, role(), null, null, null, null, null);
        }
    }

    private record Entry(String roleName, String hash) {}

    /**
     * @param roles where assigned roles are written; they come back to {@link #read}
     * @param isLoaded whether all earlier ones have been read
     * @throws IllegalArgumentException if a line is invalid, or the file cannot be read
     */
    Users(Settings settings, SecurityTopic.Writer roles, BooleanSupplier isLoaded) {
        this.roles = roles;
        this.isLoaded = isLoaded;
        this.configured = new HashMap<>(parse("aitbc.users.list (AITBC_USERS_LIST)", settings.list()));
        this.configured.putAll(parse("aitbc.users.file (AITBC_USERS_FILE)", contents(settings.file())));
        BCryptPasswordEncoder bcrypt = new BCryptPasswordEncoder();
        DelegatingPasswordEncoder delegating = new DelegatingPasswordEncoder("bcrypt", Map.of("bcrypt", bcrypt));
        // As htpasswd writes it.
        delegating.setDefaultPasswordEncoderForMatches(bcrypt);
        this.encoder = delegating;
        this.someHash = String.valueOf(encoder.encode("of no user"));
    }

    /** Takes an assigned role. */
    void read(String id, byte @Nullable [] roleName) {
        if (roleName == null) {
            assigned.remove(id);
        } else {
            assigned.put(id, checkRole(new String(roleName, StandardCharsets.UTF_8)));
        }
    }

    private static String contents(String file) {
        try {
            return file.isEmpty() ? "" : Files.readString(Path.of(file));
        } catch (IOException e) {
            throw new SecuritySettingException("aitbc.users.file (AITBC_USERS_FILE) cannot be read: " + file);
        }
    }

    private static Map<String, Entry> parse(String setting, String text) {
        Map<String, Entry> users = new HashMap<>();
        int number = 0;
        for (String line : text.lines().toList()) {
            number++;
            if (line.isBlank() || line.startsWith("#")) {
                continue;
            }
            String[] fields = line.strip().split(":", FIELDS);
            if (fields.length < FIELDS
                    || !fields[0].matches(Ids.PATTERN)
                    || !fields[2].matches("(\\{bcrypt\\})?\\$2[aby]\\$\\d\\d\\$[./A-Za-z0-9]{53}")) {
                // The line itself may hold a password.
                throw new SecuritySettingException(
                        setting + ", line " + number + ": must be name:role:hash, with a bcrypt hash");
            }
            try {
                users.put(fields[0], new Entry(checkRole(fields[1]), fields[2]));
            } catch (IllegalArgumentException e) {
                throw new SecuritySettingException(setting + ", line " + number + ": " + e.getMessage());
            }
        }
        return users;
    }

    /** @throws IllegalArgumentException if it is none that a user can have */
    private static String checkRole(String roleName) {
        if (Role.parse(roleName) == Role.AGENT) {
            throw new IllegalArgumentException("Invalid role: agent (users are no agents: make a key for the agent)");
        }
        return roleName;
    }

    boolean isEmpty() {
        return configured.isEmpty();
    }

    /** The user with this name and password; empty if there is none. */
    public Optional<User> authenticate(String name, String password) {
        Entry entry = configured.get(name);
        // bcrypt ignores further bytes.
        boolean isTooLong = password.getBytes(StandardCharsets.UTF_8).length > MAX_PASSWORD_BYTES;
        boolean matches = encoder.matches(password, entry == null ? someHash : entry.hash) && !isTooLong;
        return entry != null && matches ? find(name) : Optional.empty();
    }

    /**
     * A user with a role, configured or assigned.
     *
     * @throws AuthenticationServiceException if the assigned roles have not been read yet: the configured one may have been replaced
     */
    public Optional<User> find(String id) {
        if (!isLoaded.getAsBoolean()) {
            throw SecurityTopic.notLoaded();
        }
        Entry entry = configured.get(id);
        @Nullable String roleName = assigned.getOrDefault(id, entry == null ? null : entry.roleName);
        return Optional.ofNullable(roleName).map(name -> new User(id, name));
    }

    /** The user that a token was signed for; empty if it is not configured any more, or its password has changed since. */
    Optional<User> find(Jwt token) {
        String id = String.valueOf(token.getSubject());
        Entry entry = configured.get(id);
        return entry != null && passwordVersion(entry).equals(token.getClaims().get(PASSWORD_CLAIM))
                ? find(id)
                : Optional.empty();
    }

    /** Changes with the password of a configured user, and does not reveal it. */
    String passwordVersion(User user) {
        return passwordVersion(Objects.requireNonNull(configured.get(user.id())));
    }

    private static String passwordVersion(Entry entry) {
        return ApiKey.hash(entry.hash).substring(0, VERSION_LENGTH);
    }

    /**
     * Assigns a role to a user, on all coordinators. Tokens that the user has already got have the new role too.
     *
     * @throws IllegalArgumentException if there is no such role, or it is that of an agent
     * @throws org.apache.kafka.common.KafkaException if Kafka does not accept it
     */
    public User assign(String id, String roleName) throws InterruptedException {
        String role = checkRole(roleName.toLowerCase(Locale.ROOT));
        roles.put(KIND + id, role.getBytes(StandardCharsets.UTF_8));
        return new User(id, role);
    }

    /** How many users there are of each role that occurs. */
    public Map<String, Long> countByRole() {
        Map<String, String> roles = new HashMap<>();
        configured.forEach((id, entry) -> roles.put(id, entry.roleName));
        roles.putAll(assigned);
        return roles.values().stream()
                .collect(Collectors.groupingBy(role -> role, TreeMap::new, Collectors.counting()));
    }
}
