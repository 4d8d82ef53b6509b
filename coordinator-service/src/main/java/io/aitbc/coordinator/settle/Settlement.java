package io.aitbc.coordinator.settle;

import io.aitbc.coordinator.background.BackgroundService;
import io.aitbc.coordinator.background.Problem;
import java.util.List;
import java.util.stream.Stream;
import org.apache.kafka.common.utils.Utils;

/** The services that end attempts, with or without a result, restore live attempts that Redis has lost, and delete ended tasks. */
public final class Settlement implements BackgroundService {
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

    @Override
    public void start() {
        index.start();
        results.start();
        recovery.start();
        retention.start();
    }

    @Override
    public void close() {
        Utils.closeQuietly(results, "results");
        Utils.closeQuietly(recovery, "recovery");
        Utils.closeQuietly(retention, "retention");
        Utils.closeQuietly(index, "index");
    }

    @Override
    public List<Problem> problems() {
        return Stream.of(index.problems(), results.problems(), recovery.problems(), retention.problems())
                .flatMap(List::stream)
                .toList();
    }
}
