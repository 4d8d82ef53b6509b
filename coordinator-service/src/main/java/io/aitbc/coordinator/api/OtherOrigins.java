package io.aitbc.coordinator.api;

import io.aitbc.coordinator.security.RateLimitFilter;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.springframework.http.HttpHeaders;
import org.springframework.http.server.ServerHttpResponse;
import org.springframework.security.access.AccessDeniedException;
import org.springframework.web.cors.CorsConfiguration;
import org.springframework.web.cors.DefaultCorsProcessor;
import org.springframework.web.servlet.HandlerExceptionResolver;

/**
 * What pages of other origins may do: nothing, unless their origin is configured. Browsers would only hide the responses from the pages;
 * here the requests are refused, because while security is off, some of them would change something.
 */
final class OtherOrigins extends DefaultCorsProcessor {
    private final HandlerExceptionResolver problems;

    OtherOrigins(HandlerExceptionResolver problems) {
        this.problems = problems;
    }

    /** Without cookies: a session is for the dashboard. */
    static CorsConfiguration allowing(List<String> origins) {
        CorsConfiguration configuration = new CorsConfiguration();
        configuration.setAllowedOrigins(origins);
        configuration.setAllowedMethods(List.of("GET", "HEAD", "POST", "PUT", "DELETE"));
        configuration.setAllowedHeaders(
                List.of("Authorization", "X-API-Key", "Content-Type", "Last-Event-ID", "traceparent", "tracestate"));
        configuration.setExposedHeaders(List.of(
                HttpHeaders.RETRY_AFTER,
                HttpHeaders.WWW_AUTHENTICATE,
                RateLimitFilter.HEADER,
                RateLimitFilter.POLICY_HEADER));
        configuration.setAllowCredentials(false);
        configuration.setMaxAge(Duration.ofMinutes(10));
        return configuration;
    }

    @Override
    public boolean processRequest(
            @Nullable CorsConfiguration configuration, HttpServletRequest request, HttpServletResponse response)
            throws IOException {
        boolean isAllowed = super.processRequest(configuration, request, response);
        if (!isAllowed) {
            String origin = request.getHeader(HttpHeaders.ORIGIN);
            problems.resolveException(
                    request,
                    response,
                    null,
                    new AccessDeniedException("a page of " + origin
                            + " may not send this request: AITBC_CORS_ORIGINS names the origins that may"));
        }
        return isAllowed;
    }

    /** As a problem document, see above. */
    @Override
    protected void rejectRequest(ServerHttpResponse response) {}
}
