package io.aitbc.coordinator.security;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.security.authentication.AuthenticationServiceException;
import org.springframework.security.crypto.bcrypt.BCryptPasswordEncoder;
import org.springframework.security.oauth2.jwt.Jwt;

class UsersTest {
    private static final String HASH = hash("secret");

    @TempDir
    private Path folder;

    static Users none() {
        return users("");
    }

    static Users users(String list) {
        return new Users(new Users.Settings(list, ""), (key, value) -> {}, () -> true);
    }

    /** A cheap one. */
    static String hash(String password) {
        return new BCryptPasswordEncoder(4).encode(password);
    }

    @Test
    void aUserIsAuthenticatedByTheRightPassword() {
        Users users = users("ada:operator:" + HASH + "\nbob:user:{bcrypt}" + HASH);

        assertThat(users.authenticate("ada", "secret")).contains(new Users.User("ada", "operator"));
        assertThat(users.authenticate("bob", "secret")).contains(new Users.User("bob", "user"));
        assertThat(users.find("bob").orElseThrow().role()).isEqualTo(Role.SUBMITTER);
        assertThat(users.authenticate("ada", "Secret")).isEmpty();
        assertThat(users.authenticate("ada", "")).isEmpty();
        assertThat(users.authenticate("eve", "secret")).isEmpty();
        assertThat(users.authenticate("eve", "of no user")).isEmpty();
    }

    @Test
    void hashesOfHtpasswdAreUnderstood() {
        // htpasswd -nbB -C 5 ada secret
        Users users = users("ada:admin:$2y" + HASH.substring(3));

        assertThat(users.authenticate("ada", "secret")).isPresent();
    }

    @Test
    void aFileMayHaveCommentsAndEmptyLines() throws IOException {
        Path file = Files.writeString(folder.resolve("users"), "# people\n\nada:admin:" + HASH + "\n");

        Users users =
                new Users(new Users.Settings("bob:viewer:" + HASH, file.toString()), (key, value) -> {}, () -> true);

        assertThat(users.countByRole()).isEqualTo(Map.of("admin", 1L, "viewer", 1L));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "ada",
                "ada:admin",
                "ada:admin:secret",
                "ada:admin:{noop}secret",
                "ada:admin:{MD5}5ebe2294ecd0e0f08eab7690d2a6ee69",
                ":admin:$2a$04$0123456789012345678901234567890123456789012345678901x",
                "a b:admin:$2a$04$0123456789012345678901234567890123456789012345678901x"
            })
    void aLineThatIsNotUnderstoodFailsTheStartAndIsNotRepeated(String line) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> users("# a comment\n" + line))
                .withMessage("aitbc.users.list (AITBC_USERS_LIST), line 2: must be name:role:hash, with a bcrypt hash");
    }

    @ParameterizedTest
    @ValueSource(strings = {"agent", "boss", "ADMIN"})
    void rolesThatUsersCannotHaveFailTheStart(String role) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> users("ada:" + role + ":" + HASH))
                .withMessageContaining("Invalid role: " + role);
    }

    @Test
    void aMissingFileFailsTheStart() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new Users(new Users.Settings("", "/nowhere/users"), (key, value) -> {}, () -> true))
                .withMessage("aitbc.users.file (AITBC_USERS_FILE) cannot be read: /nowhere/users");
    }

    @Test
    void anAssignedRoleReplacesTheConfiguredOne() {
        Users users = users("ada:operator:" + HASH);

        users.read("ada", "viewer".getBytes(StandardCharsets.UTF_8));
        users.read("guest", "user".getBytes(StandardCharsets.UTF_8));

        assertThat(users.authenticate("ada", "secret").orElseThrow().role()).isEqualTo(Role.VIEWER);
        assertThat(users.find("guest")).isPresent();
        assertThat(users.find(token("guest", "any"))).isEmpty();
        assertThat(users.countByRole()).isEqualTo(Map.of("viewer", 1L, "user", 1L));
        users.read("ada", null);
        assertThat(users.find("ada").orElseThrow().role()).isEqualTo(Role.OPERATOR);
    }

    /** A demoted user must not have the old role while a coordinator starts. */
    @Test
    void nobodyIsFoundBeforeTheAssignedRolesAreRead() {
        Users users = new Users(new Users.Settings("ada:operator:" + HASH, ""), (key, value) -> {}, () -> false);

        for (Runnable call : List.<Runnable>of(
                () -> users.find("ada"),
                () -> users.authenticate("ada", "secret"),
                () -> users.find(token("ada", users.passwordVersion(new Users.User("ada", "operator")))))) {
            assertThatExceptionOfType(AuthenticationServiceException.class)
                    .isThrownBy(call::run)
                    .withMessage("keys and roles are being read from Kafka: try again");
        }
    }

    @Test
    void aNewPasswordEndsTheTokensOfTheUser() {
        Users before = users("ada:operator:" + HASH);
        Jwt token = token("ada", before.passwordVersion(new Users.User("ada", "operator")));

        assertThat(before.find(token)).isPresent();
        assertThat(users("ada:viewer:" + HASH).find(token).orElseThrow().role()).isEqualTo(Role.VIEWER);
        assertThat(users("ada:operator:" + hash("another")).find(token)).isEmpty();
        assertThat(users("bob:operator:" + HASH).find(token)).isEmpty();
    }

    private static Jwt token(String user, String passwordVersion) {
        return Jwt.withTokenValue("any")
                .header("alg", "HS256")
                .subject(user)
                .claim(Users.PASSWORD_CLAIM, passwordVersion)
                .build();
    }

    /** bcrypt would ignore what follows. */
    @Test
    void aPasswordOfMoreThan72BytesIsNotAccepted() {
        Users users = users("ada:viewer:" + hash("x".repeat(72)));

        assertThat(users.authenticate("ada", "x".repeat(72))).isPresent();
        assertThat(users.authenticate("ada", "x".repeat(73))).isEmpty();
    }
}
