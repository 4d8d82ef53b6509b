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
final class RateLimitFilter extends OncePerRequestFilter {
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
        if (match != null && match.rule().isPublic() && match.rule().method().equals("GET")) {
            // Files of the dashboard, and health.
            chain.doFilter(request, response);
            return;
        }
        try {
            limits.require(
                            caller(),
                            request.getRemoteAddr(),
                            match != null && match.rule().isAgentCall())
                    .ifPresent(left -> tell(response, left));
        } catch (ThrottledException e) {
            problems.resolveException(request, response, null, e);
            return;
        }
        chain.doFilter(request, response);
    }

    private static @Nullable Caller caller() {
        Authentication authentication = SecurityContextHolder.getContext().getAuthentication();
        return authentication != null && authentication.getPrincipal() instanceof Caller caller ? caller : null;
    }

    private static void tell(HttpServletResponse response, RateLimits.Allowance left) {
        long quota = Math.max(1, Math.round(left.perSecond()));
        long window = Math.max(1, Math.round(1 / left.perSecond()));
        response.setHeader("RateLimit-Policy", "\"requests\";q=" + quota + ";w=" + window);
        response.setHeader("RateLimit", "\"requests\";r=" + left.remaining() + ";t=" + window);
    }
}
