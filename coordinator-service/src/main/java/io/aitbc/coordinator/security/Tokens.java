package io.aitbc.coordinator.security;

import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jwt.JWTParser;
import com.nimbusds.jwt.SignedJWT;
import io.aitbc.contracts.Ids;
import java.nio.charset.StandardCharsets;
import java.text.ParseException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import javax.crypto.spec.SecretKeySpec;
import org.jspecify.annotations.Nullable;
import org.springframework.security.oauth2.core.DelegatingOAuth2TokenValidator;
import org.springframework.security.oauth2.core.OAuth2TokenValidator;
import org.springframework.security.oauth2.jose.jws.MacAlgorithm;
import org.springframework.security.oauth2.jwt.BadJwtException;
import org.springframework.security.oauth2.jwt.Jwt;
import org.springframework.security.oauth2.jwt.JwtClaimNames;
import org.springframework.security.oauth2.jwt.JwtClaimValidator;
import org.springframework.security.oauth2.jwt.JwtDecoder;
import org.springframework.security.oauth2.jwt.JwtException;
import org.springframework.security.oauth2.jwt.JwtValidators;
import org.springframework.security.oauth2.jwt.NimbusJwtDecoder;

/**
 * Verifies JSON Web Tokens. Those of the issuer are verified with its public keys, and those signed with HS256 with the shared secret; which
 * of the two is decided by the algorithm, so that a public key is never used as a secret.
 */
public final class Tokens {
    /** The prefix of the decoder's messages, which names its own API. */
    private static final String DECODER_PREFIX = "An error occurred while attempting to decode the Jwt: ";

    private static final String AGENT_CLAIM = "agent_id";
    static final String FAIRNESS_KEY_CLAIM = "fairness_key";

    private final String roleClaim;
    private final String issuer;
    private final Users users;
    private final @Nullable JwtDecoder ofIssuer;
    private final @Nullable JwtDecoder withSecret;

    /** @param users whose tokens have the role that the user has now */
    Tokens(JwtSettings settings, Users users) {
        this.users = users;
        this.roleClaim = settings.roleClaim();
        this.ofIssuer = settings.issuer().isEmpty()
                ? null
                : new IssuerDecoder(
                        settings.issuer(),
                        validator(JwtValidators.createDefaultWithIssuer(settings.issuer()), settings.audience()));
        this.issuer = settings.issuer();
        this.withSecret = settings.secret().isEmpty() ? null : withSecret(settings);
    }

    private static JwtDecoder withSecret(JwtSettings settings) {
        NimbusJwtDecoder decoder = NimbusJwtDecoder.withSecretKey(
                        new SecretKeySpec(settings.secret().getBytes(StandardCharsets.UTF_8), "HmacSHA256"))
                .macAlgorithm(MacAlgorithm.HS256)
                .build();
        decoder.setJwtValidator(validator(JwtValidators.createDefault(), settings.audience()));
        return decoder;
    }

    private static OAuth2TokenValidator<Jwt> validator(OAuth2TokenValidator<Jwt> defaults, String audience) {
        List<OAuth2TokenValidator<Jwt>> all = new ArrayList<>(List.of(defaults));
        all.add(new JwtClaimValidator<Object>(JwtClaimNames.EXP, Objects::nonNull));
        if (!audience.isEmpty()) {
            all.add(new JwtClaimValidator<List<String>>(
                    JwtClaimNames.AUD, named -> named != null && named.contains(audience)));
        }
        return new DelegatingOAuth2TokenValidator<>(all);
    }

    /**
     * The caller that a token identifies.
     *
     * @throws BadJwtException if the token is not valid
     * @throws JwtException if the issuer's keys cannot be read
     */
    Caller verify(String token) {
        Jwt jwt = decode(token);
        if (UserTokens.isRefresh(jwt)) {
            throw new BadJwtException("a refresh token serves to get access tokens only");
        }
        return new Caller(
                String.valueOf(jwt.getSubject()),
                UserTokens.isOfUser(jwt)
                        ? roleOfUser(jwt)
                        : role(jwt.getClaims().get(roleClaim)),
                jwt.getClaimAsString(AGENT_CLAIM),
                fairnessKey(jwt),
                jwt.getClaimAsString(UserTokens.TASK_CLAIM),
                null,
                jwt.getExpiresAt());
    }

    /** A claim that is there must be valid: without it, the caller would see all tasks. */
    private static @Nullable String fairnessKey(Jwt jwt) {
        if (!jwt.getClaims().containsKey(FAIRNESS_KEY_CLAIM)) {
            return null;
        }
        try {
            if (jwt.getClaims().get(FAIRNESS_KEY_CLAIM) instanceof String key) {
                return Ids.checkFairnessKey(key);
            }
        } catch (IllegalArgumentException e) {
            throw new BadJwtException(String.valueOf(e.getMessage()), e);
        }
        throw new BadJwtException("the token's fairness_key must be a text");
    }

    private Role roleOfUser(Jwt jwt) {
        return users.find(jwt)
                .orElseThrow(() -> new BadJwtException("the user no longer exists, or has another password"))
                .role();
    }

    /**
     * The verified content of a token, possibly a refresh token.
     *
     * @throws BadJwtException if the token is not valid
     * @throws JwtException if the issuer's keys cannot be read
     */
    Jwt decode(String token) {
        try {
            return decoder(token).decode(token);
        } catch (BadJwtException e) {
            throw new BadJwtException(
                    String.valueOf(e.getMessage()).replace(DECODER_PREFIX, "the token is not valid: "), e);
        }
    }

    /**
     * The claims of a token that {@link #verify} accepts; the role of a local user is the one that the user has now.
     *
     * @throws BadJwtException if the token is not valid
     * @throws JwtException if the issuer's keys cannot be read
     */
    public Map<String, Object> claims(String token) {
        verify(token);
        Jwt jwt = decode(token);
        Map<String, Object> claims = new LinkedHashMap<>(jwt.getClaims());
        if (UserTokens.isOfUser(jwt)) {
            users.find(jwt).ifPresent(user -> claims.put(roleClaim, user.roleName()));
        }
        return claims;
    }

    private JwtDecoder decoder(String token) {
        JWSAlgorithm algorithm;
        try {
            if (!(JWTParser.parse(token) instanceof SignedJWT signed)) {
                throw new BadJwtException("the token is not signed");
            }
            algorithm = signed.getHeader().getAlgorithm();
            // Before the issuer is asked for keys.
            if (!JWSAlgorithm.Family.HMAC_SHA.contains(algorithm)
                    && !issuer.equals(signed.getJWTClaimsSet().getIssuer())) {
                throw new BadJwtException("the token is of another issuer");
            }
        } catch (ParseException e) {
            throw new BadJwtException("the credential is neither a valid key nor a token", e);
        }
        JwtDecoder decoder = JWSAlgorithm.Family.HMAC_SHA.contains(algorithm) ? withSecret : ofIssuer;
        if (decoder == null) {
            throw new BadJwtException("tokens signed with " + algorithm + " are not accepted");
        }
        return decoder;
    }

    /** The most powerful of the roles, other values ignored. */
    private Role role(@Nullable Object claim) {
        List<Role> roles = new ArrayList<>();
        for (Object one : claim instanceof List<?> list ? list : List.of(String.valueOf(claim))) {
            try {
                roles.add(Role.parse(String.valueOf(one)));
            } catch (IllegalArgumentException e) {
                // A role of another service.
            }
        }
        return roles.stream()
                .sorted()
                .findFirst()
                .orElseThrow(
                        () -> new BadJwtException("the token has no role of this service in its claim " + roleClaim));
    }
}
