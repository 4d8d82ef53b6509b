package io.aitbc.coordinator.intake;

import io.aitbc.coordinator.background.Part;
import io.aitbc.coordinator.background.Recurring;
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
 * Deletes tasks that are done from {@code tasks.*} some time later. Time alone cannot, for a task may wait for ever: so the topics keep
 * everything, and this deletes, partition by partition, what lies below the lowest unfinished offset and is old enough. Every
 * coordinator does, once an hour; doing it twice does nothing.
 */
public final class DoneTasks implements Part {
    private static final Logger log = LoggerFactory.getLogger(DoneTasks.class);
    private static final Duration EVERY = Duration.ofHours(1);
    private static final long WAIT_SECONDS = 30;

    private final Admin admin;
    private final QueueSizes sizes;
    private final Duration retention;
    private final Clock clock;
    private final Recurring deleting = new Recurring("done-tasks", EVERY, this::deleteOld, () -> {});

    /** @param retention how long a task is kept at least */
    public DoneTasks(Admin admin, QueueSizes sizes, Duration retention, Clock clock) {
        this.admin = admin;
        this.sizes = sizes;
        this.retention = retention;
        this.clock = clock;
    }

    @Override
    public void start() {
        deleting.start();
    }

    @Override
    public void close() {
        deleting.close();
    }

    @Override
    public List<String> troubles() {
        return deleting.troubles();
    }

    private void deleteOld() throws Exception {
        deleteBefore(clock.instant().minus(retention));
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
