package io.aitbc.coordinator.api;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import io.aitbc.coordinator.audit.AuditNote;
import io.aitbc.coordinator.security.Caller;
import io.aitbc.coordinator.security.Credentials;
import io.aitbc.coordinator.security.InvalidCredentialException;
import io.aitbc.coordinator.security.Logins;
import io.aitbc.coordinator.security.NewSession;
import io.aitbc.coordinator.security.RateLimits;
import io.aitbc.coordinator.security.Role;
import io.aitbc.coordinator.security.UserTokens;
import io.aitbc.coordinator.security.Users;
import io.swagger.v3.oas.annotations.Operation;
import io.swagger.v3.oas.annotations.Parameter;
import io.swagger.v3.oas.annotations.media.Content;
import io.swagger.v3.oas.annotations.media.Schema;
import io.swagger.v3.oas.annotations.tags.Tag;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.time.Instant;
import org.jspecify.annotations.Nullable;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.http.HttpHeaders;
import org.springframework.http.ResponseCookie;
import org.springframework.security.oauth2.core.OAuth2AuthenticationException;
import org.springframework.web.bind.annotation.DeleteMapping;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RestController;
import tools.jackson.databind.node.ObjectNode;

/** Signs browsers in and out. A session is a cookie with the credential, so that any coordinator serves it. */
@RestController
@RequestMapping({"/auth/session", "/v1/auth/session"})
@Tag(name = "security", description = "API keys and sessions")
class SessionController {
    private final ObjectProvider<Credentials> credentials;
    private final Logins logins;
    private final Users users;
    private final RateLimits limits;
    private final UserTokens userTokens;

    SessionController(
            ObjectProvider<Credentials> credentials,
            Logins logins,
            Users users,
            RateLimits limits,
            UserTokens userTokens) {
        this.credentials = credentials;
        this.logins = logins;
        this.users = users;
        this.limits = limits;
        this.userTokens = userTokens;
    }

    /** @param name null if nobody is signed in */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    record Session(
            @JsonProperty("status") String status,
            @JsonProperty("security") String security,
            @JsonProperty("name") @Nullable String name,
            @JsonProperty("role") @Nullable Role role,
            @JsonProperty("expires_at") @Nullable Instant expiresAt) {
        static Session of(Caller caller) {
            return new Session("success", "on", caller.name(), caller.role(), caller.expiresAt());
        }
    }

    @GetMapping
    @Operation(summary = "Get who is signed in, and whether security is on")
    Session get(@Parameter(hidden = true) Caller caller) {
        if (credentials.getIfAvailable() == null) {
            return new Session("success", "off", null, null, null);
        }
        return caller.equals(Caller.NOBODY) ? new Session("success", "on", null, null, null) : Session.of(caller);
    }

    @PostMapping
    @Operation(
            summary = "Sign in with an API key, a token, or the name and password of a local user",
            description =
                    "Sets an HttpOnly cookie with SameSite=Strict. A request that is authenticated by it, and changes"
                            + " something, must send the cookie `XSRF-TOKEN` in the header `X-XSRF-TOKEN`.")
    Session signIn(
            @io.swagger.v3.oas.annotations.parameters.RequestBody(
                            required = true,
                            content = @Content(schema = @Schema(implementation = NewSession.class)))
                    @RequestBody
                    ObjectNode body,
            HttpServletRequest request,
            HttpServletResponse response) {
        NewSession wanted = Body.read(body, NewSession.class, false).message();
        Credentials known = credentials.getIfAvailable();
        if (known == null) {
            throw Problems.conflict("security is off: no session is needed");
        }
        String credential = wanted.credential() == null ? login(wanted, request.getRemoteAddr()) : wanted.credential();
        Caller caller = verify(known, credential, request.getRemoteAddr());
        AuditNote.current().signedIn(caller);
        setCookie(credential, request, response);
        return Session.of(caller);
    }

    private String login(NewSession wanted, String address) {
        Users.User user =
                login(logins, users, String.valueOf(wanted.username()), String.valueOf(wanted.password()), address);
        return userTokens.access(user).token();
    }

    /** See {@link Logins#login}. Notes for whom it failed: a name that is unknown may be a password. */
    static Users.User login(Logins logins, Users users, String name, String password, String address) {
        try {
            return logins.login(name, password, address);
        } catch (InvalidCredentialException e) {
            users.find(name).ifPresent(user -> AuditNote.current().put("user_id", user.id()));
            throw e;
        }
    }

    private Caller verify(Credentials known, String credential, String address) {
        try {
            return known.verify(credential);
        } catch (OAuth2AuthenticationException e) {
            limits.failed(address);
            throw e;
        }
    }

    @DeleteMapping
    @Operation(summary = "Sign out")
    Session signOut(HttpServletRequest request, HttpServletResponse response) {
        setCookie("", request, response);
        return new Session("success", credentials.getIfAvailable() == null ? "off" : "on", null, null, null);
    }

    /** Sent over TLS only, if it was set over TLS. An empty value deletes it. */
    private static void setCookie(String value, HttpServletRequest request, HttpServletResponse response) {
        response.addHeader(
                HttpHeaders.SET_COOKIE,
                ResponseCookie.from(Credentials.COOKIE, value)
                        .httpOnly(true)
                        .secure(request.isSecure())
                        .sameSite("Strict")
                        .path("/")
                        .maxAge(value.isEmpty() ? 0 : -1)
                        .build()
                        .toString());
    }
}
