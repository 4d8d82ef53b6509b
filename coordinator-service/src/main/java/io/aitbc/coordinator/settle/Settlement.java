package io.aitbc.coordinator.settle;

/** Both ways in which attempts end, by a result or for want of one, and how they are found again when Redis has lost them. */
public final class Settlement implements AutoCloseable {
    private final IndexRebuild index;
    private final ResultLoop results;
    private final Recovery recovery;

    Settlement(IndexRebuild index, ResultLoop results, Recovery recovery) {
        this.index = index;
        this.results = results;
        this.recovery = recovery;
    }

    public void start() {
        index.start();
        results.start();
        recovery.start();
    }

    @Override
    public void close() {
        results.close();
        recovery.close();
        index.close();
    }
}
