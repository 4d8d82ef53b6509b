package io.aitbc.coordinator.api;

import jakarta.servlet.AsyncEvent;
import jakarta.servlet.AsyncListener;
import java.io.IOException;

/** Acts when an asynchronous request times out, and on no other event. */
@FunctionalInterface
interface TimeoutListener extends AsyncListener {
    @Override
    void onTimeout(AsyncEvent event) throws IOException;

    @Override
    default void onComplete(AsyncEvent event) {}

    @Override
    default void onError(AsyncEvent event) {}

    @Override
    default void onStartAsync(AsyncEvent event) {}
}
