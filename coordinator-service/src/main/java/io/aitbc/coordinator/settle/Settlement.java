package io.aitbc.coordinator.settle;

/** Both ways in which attempts end: by a result, or for want of one. */
public final class Settlement implements AutoCloseable {
    private final ResultLoop results;
    private final Recovery recovery;

    Settlement(ResultLoop results, Recovery recovery) {
        this.results = results;
        this.recovery = recovery;
    }

    public void start() {
        results.start();
        recovery.start();
    }

    @Override
    public void close() {
        results.close();
        recovery.close();
    }
}
