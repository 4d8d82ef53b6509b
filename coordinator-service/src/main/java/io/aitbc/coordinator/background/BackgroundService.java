package io.aitbc.coordinator.background;

import java.util.List;

/** A component of the coordinator with threads of its own. */
public interface BackgroundService extends AutoCloseable {
    void start() throws InterruptedException;

    /** Stops its threads and closes the resources they use. */
    @Override
    void close();

    /** Current problems that keep its threads from working. */
    List<Problem> problems();
}
