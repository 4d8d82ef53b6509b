package io.aitbc.coordinator.security;

import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.contracts.Topics;
import java.time.Clock;
import java.time.Instant;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class OpenCallsTest {
    private final Clock clock = Clock.systemUTC();
    private final SecurityTopic unread = new SecurityTopic(null, null, null, new Topics(""), clock);
    private final ApiKeys keys = new ApiKeys(unread, UsersTest.none(), "", Optional.empty(), clock);
    private final OpenCalls calls = new OpenCalls(keys);
    private final Caller expired = new Caller("x", Role.VIEWER, null, null, null, null, Instant.EPOCH);

    /** Such as that of a client that does not read: closing it waits. */
    @Test
    void aCallThatEndsSlowlyDoesNotDelayTheEndOfOthers() throws InterruptedException {
        CountDownLatch released = new CountDownLatch(1);
        CountDownLatch ended = new CountDownLatch(10);
        try {
            for (int i = 0; i < 10; i++) {
                calls.watch(expired, () -> await(released));
                calls.watch(expired, ended::countDown);
            }
            calls.start();

            assertThat(ended.await(60, TimeUnit.SECONDS)).isTrue();
        } finally {
            released.countDown();
            calls.close();
        }
    }

    private static void await(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
