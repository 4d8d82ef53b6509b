package io.aitbc.coordinator.api;

import io.aitbc.coordinator.background.ThrottledWarning;
import jakarta.servlet.AsyncContext;
import jakarta.servlet.DispatcherType;
import jakarta.servlet.FilterChain;
import jakarta.servlet.ReadListener;
import jakarta.servlet.ServletException;
import jakarta.servlet.ServletInputStream;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletRequestWrapper;
import jakarta.servlet.http.HttpServletResponse;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.http.HttpStatus;
import org.springframework.http.HttpStatusCode;
import org.springframework.http.MediaType;
import org.springframework.http.ProblemDetail;
import org.springframework.web.filter.OncePerRequestFilter;
import org.springframework.web.server.ResponseStatusException;
import tools.jackson.databind.json.JsonMapper;

/**
 * Reads request bodies that have not arrived yet asynchronously, before a thread is assigned, so that slow clients occupy none. Rejects bodies above a size, and
 * those that do not arrive in time. An oversized body is not read if its declared length is far above the limit, or if the client expects a
 * 100 response first.
 */
final class BodyLimit extends OncePerRequestFilter {
    private static final Logger log = LoggerFactory.getLogger(BodyLimit.class);
    /** Time limit for the whole body, however it is sent. */
    private static final long READ_TIMEOUT_MS = 10_000;

    /** Number of excess bytes that are read and discarded: a client that is still sending does not read the response. */
    private static final long MAX_SKIPPED = 2_097_152;

    private static final int CHUNK = 8_192;
    private static final String BODY = BodyLimit.class.getName() + ".body";
    private static final String PASSED_ON = BodyLimit.class.getName() + ".passed-on";

    private final int maxBytes;
    private final JsonMapper mapper;
    private final Clock clock;
    private final ThrottledWarning slow = new ThrottledWarning(
            log,
            "{} requests rejected because their body did not arrive within " + READ_TIMEOUT_MS / 1_000 + " s, from {}");

    BodyLimit(int maxBytes, JsonMapper mapper, Clock clock) {
        this.maxBytes = maxBytes;
        this.mapper = mapper;
        this.clock = clock;
    }

    /** Filters async dispatches too: once its body has been read, the request is dispatched again. */
    @Override
    protected boolean shouldNotFilterAsyncDispatch() {
        return false;
    }

    @Override
    protected void doFilterInternal(HttpServletRequest request, HttpServletResponse response, FilterChain chain)
            throws ServletException, IOException {
        ByteArrayOutputStream arrived = arrived(request);
        if (request.getAttribute(BODY) instanceof byte[] body) {
            boolean first = request.getAttribute(PASSED_ON) == null;
            request.setAttribute(PASSED_ON, true);
            BufferedBodyRequest buffered = new BufferedBodyRequest(request, body, first);
            try {
                chain.doFilter(buffered, response);
            } finally {
                // If it is answered later, it comes back as this object.
                buffered.first = false;
            }
        } else if (request.getContentLengthLong() > maxBytes + MAX_SKIPPED
                || request.getContentLengthLong() > maxBytes && request.getHeader("Expect") != null) {
            answer(response, new ExceededException(maxBytes).getBody());
        } else if (hasBody(request)) {
            read(request, response, arrived);
        } else {
            chain.doFilter(request, response);
        }
    }

    private static boolean hasBody(HttpServletRequest request) {
        return request.getDispatcherType() == DispatcherType.REQUEST
                && (request.getContentLengthLong() > 0 || request.getHeader("Transfer-Encoding") != null);
    }

    /**
     * The part of a small body that has arrived, and can be read without waiting. Most bodies arrive together with their headers: if it is
     * all there, a second dispatch is not needed.
     */
    private ByteArrayOutputStream arrived(HttpServletRequest request) throws IOException {
        ByteArrayOutputStream body = new ByteArrayOutputStream();
        int length = request.getContentLength();
        if (hasBody(request) && length > 0 && length <= Math.min(CHUNK, maxBytes)) {
            byte[] chunk = new byte[length];
            ServletInputStream in = request.getInputStream();
            // Tomcat returns 1, however many bytes there are.
            while (body.size() < length && in.available() > 0) {
                int count = in.read(chunk, 0, length - body.size());
                if (count < 0) {
                    break;
                }
                body.write(chunk, 0, count);
            }
            if (body.size() == length) {
                request.setAttribute(BODY, body.toByteArray());
            }
        }
        return body;
    }

    private void read(HttpServletRequest request, HttpServletResponse response, ByteArrayOutputStream body)
            throws IOException {
        AsyncContext reading = request.startAsync();
        reading.setTimeout(READ_TIMEOUT_MS);
        reading.addListener((TimeoutListener) event -> {
            slow.add(request.getRemoteAddr());
            slow.flush(clock.instant());
            refuse(
                    reading,
                    request,
                    response,
                    HttpStatus.REQUEST_TIMEOUT,
                    "the body was not received within " + READ_TIMEOUT_MS / 1_000 + " s");
        });
        ServletInputStream in = request.getInputStream();
        in.setReadListener(new ReadListener() {
            private final byte[] chunk = new byte[CHUNK];
            private long total = body.size();
            private boolean refused;

            @Override
            public void onDataAvailable() throws IOException {
                while (!refused && in.isReady()) {
                    int count = in.read(chunk);
                    if (count < 0) {
                        return;
                    }
                    total += count;
                    if (total <= maxBytes) {
                        body.write(chunk, 0, count);
                    } else if (total > maxBytes + MAX_SKIPPED) {
                        refuse();
                    }
                }
            }

            @Override
            public void onAllDataRead() throws IOException {
                if (total > maxBytes) {
                    refuse();
                } else {
                    request.setAttribute(BODY, body.toByteArray());
                    passOn(reading, request, response);
                }
            }

            private void refuse() throws IOException {
                if (!refused) {
                    refused = true;
                    ExceededException exceeded = new ExceededException(maxBytes);
                    BodyLimit.this.refuse(
                            reading, request, response, exceeded.getStatusCode(), String.valueOf(exceeded.getReason()));
                }
            }

            @Override
            public void onError(Throwable failure) {
                log.debug("Client disconnected before its request was complete: {}", failure.toString());
                reading.complete();
            }
        });
    }

    /** Dispatches the request. The server parses its address again, which fails for an unusual one. */
    private void passOn(AsyncContext reading, HttpServletRequest request, HttpServletResponse response)
            throws IOException {
        try {
            reading.dispatch();
        } catch (IllegalArgumentException | UnsupportedOperationException e) {
            log.debug("Request could not be dispatched: {}", e.toString());
            refuse(reading, request, response, HttpStatus.NOT_FOUND, "no such path");
        }
    }

    private void refuse(
            AsyncContext reading,
            HttpServletRequest request,
            HttpServletResponse response,
            HttpStatusCode status,
            String detail)
            throws IOException {
        answer(response, ProblemDetail.forStatusAndDetail(status, detail));
        // Flush first: closing a connection with unread input discards unsent output.
        response.flushBuffer();
        if (!request.getInputStream().isFinished()
                && request.getAttribute(UnreadBodyValve.SKIP) instanceof Runnable skip) {
            skip.run();
        }
        reading.complete();
    }

    private void answer(HttpServletResponse response, ProblemDetail problem) throws IOException {
        response.setStatus(problem.getStatus());
        response.setContentType(MediaType.APPLICATION_PROBLEM_JSON_VALUE);
        Problems.addOlderFields(problem, clock.instant());
        byte[] body = mapper.writeValueAsBytes(problem);
        response.setContentLength(body.length);
        response.getOutputStream().write(body);
    }

    static final class ExceededException extends ResponseStatusException {
        ExceededException(int maxBytes) {
            super(HttpStatus.CONTENT_TOO_LARGE, "the body exceeds " + maxBytes + " bytes");
        }
    }

    /** The request with its body, presented to later filters as a first dispatch. */
    private static final class BufferedBodyRequest extends HttpServletRequestWrapper {
        private final byte[] body;
        /** Whether it has not been handled yet: for its handlers, it is no dispatch then. */
        private volatile boolean first;

        BufferedBodyRequest(HttpServletRequest request, byte[] body, boolean first) {
            super(request);
            this.body = body;
            this.first = first;
        }

        @Override
        public DispatcherType getDispatcherType() {
            return first ? DispatcherType.REQUEST : super.getDispatcherType();
        }

        @Override
        public ServletInputStream getInputStream() {
            return new BufferedBodyStream(new ByteArrayInputStream(body));
        }

        @Override
        public BufferedReader getReader() {
            return new BufferedReader(new InputStreamReader(getInputStream(), StandardCharsets.UTF_8));
        }
    }

    private static final class BufferedBodyStream extends ServletInputStream {
        private final ByteArrayInputStream bytes;

        BufferedBodyStream(ByteArrayInputStream bytes) {
            this.bytes = bytes;
        }

        @Override
        public int read() {
            return bytes.read();
        }

        @Override
        public int read(byte[] into, int from, int count) {
            return bytes.read(into, from, count);
        }

        @Override
        public boolean isFinished() {
            return bytes.available() == 0;
        }

        @Override
        public boolean isReady() {
            return true;
        }

        @Override
        public void setReadListener(ReadListener listener) {
            throw new IllegalStateException("the body has already been read");
        }
    }
}
