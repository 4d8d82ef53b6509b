package io.aitbc.coordinator.security;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.awaitility.Awaitility.await;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JOSEObjectType;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSHeader;
import com.nimbusds.jose.JWSSigner;
import com.nimbusds.jose.crypto.MACSigner;
import com.nimbusds.jose.crypto.RSASSASigner;
import com.nimbusds.jose.jwk.JWKSet;
import com.nimbusds.jose.jwk.RSAKey;
import com.nimbusds.jose.jwk.gen.RSAKeyGenerator;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.PlainJWT;
import com.nimbusds.jwt.SignedJWT;
import com.sun.net.httpserver.HttpServer;
import io.aitbc.contracts.Json;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.Date;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.springframework.security.oauth2.jwt.BadJwtException;
import org.springframework.security.oauth2.jwt.JwtException;

/** Tokens against a real issuer, and tokens signed with a secret. */
class TokensTest {
    private static final String SECRET = "a secret of at least 32 bytes, for tests";
    private static final String AUDIENCE = "agent-coordinator";
    private static final Users USERS = UsersTest.none();

    private static final Duration LONG = Duration.ofSeconds(60);

    private static RSAKey key;
    private static RSAKey foreignKey;
    private static HttpServer server;
    private static String issuer;
    private static Tokens tokens;
    private static final AtomicInteger FETCHES = new AtomicInteger();

    @BeforeAll
    static void start() throws Exception {
        key = new RSAKeyGenerator(2048)
                .keyID("key-1")
                .algorithm(JWSAlgorithm.RS256)
                .generate();
        foreignKey = new RSAKeyGenerator(2048).keyID("key-1").generate();
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        issuer = "http://127.0.0.1:" + server.getAddress().getPort();
        serve(
                "/.well-known/openid-configuration",
                Json.text(Json.object().put("issuer", issuer).put("jwks_uri", issuer + "/jwks")));
        serve("/jwks", new JWKSet(key.toPublicJWK()).toString());
        server.start();
        tokens = new Tokens(new JwtSettings(issuer, AUDIENCE, "role", SECRET), USERS);
        awaitMetadata(tokens);
    }

    /** They are read in the background. */
    private static void awaitMetadata(Tokens of) throws JOSEException {
        String token = signed(claims(), key);
        await().atMost(LONG).ignoreExceptions().until(() -> of.verify(token) != null);
    }

    private static void serve(String path, String body) {
        server.createContext(path, exchange -> {
            try (exchange) {
                FETCHES.incrementAndGet();
                byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
                exchange.getResponseHeaders().add("Content-Type", "application/json");
                exchange.sendResponseHeaders(200, bytes.length);
                exchange.getResponseBody().write(bytes);
            }
        });
    }

    @AfterAll
    static void stop() {
        server.stop(0);
    }

    private static JWTClaimsSet.Builder claims() {
        return new JWTClaimsSet.Builder()
                .issuer(issuer)
                .audience(AUDIENCE)
                .subject("ada")
                .expirationTime(Date.from(Instant.now().plusSeconds(600)))
                .claim("role", "operator");
    }

    private static String signed(JWTClaimsSet.Builder claims, RSAKey with) throws JOSEException {
        return signed(
                claims, new JWSHeader.Builder(JWSAlgorithm.RS256).keyID("key-1").build(), new RSASSASigner(with));
    }

    private static String signed(JWTClaimsSet.Builder claims, JWSHeader header, JWSSigner signer) throws JOSEException {
        SignedJWT jwt = new SignedJWT(header, claims.build());
        jwt.sign(signer);
        return jwt.serialize();
    }

    private static String withSecret(JWTClaimsSet.Builder claims, String secret) throws JOSEException {
        return signed(claims, new JWSHeader(JWSAlgorithm.HS256), new MACSigner(secret));
    }

    private static void assertRefused(String token, String why) {
        assertThatExceptionOfType(BadJwtException.class)
                .isThrownBy(() -> tokens.verify(token))
                .withMessageContaining(why);
    }

    @Test
    void aTokenOfTheIssuerIdentifiesItsSubject() throws JOSEException {
        Caller caller = tokens.verify(signed(claims(), key));
        assertThat(caller.name()).isEqualTo("ada");
        assertThat(caller.role()).isEqualTo(Role.OPERATOR);
        assertThat(caller.expiresAt()).isAfter(Instant.now());
        assertThat(tokens.verify(withSecret(claims(), SECRET)).role()).isEqualTo(Role.OPERATOR);
    }

    @Test
    void theRoleMayBeOneOfAList() throws JOSEException {
        assertThat(tokens.verify(signed(claims().claim("role", List.of("billing", "viewer", "submitter")), key))
                        .role())
                .isEqualTo(Role.SUBMITTER);
        assertThat(tokens.verify(signed(claims().claim("role", "user"), key)).role())
                .isEqualTo(Role.SUBMITTER);
        assertRefused(signed(claims().claim("role", "billing"), key), "no role of this service in its claim role");
        assertRefused(signed(claims().claim("role", null), key), "no role of this service in its claim role");
    }

    @Test
    void anAgentTokenNamesItsAgent() throws JOSEException {
        Caller agent = tokens.verify(signed(claims().claim("role", "agent").claim("agent_id", "agent-1"), key));
        assertThat(agent.mayActAs("agent-1")).isTrue();
        assertThat(agent.mayActAs("agent-2")).isFalse();
        assertThat(tokens.verify(signed(claims().claim("role", "agent"), key)).mayActAs("agent-1"))
                .isFalse();
    }

    @Test
    void theTimesHold() throws JOSEException {
        assertRefused(signed(claims().expirationTime(Date.from(Instant.now().minusSeconds(120))), key), "expired");
        assertRefused(signed(claims().notBeforeTime(Date.from(Instant.now().plusSeconds(600))), key), "before");
        assertRefused(signed(claims().expirationTime(null), key), "exp");
        assertRefused(withSecret(claims().expirationTime(null), SECRET), "exp");
    }

    @Test
    void issuerAndAudienceHold() throws JOSEException {
        assertRefused(signed(claims().audience("another-service"), key), "aud");
        assertRefused(signed(claims().audience((String) null), key), "aud");
        assertRefused(withSecret(claims().audience("another-service"), SECRET), "aud");
        assertRefused(signed(claims().issuer("http://elsewhere"), key), "iss");
    }

    @Test
    void theSignatureHolds() throws JOSEException {
        String token = signed(claims(), key);
        String[] parts = token.split("\\.");
        String forged = new PlainJWT(claims().claim("role", "admin").build())
                .serialize()
                .split("\\.")[1];
        assertRefused(parts[0] + "." + forged + "." + parts[2], "signature");
        assertRefused(signed(claims(), foreignKey), "signature");
        assertRefused(withSecret(claims(), "another secret of at least 32 bytes, for tests"), "signature");
        assertRefused("no token", "neither a valid key nor a token");
        assertRefused("a.b.c", "neither a valid key nor a token");
        assertRefused("", "neither a valid key nor a token");
    }

    @Test
    void anUnsignedTokenIsRefused() {
        assertRefused(new PlainJWT(claims().build()).serialize(), "not signed");
    }

    /** The issuer's public key is public: it must not pass for the secret. */
    @Test
    void aPublicKeyIsNoSecret() throws JOSEException {
        for (byte[] secret : List.of(
                key.toRSAPublicKey().getEncoded(), key.toPublicJWK().toString().getBytes(StandardCharsets.UTF_8))) {
            assertRefused(
                    signed(
                            claims(),
                            new JWSHeader.Builder(JWSAlgorithm.HS256)
                                    .keyID("key-1")
                                    .build(),
                            new MACSigner(secret)),
                    "signature");
        }
        Tokens withoutSecret = new Tokens(new JwtSettings(issuer, AUDIENCE, "role", ""), USERS);
        awaitMetadata(withoutSecret);
        String token = withSecret(claims(), SECRET);
        assertThatExceptionOfType(BadJwtException.class)
                .isThrownBy(() -> withoutSecret.verify(token))
                .withMessage("tokens signed with HS256 are not accepted");
    }

    /** A key named, embedded or linked by the token itself is not trusted. */
    @Test
    void aTokenDoesNotBringItsKey() throws JOSEException {
        for (JWSHeader header : List.of(
                new JWSHeader.Builder(JWSAlgorithm.RS256)
                        .jwk(foreignKey.toPublicJWK())
                        .build(),
                new JWSHeader.Builder(JWSAlgorithm.RS256)
                        .keyID("key-1")
                        .jwkURL(java.net.URI.create(issuer + "/foreign"))
                        .build(),
                new JWSHeader.Builder(JWSAlgorithm.RS256)
                        .keyID("../../dev/null")
                        .build(),
                new JWSHeader.Builder(JWSAlgorithm.RS256)
                        .keyID("' OR 1=1 --")
                        .type(JOSEObjectType.JWT)
                        .build())) {
            String token = signed(claims(), header, new RSASSASigner(foreignKey));
            assertThatExceptionOfType(BadJwtException.class).isThrownBy(() -> tokens.verify(token));
        }
    }

    @Test
    void otherAlgorithmsOfTheSecretAreRefused() throws JOSEException {
        String longSecret = SECRET.repeat(2);
        Tokens others = new Tokens(new JwtSettings("", "", "role", longSecret), USERS);
        String token = signed(claims(), new JWSHeader(JWSAlgorithm.HS512), new MACSigner(longSecret));
        assertThatExceptionOfType(BadJwtException.class).isThrownBy(() -> others.verify(token));
        assertThat(others.verify(withSecret(claims(), longSecret)).name()).isEqualTo("ada");
    }

    /** Not the caller's fault, so it may try again. */
    @Test
    void anUnreachableIssuerIsNoBadToken() throws JOSEException, IOException {
        String gone;
        try (ServerSocket closed = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            gone = "http://127.0.0.1:" + closed.getLocalPort();
        }
        Tokens ofGone = new Tokens(new JwtSettings(gone, AUDIENCE, "role", ""), USERS);
        String token = signed(claims().issuer(gone), key);
        assertThatExceptionOfType(JwtException.class)
                .isThrownBy(() -> ofGone.verify(token))
                .isNotInstanceOf(BadJwtException.class);
    }

    /** Anyone may send such tokens: neither other callers nor their threads wait for the issuer. */
    @Test
    void anIssuerThatDoesNotAnswerKeepsNobodyWaiting() throws JOSEException, IOException {
        try (ServerSocket silent = new ServerSocket(0, 50, InetAddress.getLoopbackAddress())) {
            String address = "http://127.0.0.1:" + silent.getLocalPort();
            Tokens ofSilent = new Tokens(new JwtSettings(address, AUDIENCE, "role", ""), USERS);
            String token = signed(claims().issuer(address), key);
            for (int i = 0; i < 100; i++) {
                assertThatExceptionOfType(JwtException.class)
                        .isThrownBy(() -> ofSilent.verify(token))
                        .withMessage("the issuer's metadata have not been read yet");
            }
        }
    }

    /** An unknown key may be a new one, but not each time. */
    @Test
    void theIssuerIsNotAskedForEachUnknownKey() throws JOSEException {
        Tokens flooded = new Tokens(new JwtSettings(issuer, AUDIENCE, "role", ""), USERS);
        awaitMetadata(flooded);
        int before = FETCHES.get();
        for (int i = 0; i < 60; i++) {
            String token = signed(
                    claims(),
                    new JWSHeader.Builder(JWSAlgorithm.RS256)
                            .keyID("unknown-" + i)
                            .build(),
                    new RSASSASigner(foreignKey));
            assertThatExceptionOfType(JwtException.class).isThrownBy(() -> flooded.verify(token));
        }
        // 20 a minute.
        assertThat(FETCHES.get() - before).isLessThan(40);
        assertThat(flooded.verify(signed(claims(), key)).name()).isEqualTo("ada");
    }

    @Test
    void aTokenOfAnotherIssuerIsRefusedBeforeKeysAreFetched() throws JOSEException {
        int before = FETCHES.get();
        assertRefused(signed(claims().issuer("https://elsewhere"), foreignKey), "the token is of another issuer");
        assertThat(FETCHES.get()).isEqualTo(before);
    }

    @Test
    void weakSettingsAreRefused() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new JwtSettings("", "", "role", "short"))
                .withMessageContaining("AITBC_JWT_SECRET");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new JwtSettings(issuer, "", "role", ""))
                .withMessageContaining("AITBC_JWT_AUDIENCE");
        assertThat(new JwtSettings("", "", "role", SECRET).toString()).doesNotContain(SECRET);
    }

    /** Some issuers write null for what they do not know: that must not open all tenants' tasks. */
    @Test
    void aFairnessKeyThatIsThereMustBeValid() throws JOSEException {
        assertThat(tokens.verify(signed(claims().claim("fairness_key", "acme"), key))
                        .fairnessKey())
                .isEqualTo("acme");
        assertThat(tokens.verify(signed(claims(), key)).fairnessKey()).isNull();
        assertRefused(signed(claims().claim("fairness_key", ""), key), "fairness_key must have 1 to 64 characters");
        assertRefused(signed(claims().claim("fairness_key", "x".repeat(65)), key), "fairness_key must have");
        assertRefused(signed(claims().claim("fairness_key", List.of("acme")), key), "must be a text");
        assertRefused(signed(claims().claim("fairness_key", 7), key), "must be a text");
        assertRefused(signed(claims().claim("fairness_key", null).serializeNullClaims(true), key), "must be a text");
    }
}
