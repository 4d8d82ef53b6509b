package io.aitbc.coordinator.queue;

import io.aitbc.coordinator.background.BackgroundService;
import io.aitbc.coordinator.background.PeriodicJob;
import io.aitbc.coordinator.background.Problem;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.common.TopicPartition;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Deletes records of finished tasks from {@code tasks.*} after a retention time. Time-based retention cannot, because a task may wait
 * indefinitely. So the topics keep everything, and this deletes, per partition, the records below the lowest unfinished offset that are old
 * enough. Every coordinator does so once an hour; it is idempotent.
 */
public final class FinishedTaskCleaner implements BackgroundService {
    private static final Logger log = LoggerFactory.getLogger(FinishedTaskCleaner.class);
    private static final Duration INTERVAL = Duration.ofHours(1);
    private static final long WAIT_SECONDS = 30;

    private final Admin admin;
    private final QueueSizes sizes;
    private final Duration retention;
    private final Clock clock;
    private final PeriodicJob job = new PeriodicJob("done-tasks", INTERVAL, this::deleteOld);

    /** @param retention the minimum time that a task is kept */
    public FinishedTaskCleaner(Admin admin, QueueSizes sizes, Duration retention, Clock clock) {
        this.admin = admin;
        this.sizes = sizes;
        this.retention = retention;
        this.clock = clock;
    }

    @Override
    public void start() {
        job.start();
    }

    @Override
    public void close() {
        job.close();
    }

    @Override
    public List<Problem> problems() {
        return job.problems();
    }

    private void deleteOld() throws Exception {
        deleteBefore(clock.instant().minus(retention));
    }

    /** Deletes finished records that were appended before a time, up to the first unfinished one. */
    void deleteBefore(Instant time) throws InterruptedException, ExecutionException, TimeoutException {
        Map<TopicPartition, RecordsToDelete> old = new HashMap<>();
        sizes.doneBefore(time).forEach((partition, offset) -> old.put(partition, RecordsToDelete.beforeOffset(offset)));
        if (!old.isEmpty()) {
            admin.deleteRecords(old).all().get(WAIT_SECONDS, TimeUnit.SECONDS);
            log.atInfo()
                    .addKeyValue("partitions", old.size())
                    .log("Deleted records of finished tasks appended before {}", time);
        }
    }
}
