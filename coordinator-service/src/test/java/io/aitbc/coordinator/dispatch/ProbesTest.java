package io.aitbc.coordinator.dispatch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.contracts.ControlMessage.Probe;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class ProbesTest {
    private static final long TWO_SECONDS = 2_000_000_000L;

    private final List<Probe> sent = new CopyOnWriteArrayList<>();
    private final AtomicLong nanos = new AtomicLong();

    @Test
    void anOutcomeIsSharedForTwoSeconds() {
        Probes probes = new Probes(
                probe -> sent(probe, CompletableFuture.completedFuture(null)), Clock.systemUTC(), nanos::get);
        CompletableFuture<Void> first = probes.probe();
        await().until(() -> sent.size() == 1);
        probes.returned(new Probe("another", Instant.EPOCH));
        assertThat(first).isNotDone();
        nanos.addAndGet(TWO_SECONDS - 1);
        probes.returned(sent.get(0));
        assertThat(first).isCompleted();

        nanos.addAndGet(TWO_SECONDS - 1);
        assertThat(probes.probe()).isSameAs(first);
        nanos.addAndGet(1);
        await().until(() -> probes.probe() != first);
        await().until(() -> sent.size() == 2);
    }

    @Test
    void aProbeRejectedByKafkaFails() {
        Probes probes = new Probes(
                probe -> CompletableFuture.failedFuture(new IllegalStateException("too large")),
                Clock.systemUTC(),
                nanos::get);
        assertThat(probes.probe())
                .failsWithin(Duration.ofSeconds(10))
                .withThrowableThat()
                .withMessageContaining("too large");
    }

    /** While metadata is unavailable, send() blocks its thread: at most one thread may be blocked. */
    @Test
    void noProbeIsSentWhileTheLastIsStillBeingSent() {
        CountDownLatch blocked = new CountDownLatch(1);
        Probes probes = new Probes(
                probe -> {
                    sent.add(probe);
                    awaitQuietly(blocked);
                    return CompletableFuture.completedFuture(null);
                },
                Clock.systemUTC(),
                nanos::get);
        CompletableFuture<Void> first = probes.probe();
        await().until(first::isCompletedExceptionally);
        nanos.addAndGet(10 * TWO_SECONDS);

        assertThat(probes.probe()).isSameAs(first);

        assertThat(sent).hasSize(1);
        blocked.countDown();
        await().until(() -> probes.probe() != first);
    }

    private CompletableFuture<Void> sent(Probe probe, CompletableFuture<Void> outcome) {
        sent.add(probe);
        return outcome;
    }

    private static void awaitQuietly(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
