package io.aitbc.coordinator.stats;

import io.aitbc.contracts.Priority;
import io.aitbc.coordinator.background.PeriodicJob;
import io.aitbc.coordinator.history.TaskFigures;
import io.aitbc.coordinator.history.TaskHistory;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.context.SmartLifecycle;
import org.springframework.stereotype.Component;

/** Keeps the numbers of waiting and running tasks in the history, every 15 seconds, on a thread {@code samples}. */
@Component
final class SampleRecorder implements SmartLifecycle {
    private static final Logger log = LoggerFactory.getLogger(SampleRecorder.class);
    private static final Duration INTERVAL = Duration.ofSeconds(15);
    /** More often than samples are due, so that none is left out. */
    private static final Duration PAUSE = Duration.ofSeconds(5);

    private final ClusterFeed feed;
    private final TaskFigures figures;
    private final Clock clock;
    private final PeriodicJob job = new PeriodicJob("samples", PAUSE, this::record);
    private Instant last = Instant.EPOCH;
    private volatile boolean running;

    SampleRecorder(ClusterFeed feed, TaskFigures figures, Clock clock) {
        this.feed = feed;
        this.figures = figures;
        this.clock = clock;
    }

    @Override
    public void start() {
        running = true;
        if (figures.isOn()) {
            job.start();
        }
    }

    @Override
    public void stop() {
        running = false;
        job.close();
    }

    @Override
    public boolean isRunning() {
        return running;
    }

    private void record() {
        ClusterFeed.@Nullable Snapshot snapshot = feed.newest();
        Instant due = floor(clock.instant());
        if (snapshot == null || due.equals(last)) {
            return;
        }
        try {
            figures.add(new TaskFigures.Sample(due, waiting(snapshot.queues()), snapshot.running()));
            last = due;
        } catch (TaskHistory.UnavailableException e) {
            // /health says so already, and the next sample is another one.
            log.atDebug().log("No sample is kept: {}", e.getMessage());
        }
    }

    private static long waiting(Map<Priority, ClusterFeed.Queue> queues) {
        return queues.values().stream()
                .map(queue -> queue.stats().size())
                .filter(Objects::nonNull)
                .mapToLong(Long::longValue)
                .sum();
    }

    /** All coordinators take samples of the same times, and the first one is kept. */
    private static Instant floor(Instant now) {
        return Instant.ofEpochSecond(now.getEpochSecond() / INTERVAL.toSeconds() * INTERVAL.toSeconds());
    }
}
