package io.aitbc.coordinator.security;

import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import org.jspecify.annotations.Nullable;
import org.springframework.security.core.Authentication;
import org.springframework.security.core.context.SecurityContextHolder;
import org.springframework.web.filter.OncePerRequestFilter;
import org.springframework.web.servlet.HandlerExceptionResolver;

/**
 * Refuses requests over their {@link RateLimits}, after authentication and before authorization. Responses say what is left, in the header
 * fields of draft-ietf-httpapi-ratelimit-headers-10.
 */
public final class RateLimitFilter extends OncePerRequestFilter {
    public static final String HEADER = "RateLimit";
    public static final String POLICY_HEADER = "RateLimit-Policy";

    private final RateLimits limits;
    private final HandlerExceptionResolver problems;

    RateLimitFilter(RateLimits limits, HandlerExceptionResolver problems) {
        this.limits = limits;
        this.problems = problems;
    }

    @Override
    protected void doFilterInternal(HttpServletRequest request, HttpServletResponse response, FilterChain chain)
            throws ServletException, IOException {
        AccessRules.Match match = AccessRules.match(request).orElse(null);
        try {
            if (Credentials.hasInvalidSession(request)) {
                limits.failed(request.getRemoteAddr());
            }
            if (!isUnlimited(match) && !ManagementPort.isFor(request)) {
                Caller caller = caller();
                limits.require(
                                caller,
                                request.getRemoteAddr(),
                                match != null && match.rule().isAgentCall(caller))
                        .ifPresent(allowance -> setHeaders(response, allowance));
            }
        } catch (ThrottledException e) {
            if (e.allowance() != null) {
                setHeaders(response, e.allowance());
            }
            problems.resolveException(request, response, null, e);
            return;
        }
        chain.doFilter(request, response);
    }

    /** Files of the dashboard, and health. */
    private static boolean isUnlimited(AccessRules.@Nullable Match match) {
        return match != null
                && match.rule().isPublic()
                && match.rule().method().equals("GET")
                && !match.rule().path().getPatternString().startsWith("/auth");
    }

    private static @Nullable Caller caller() {
        Authentication authentication = SecurityContextHolder.getContext().getAuthentication();
        return authentication != null && authentication.getPrincipal() instanceof Caller caller ? caller : null;
    }

    private static void setHeaders(HttpServletResponse response, RateLimits.Allowance allowance) {
        long quota = Math.max(1, Math.round(allowance.perSecond()));
        long window = Math.max(1, Math.round(1 / allowance.perSecond()));
        response.setHeader(POLICY_HEADER, "\"requests\";q=" + quota + ";w=" + window);
        response.setHeader(HEADER, "\"requests\";r=" + allowance.remaining() + ";t=" + window);
    }
}
