package io.aitbc.coordinator.security;

import io.aitbc.coordinator.security.Users.User;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import javax.crypto.spec.SecretKeySpec;
import org.jspecify.annotations.Nullable;
import org.springframework.security.oauth2.jose.jws.MacAlgorithm;
import org.springframework.security.oauth2.jwt.JwsHeader;
import org.springframework.security.oauth2.jwt.Jwt;
import org.springframework.security.oauth2.jwt.JwtClaimsSet;
import org.springframework.security.oauth2.jwt.JwtEncoder;
import org.springframework.security.oauth2.jwt.JwtEncoderParameters;
import org.springframework.security.oauth2.jwt.JwtException;
import org.springframework.security.oauth2.jwt.NimbusJwtEncoder;

/** Signs tokens for local users and for single tasks. */
public final class UserTokens {
    /** Marks the tokens of this class. The role of a user is looked up, so that a change of it holds at once. */
    static final String ISSUER = "agent-coordinator";

    /** The only task that a token is for. */
    static final String TASK_CLAIM = "task_id";

    private static final String TYPE_CLAIM = "type";
    private static final String REFRESH = "refresh";
    private static final Duration ACCESS_TTL = Duration.ofHours(24);
    private static final Duration REFRESH_TTL = Duration.ofDays(7);

    private final JwtSettings settings;
    private final Tokens tokens;
    private final Users users;
    private final @Nullable JwtEncoder encoder;
    private final Clock clock;

    /** A signed token. */
    public record Signed(String token, Instant expiresAt) {
        /** Without the token. */
        @Override
        public String toString() {
            return "Signed[expiresAt=" + expiresAt + "]";
        }
    }

    /** @throws IllegalArgumentException if there are users, and no secret to sign their tokens with */
    UserTokens(JwtSettings settings, Tokens tokens, Users users, Clock clock) {
        if (settings.secret().isEmpty() && !users.isEmpty()) {
            throw new SecuritySettingException(
                    "aitbc.jwt.secret (AITBC_JWT_SECRET) is required with users: it signs their tokens");
        }
        this.settings = settings;
        this.tokens = tokens;
        this.users = users;
        this.clock = clock;
        this.encoder = settings.secret().isEmpty()
                ? null
                : NimbusJwtEncoder.withSecretKey(
                                new SecretKeySpec(settings.secret().getBytes(StandardCharsets.UTF_8), "HmacSHA256"))
                        .algorithm(MacAlgorithm.HS256)
                        .build();
    }

    /** A token to send with requests, valid for a day. */
    public Signed access(User user) {
        return sign(user, "access", ACCESS_TTL);
    }

    /** A token that serves to get further access tokens, for a week. It is refused with any other request. */
    public Signed refresh(User user) {
        return sign(user, REFRESH, REFRESH_TTL);
    }

    /**
     * A token to read and to wait for one task, and nothing else. It is valid even if the caller's credential is revoked meanwhile.
     *
     * @param caller who asks for it, and may see the task
     */
    public Signed ofTask(String taskId, Caller caller, Duration ttl) {
        return sign(ttl, claims -> {
            claims.subject(caller.name())
                    .claim(settings.roleClaim(), Role.VIEWER.wireName())
                    .claim(TASK_CLAIM, taskId);
            if (caller.fairnessKey() != null) {
                claims.claim(Tokens.FAIRNESS_KEY_CLAIM, caller.fairnessKey());
            }
        });
    }

    /** A new access token; empty if the refresh token is invalid or has expired, or its user is no longer configured, or has another password. */
    public Optional<Signed> refreshed(String refreshToken) {
        try {
            Jwt jwt = tokens.decode(refreshToken);
            return isRefresh(jwt) && isOfUser(jwt) ? users.find(jwt).map(this::access) : Optional.empty();
        } catch (JwtException e) {
            // Also if it is one of an issuer that cannot be reached: those are no refresh tokens.
            return Optional.empty();
        }
    }

    static boolean isRefresh(Jwt jwt) {
        return REFRESH.equals(jwt.getClaims().get(TYPE_CLAIM));
    }

    /** Whether it is the token of a local user. */
    static boolean isOfUser(Jwt jwt) {
        return ISSUER.equals(jwt.getClaims().get("iss")) && !jwt.hasClaim(TASK_CLAIM);
    }

    private Signed sign(User user, String type, Duration ttl) {
        return sign(
                ttl,
                claims -> claims.subject(user.id())
                        .claim("user_id", user.id())
                        .claim("username", user.id())
                        .claim(settings.roleClaim(), user.roleName())
                        .claim(Users.PASSWORD_CLAIM, users.passwordVersion(user))
                        .claim(TYPE_CLAIM, type));
    }

    private Signed sign(Duration ttl, Consumer<JwtClaimsSet.Builder> more) {
        if (encoder == null) {
            throw new NoSecretException();
        }
        Instant now = clock.instant();
        JwtClaimsSet.Builder claims =
                JwtClaimsSet.builder().issuer(ISSUER).issuedAt(now).expiresAt(now.plus(ttl));
        if (!settings.audience().isEmpty()) {
            claims.audience(List.of(settings.audience()));
        }
        more.accept(claims);
        Jwt jwt = encoder.encode(
                JwtEncoderParameters.from(JwsHeader.with(MacAlgorithm.HS256).build(), claims.build()));
        return new Signed(jwt.getTokenValue(), now.plus(ttl));
    }

    /** Tokens cannot be signed. */
    public static final class NoSecretException extends RuntimeException {
        NoSecretException() {
            super("tokens cannot be signed: AITBC_JWT_SECRET is not set");
        }
    }
}
