package io.aitbc.coordinator.api;

import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import org.springframework.http.HttpStatus;
import org.springframework.http.MediaType;
import org.springframework.web.filter.OncePerRequestFilter;
import org.springframework.web.server.ResponseStatusException;
import org.springframework.web.util.ContentCachingRequestWrapper;
import tools.jackson.databind.json.JsonMapper;

/** Refuses bodies above a size: at once when their length is said in advance, else while they are read. */
final class BodyLimit extends OncePerRequestFilter {
    private final int maxBytes;
    private final JsonMapper mapper;

    BodyLimit(int maxBytes, JsonMapper mapper) {
        this.maxBytes = maxBytes;
        this.mapper = mapper;
    }

    @Override
    protected void doFilterInternal(HttpServletRequest request, HttpServletResponse response, FilterChain chain)
            throws ServletException, IOException {
        if (request.getContentLengthLong() > maxBytes) {
            response.setStatus(HttpStatus.CONTENT_TOO_LARGE.value());
            response.setContentType(MediaType.APPLICATION_PROBLEM_JSON_VALUE);
            response.getOutputStream().write(mapper.writeValueAsBytes(new ExceededException(maxBytes).getBody()));
            return;
        }
        chain.doFilter(
                request.getContentLengthLong() >= 0
                        ? request
                        : new ContentCachingRequestWrapper(request, maxBytes) {
                            @Override
                            protected void handleContentOverflow(int limit) {
                                throw new ExceededException(limit);
                            }
                        },
                response);
    }

    static final class ExceededException extends ResponseStatusException {
        ExceededException(int maxBytes) {
            super(HttpStatus.CONTENT_TOO_LARGE, "the body has more than " + maxBytes + " bytes");
        }
    }
}
