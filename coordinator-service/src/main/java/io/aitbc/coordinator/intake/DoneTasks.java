package io.aitbc.coordinator.intake;

import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.common.TopicPartition;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Deletes tasks that are done from {@code tasks.*} some time later. Time alone cannot, for a task may wait for ever: so the topics keep
 * everything, and this deletes, partition by partition, what lies below the lowest unfinished offset and is old enough. Every
 * coordinator does, once an hour; doing it twice does nothing.
 */
public final class DoneTasks implements AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(DoneTasks.class);
    private static final Duration EVERY = Duration.ofHours(1);
    private static final long WAIT_SECONDS = 30;

    private final Admin admin;
    private final QueueSizes sizes;
    private final Duration retention;
    private final Clock clock;
    private final CountDownLatch closing = new CountDownLatch(1);
    private final Thread thread = new Thread(this::run, "done-tasks");

    /** @param retention how long a task is kept at least */
    public DoneTasks(Admin admin, QueueSizes sizes, Duration retention, Clock clock) {
        this.admin = admin;
        this.sizes = sizes;
        this.retention = retention;
        this.clock = clock;
    }

    public void start() {
        thread.start();
    }

    @Override
    public void close() {
        closing.countDown();
        try {
            thread.join(TimeUnit.SECONDS.toMillis(5));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void run() {
        try {
            do {
                try {
                    deleteBefore(clock.instant().minus(retention));
                } catch (RuntimeException | ExecutionException | TimeoutException e) {
                    log.atWarn().log("Old tasks are kept until the next hour: {}", e.toString());
                }
            } while (!closing.await(EVERY.toMillis(), TimeUnit.MILLISECONDS));
        } catch (InterruptedException e) {
            log.debug("Interrupted");
        }
    }

    /** Deletes what is done and was appended before a time, as far as nothing unfinished stands before it. */
    void deleteBefore(Instant time) throws InterruptedException, ExecutionException, TimeoutException {
        Map<TopicPartition, RecordsToDelete> old = new HashMap<>();
        sizes.doneBefore(time).forEach((partition, offset) -> old.put(partition, RecordsToDelete.beforeOffset(offset)));
        if (!old.isEmpty()) {
            admin.deleteRecords(old).all().get(WAIT_SECONDS, TimeUnit.SECONDS);
            log.atInfo().addKeyValue("partitions", old.size()).log("Done tasks from before {} deleted", time);
        }
    }
}
