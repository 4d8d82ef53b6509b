package io.aitbc.worker.handlers;

import io.aitbc.worker.Handler;
import java.net.URI;
import java.net.http.HttpResponse;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;

/** Reads the header {@code Retry-After} of responses with status 429 or 503 (RFC 9110, section 10.2.3). */
final class RetryAfter {
    private static final int TOO_MANY_REQUESTS = 429;
    private static final int SERVICE_UNAVAILABLE = 503;

    private RetryAfter() {}

    /** @throws Handler.RetryLaterException if the response says when to try again */
    static void check(HttpResponse<?> response) throws Handler.RetryLaterException {
        check(
                response.uri(),
                response.statusCode(),
                response.headers().firstValue("Retry-After").orElse(""),
                response.headers().firstValue("Date").orElse(""));
    }

    /** @throws Handler.RetryLaterException if the response says when to try again */
    static void check(URI uri, int status, String retryAfter, String date) throws Handler.RetryLaterException {
        if (status == TOO_MANY_REQUESTS || status == SERVICE_UNAVAILABLE && !retryAfter.isEmpty()) {
            throw new Handler.RetryLaterException(uri + " returned HTTP " + status, delay(retryAfter, date));
        }
    }

    /**
     * The delay, in seconds or until a date. Dates are compared with the server's own, since the local clock may be wrong.
     *
     * @return zero if the header is missing, past or unreadable
     */
    static Duration delay(String retryAfter, String date) {
        try {
            Duration delay = retryAfter.matches("\\d{1,9}")
                    ? Duration.ofSeconds(Long.parseLong(retryAfter))
                    : Duration.between(instant(date), instant(retryAfter));
            return delay.isNegative() ? Duration.ZERO : delay;
        } catch (DateTimeException e) {
            return Duration.ZERO;
        }
    }

    private static Instant instant(String httpDate) {
        return ZonedDateTime.parse(httpDate, DateTimeFormatter.RFC_1123_DATE_TIME)
                .toInstant();
    }
}
