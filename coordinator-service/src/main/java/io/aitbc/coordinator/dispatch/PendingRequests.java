package io.aitbc.coordinator.dispatch;

import java.util.concurrent.CompletableFuture;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;

/**
 * Handles the answers to a lane's requests, on the lane's thread. A future would swallow an error in a handler; here the next round throws
 * it.
 */
final class PendingRequests {
    /** Answers to requests of an earlier generation are ignored. */
    private int generation;

    private int pending;
    private @Nullable Throwable error;

    /** Calls the handler when the answer arrives, with either a value or a failure. */
    <T> void handle(CompletableFuture<T> answer, BiConsumer<T, @Nullable Throwable> handler) {
        int asked = generation;
        pending++;
        answer.whenComplete((value, failure) -> {
            if (asked == generation) {
                pending--;
                try {
                    handler.accept(value, failure);
                } catch (RuntimeException | Error e) {
                    error = e;
                }
            }
        });
    }

    boolean isAnyPending() {
        return pending > 0;
    }

    /** Ignores all answers that are pending. */
    void forget() {
        generation++;
        pending = 0;
        error = null;
    }

    /** @throws IllegalStateException if an answer could not be handled: the state of its tasks is unknown */
    void throwError() {
        if (error != null) {
            throw new IllegalStateException("an answer could not be handled", error);
        }
    }
}
