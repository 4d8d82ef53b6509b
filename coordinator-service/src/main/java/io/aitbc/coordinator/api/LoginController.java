package io.aitbc.coordinator.api;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.aitbc.coordinator.audit.AuditNote;
import io.aitbc.coordinator.security.InvalidCredentialException;
import io.aitbc.coordinator.security.Logins;
import io.aitbc.coordinator.security.NewLogin;
import io.aitbc.coordinator.security.RateLimits;
import io.aitbc.coordinator.security.Tokens;
import io.aitbc.coordinator.security.UserTokens;
import io.aitbc.coordinator.security.Users;
import io.swagger.v3.oas.annotations.Operation;
import io.swagger.v3.oas.annotations.media.Content;
import io.swagger.v3.oas.annotations.media.Schema;
import io.swagger.v3.oas.annotations.tags.Tag;
import jakarta.servlet.http.HttpServletRequest;
import java.time.Instant;
import java.util.Map;
import org.springframework.security.authentication.AuthenticationServiceException;
import org.springframework.security.oauth2.jwt.BadJwtException;
import org.springframework.security.oauth2.jwt.JwtException;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RestController;
import tools.jackson.databind.node.ObjectNode;

/** Tokens for local users, with the paths and fields of the AITBC coordinator. */
@RestController
@RequestMapping({"/auth", "/v1/auth"})
@Tag(name = "security")
class LoginController {
    private final Logins logins;
    private final Users users;
    private final UserTokens userTokens;
    private final Tokens tokens;
    private final RateLimits limits;

    LoginController(Logins logins, Users users, UserTokens userTokens, Tokens tokens, RateLimits limits) {
        this.limits = limits;
        this.logins = logins;
        this.users = users;
        this.userTokens = userTokens;
        this.tokens = tokens;
    }

    record Login(
            @JsonProperty("status") String status,
            @JsonProperty("user_id") String userId,
            @JsonProperty("username") String username,
            @JsonProperty("role") String role,
            @JsonProperty("access_token") String accessToken,
            @JsonProperty("refresh_token") String refreshToken,
            @JsonProperty("expires_at") Instant expiresAt,
            @JsonProperty("token_type") String tokenType) {}

    @PostMapping("/login")
    @Operation(
            summary = "Sign in as a local user",
            description = "The access token is valid for a day, the refresh token for a week.")
    Login login(
            @io.swagger.v3.oas.annotations.parameters.RequestBody(
                            required = true,
                            content = @Content(schema = @Schema(implementation = NewLogin.class)))
                    @RequestBody
                    ObjectNode body,
            HttpServletRequest request) {
        NewLogin wanted = Body.read(body, NewLogin.class, false).message();
        Users.User user =
                SessionController.login(logins, users, wanted.username(), wanted.password(), request.getRemoteAddr());
        AuditNote.current().signedIn(user.caller());
        UserTokens.Signed access = userTokens.access(user);
        return new Login(
                "success",
                user.id(),
                user.id(),
                user.roleName(),
                access.token(),
                userTokens.refresh(user).token(),
                access.expiresAt(),
                "Bearer");
    }

    record RefreshToken(@JsonProperty("refresh_token") String refreshToken) {
        RefreshToken {
            if (refreshToken == null || refreshToken.isEmpty()) {
                throw new IllegalArgumentException("Refresh token is required");
            }
        }
    }

    record Refreshed(
            @JsonProperty("status") String status,
            @JsonProperty("token") String token,
            @JsonProperty("access_token") String accessToken,
            @JsonProperty("expires_at") Instant expiresAt,
            @JsonProperty("token_type") String tokenType) {}

    @PostMapping("/refresh")
    @Operation(summary = "Get another access token for a refresh token")
    Refreshed refresh(
            @io.swagger.v3.oas.annotations.parameters.RequestBody(
                            required = true,
                            content = @Content(schema = @Schema(implementation = RefreshToken.class)))
                    @RequestBody
                    ObjectNode body,
            HttpServletRequest request) {
        String given = Body.read(body, RefreshToken.class, false).message().refreshToken();
        UserTokens.Signed access =
                userTokens.refreshed(given).orElseThrow(() -> refused("Invalid or expired refresh token", request));
        return new Refreshed("success", access.token(), access.token(), access.expiresAt(), "Bearer");
    }

    record GivenToken(@JsonProperty("token") String token) {
        GivenToken {
            if (token == null || token.isEmpty()) {
                throw new IllegalArgumentException("Token is required");
            }
        }
    }

    /** @param payload the claims, times in seconds since 1970 */
    record ValidatedToken(
            @JsonProperty("status") String status,
            @JsonProperty("valid") boolean valid,
            @JsonProperty("payload") Map<String, Object> payload) {}

    @PostMapping("/validate")
    @Operation(summary = "Get the claims of a token; 401 if it is not valid")
    ValidatedToken validate(
            @io.swagger.v3.oas.annotations.parameters.RequestBody(
                            required = true,
                            content = @Content(schema = @Schema(implementation = GivenToken.class)))
                    @RequestBody
                    ObjectNode body,
            HttpServletRequest request) {
        String given = Body.read(body, GivenToken.class, false).message().token();
        try {
            Map<String, Object> payload = tokens.claims(given);
            payload.replaceAll((claim, value) -> value instanceof Instant time ? time.getEpochSecond() : value);
            return new ValidatedToken("success", true, payload);
        } catch (BadJwtException e) {
            throw refused("Invalid token: " + e.getMessage(), request);
        } catch (JwtException e) {
            throw new AuthenticationServiceException("the keys of the token's issuer cannot be read", e);
        }
    }

    private InvalidCredentialException refused(String detail, HttpServletRequest request) {
        limits.failed(request.getRemoteAddr());
        return new InvalidCredentialException(detail);
    }
}
