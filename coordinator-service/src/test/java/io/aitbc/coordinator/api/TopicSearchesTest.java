package io.aitbc.coordinator.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.springframework.http.HttpStatus;
import org.springframework.web.server.ResponseStatusException;

class TopicSearchesTest {
    private final TopicSearches searches = new TopicSearches();

    @Test
    void furtherSearchesAreRefusedWhileManyAreRunning() throws Exception {
        CountDownLatch running = new CountDownLatch(8);
        CountDownLatch released = new CountDownLatch(1);
        ExecutorService callers = Executors.newFixedThreadPool(8);
        try {
            Future<Boolean> one = null;
            for (int i = 0; i < 8; i++) {
                one = callers.submit(() -> searches.run(() -> {
                    running.countDown();
                    released.await();
                    return true;
                }));
            }
            running.await();

            assertThatExceptionOfType(ResponseStatusException.class)
                    .isThrownBy(() -> searches.run(() -> true))
                    .satisfies(e -> assertThat(e.getStatusCode()).isEqualTo(HttpStatus.SERVICE_UNAVAILABLE));

            released.countDown();
            assertThat(one.get()).isTrue();
            assertThat(searches.run(() -> true)).isTrue();
        } finally {
            callers.shutdownNow();
        }
    }
}
