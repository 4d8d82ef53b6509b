package io.aitbc.coordinator.background;

import java.util.List;

/** A part of the coordinator that has threads of its own. */
public interface Part extends AutoCloseable {
    void start() throws InterruptedException;

    /** Ends its threads, and closes what they use. */
    @Override
    void close();

    /** What is wrong with its threads, so that it cannot do its duty; a sentence each. */
    List<String> troubles();
}
