package io.aitbc.coordinator.settle;

/**
 * Both ways in which attempts end, by a result or for want of one, how they are found again when Redis has lost them, and how they are
 * forgotten.
 */
public final class Settlement implements AutoCloseable {
    private final IndexRebuild index;
    private final ResultLoop results;
    private final Recovery recovery;
    private final Retention retention;

    Settlement(IndexRebuild index, ResultLoop results, Recovery recovery, Retention retention) {
        this.index = index;
        this.results = results;
        this.recovery = recovery;
        this.retention = retention;
    }

    public void start() {
        index.start();
        results.start();
        recovery.start();
        retention.start();
    }

    @Override
    public void close() {
        results.close();
        recovery.close();
        retention.close();
        index.close();
    }
}
