package io.aitbc.coordinator.api;

import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.springframework.http.HttpStatus;
import org.springframework.stereotype.Component;
import org.springframework.web.server.ResponseStatusException;

/**
 * Bounds how many callers search topics at once: each search opens a consumer, and reads for up to ten seconds, also if it finds nothing
 * because the records are those of other tenants. Thread-safe.
 */
@Component
final class TopicSearches {
    private static final int MAX_SEARCHES = 8;
    private static final long WAIT_SECONDS = 2;

    private final Semaphore permits = new Semaphore(MAX_SEARCHES, true);

    /** Finds something in a topic. */
    interface Search<T> {
        T run() throws InterruptedException;
    }

    /** @throws ResponseStatusException with 503 if too many are running */
    <T> T run(Search<T> search) throws InterruptedException {
        if (!permits.tryAcquire(WAIT_SECONDS, TimeUnit.SECONDS)) {
            throw new ResponseStatusException(
                    HttpStatus.SERVICE_UNAVAILABLE, "too many callers are searching topics: try again later");
        }
        try {
            return search.run();
        } finally {
            permits.release();
        }
    }
}
