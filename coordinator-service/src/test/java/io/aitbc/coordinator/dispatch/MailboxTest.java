package io.aitbc.coordinator.dispatch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class MailboxTest {
    private final AtomicInteger wakeups = new AtomicInteger();
    private final Mailbox mailbox = new Mailbox(wakeups::incrementAndGet);
    private final List<String> done = new ArrayList<>();

    @Test
    void mailRunsInOrderWhenItsOwnerRequestsIt() {
        mailbox.postLazily(() -> done.add("lazy"));
        mailbox.post(() -> done.add("first"));
        mailbox.post(() -> done.add("second"));
        assertThat(done).isEmpty();

        mailbox.runAll();

        assertThat(done).containsExactly("first", "second", "lazy");
        assertThat(wakeups).hasValue(0);
    }

    @Test
    void onlyUrgentMailWakesAnOwnerThatIsBlocked() {
        assertThat(mailbox.block()).isTrue();
        mailbox.postLazily(() -> {});
        assertThat(wakeups).hasValue(0);
        mailbox.post(() -> {});
        assertThat(wakeups).hasValue(1);
        mailbox.unblock();
        mailbox.post(() -> {});
        assertThat(wakeups).hasValue(1);
    }

    @Test
    void anOwnerWithMailDoesNotBlock() {
        mailbox.post(() -> {});

        assertThat(mailbox.block()).isFalse();
    }

    /** Otherwise, a task whose answer could not be handled would be orphaned. */
    @Test
    void anErrorReachesTheOwner() {
        mailbox.post(() -> {
            throw new IllegalStateException("broken");
        });

        assertThatThrownBy(mailbox::runAll).hasMessage("broken");
    }

    @Test
    void anOutcomeIsRelayedToTheOwner() {
        CompletableFuture<String> value = new CompletableFuture<>();
        CompletableFuture<String> failure = new CompletableFuture<>();
        CompletableFuture<String> here = mailbox.relay(value);
        CompletableFuture<String> failedHere = mailbox.relayLazily(failure);
        value.complete("done");
        failure.completeExceptionally(new IllegalStateException("failed"));
        assertThat(here).isNotDone();
        assertThat(failedHere).isNotDone();

        mailbox.runAll();

        assertThat(here).isCompletedWithValue("done");
        assertThat(failedHere).isCompletedExceptionally();
    }

    @Test
    void awaitRunsTheFirstAndReturnsIfThereIsNone() throws Exception {
        mailbox.await(Duration.ZERO);
        mailbox.post(() -> done.add("first"));
        mailbox.post(() -> done.add("second"));

        mailbox.await(Duration.ofMinutes(1));

        assertThat(done).containsExactly("first");
    }
}
