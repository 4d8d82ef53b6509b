package io.aitbc.coordinator.security;

import jakarta.servlet.http.Cookie;
import jakarta.servlet.http.HttpServletRequest;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.springframework.http.HttpHeaders;
import org.springframework.security.authentication.AuthenticationManager;
import org.springframework.security.authentication.AuthenticationServiceException;
import org.springframework.security.authentication.UsernamePasswordAuthenticationToken;
import org.springframework.security.core.Authentication;
import org.springframework.security.core.AuthenticationException;
import org.springframework.security.core.authority.SimpleGrantedAuthority;
import org.springframework.security.oauth2.core.OAuth2AuthenticationException;
import org.springframework.security.oauth2.jwt.BadJwtException;
import org.springframework.security.oauth2.jwt.JwtException;
import org.springframework.security.oauth2.server.resource.InvalidBearerTokenException;
import org.springframework.security.oauth2.server.resource.authentication.BearerTokenAuthenticationToken;
import org.springframework.security.oauth2.server.resource.web.DefaultBearerTokenResolver;
import org.springframework.security.web.authentication.AuthenticationConverter;
import org.springframework.web.util.WebUtils;

/**
 * Authenticates API keys and JSON Web Tokens, given as {@code Authorization: Bearer}, as {@code X-API-Key}, or by browsers as the cookie
 * {@value #COOKIE}.
 */
public final class Credentials implements AuthenticationManager, AuthenticationConverter {
    static final String KEY_HEADER = "X-API-Key";
    /** Holds the credential of a session: so a session ends with its credential, on all coordinators. */
    public static final String COOKIE = "aitbc_session";

    private final ApiKeys keys;
    private final Tokens tokens;
    private final DefaultBearerTokenResolver bearer = new DefaultBearerTokenResolver();

    Credentials(ApiKeys keys, Tokens tokens) {
        this.keys = keys;
        this.tokens = tokens;
    }

    /** @throws OAuth2AuthenticationException if the header is malformed, or both are given */
    @Override
    public @Nullable Authentication convert(HttpServletRequest request) {
        String key = request.getHeader(KEY_HEADER);
        if (key != null && request.getHeader(HttpHeaders.AUTHORIZATION) != null) {
            throw new InvalidBearerTokenException("either Authorization or " + KEY_HEADER + ", not both");
        }
        String credential = key != null ? key : bearer.resolve(request);
        if (credential == null) {
            credential = ofSession(request);
        }
        return credential == null || credential.isEmpty() ? null : new BearerTokenAuthenticationToken(credential);
    }

    /** The credential in the session's cookie; null if there is none, or it is no longer valid: a browser sends it with public pages too. */
    private @Nullable String ofSession(HttpServletRequest request) {
        Cookie cookie = WebUtils.getCookie(request, COOKIE);
        if (cookie == null) {
            return null;
        }
        Object known = request.getAttribute(COOKIE);
        boolean isValid = known == null ? isValid(cookie.getValue()) : known.equals(true);
        request.setAttribute(COOKIE, isValid);
        return isValid ? cookie.getValue() : null;
    }

    private boolean isValid(String credential) {
        try {
            verify(credential);
            return true;
        } catch (AuthenticationException e) {
            return false;
        }
    }

    /** Whether a request has a cookie that is not valid. */
    static boolean hasInvalidSession(HttpServletRequest request) {
        return Boolean.FALSE.equals(request.getAttribute(COOKIE));
    }

    /** Whether a request is authenticated by the cookie, which browsers also send when another site causes the request. */
    boolean isOfSession(HttpServletRequest request) {
        try {
            return request.getHeader(KEY_HEADER) == null
                    && bearer.resolve(request) == null
                    && ofSession(request) != null;
        } catch (OAuth2AuthenticationException e) {
            // The request is refused for this header.
            return false;
        }
    }

    /** Whether a request has a credential, valid or not. */
    public static boolean areIn(HttpServletRequest request) {
        return request.getHeader(KEY_HEADER) != null
                || request.getHeader(HttpHeaders.AUTHORIZATION) != null
                || WebUtils.getCookie(request, COOKIE) != null;
    }

    @Override
    public Authentication authenticate(Authentication given) {
        Caller caller = verify(String.valueOf(given.getCredentials()));
        return UsernamePasswordAuthenticationToken.authenticated(
                caller, null, List.of(new SimpleGrantedAuthority(caller.role().wireName())));
    }

    /**
     * The caller that a key or token identifies.
     *
     * @throws AuthenticationException if it is not valid, or cannot be verified at present
     */
    public Caller verify(String credential) {
        return keys.find(credential).orElseGet(() -> {
            if (credential.startsWith(ApiKeys.PREFIX)) {
                throw new InvalidBearerTokenException("the key is unknown, revoked or expired");
            }
            try {
                return tokens.verify(credential);
            } catch (BadJwtException e) {
                throw new InvalidBearerTokenException(String.valueOf(e.getMessage()), e);
            } catch (JwtException e) {
                throw new AuthenticationServiceException("the keys of the token's issuer cannot be read", e);
            }
        });
    }
}
