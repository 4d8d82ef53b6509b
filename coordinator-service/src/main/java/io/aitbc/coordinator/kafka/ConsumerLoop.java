package io.aitbc.coordinator.kafka;

import io.aitbc.coordinator.background.FailuresInARow;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InterruptException;
import org.apache.kafka.common.errors.WakeupException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A thread that reads records and commits each batch after it has been handled, until closed. A batch that fails is read again
 * after a pause, for as long as it takes: bad records are the handler's to set aside, so what fails here is Kafka or Redis.
 */
public final class ConsumerLoop implements AutoCloseable {
    /** Handles a batch, which may be empty when nothing came. Called again with the same records if it throws. */
    public interface Handler {
        void handle(ConsumerRecords<byte[], byte[]> records) throws InterruptedException;
    }

    private static final Logger log = LoggerFactory.getLogger(ConsumerLoop.class);
    private static final Duration POLL = Duration.ofMillis(200);
    private static final long FIRST_PAUSE_MS = 100;
    private static final long LONGEST_PAUSE_MS = 2_000;

    private final String name;
    private final Supplier<Consumer<byte[], byte[]>> newConsumer;
    private final Handler handler;
    private final boolean commits;
    private final Thread thread;
    private final CountDownLatch closing = new CountDownLatch(1);
    private final FailuresInARow failures = new FailuresInARow(log);
    private long pauseMs = FIRST_PAUSE_MS;

    /** @param newConsumer makes a consumer that is subscribed or assigned already */
    public ConsumerLoop(String name, Supplier<Consumer<byte[], byte[]>> newConsumer, Handler handler, boolean commits) {
        this.name = name;
        this.newConsumer = newConsumer;
        this.handler = handler;
        this.commits = commits;
        this.thread = new Thread(this::run, name);
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
            Consumer<byte[], byte[]> opened = open();
            if (opened != null) {
                try (opened) {
                    while (closing.getCount() > 0) {
                        runOnce(opened);
                    }
                }
            }
        } catch (InterruptException | InterruptedException e) {
            log.atDebug().addKeyValue("loop", name).log("Interrupted");
        }
    }

    /** Tries until Kafka answers; null when the loop is to end first. */
    private @Nullable Consumer<byte[], byte[]> open() throws InterruptedException {
        while (closing.getCount() > 0) {
            try {
                return newConsumer.get();
            } catch (InterruptException e) {
                throw e;
            } catch (KafkaException e) {
                failures.next().addKeyValue("loop", name).log("Not open yet, will try again: {}", e.toString());
                closing.await(LONGEST_PAUSE_MS, TimeUnit.MILLISECONDS);
            }
        }
        return null;
    }

    private void runOnce(Consumer<byte[], byte[]> consumer) throws InterruptedException {
        ConsumerRecords<byte[], byte[]> records = ConsumerRecords.empty();
        try {
            records = consumer.poll(POLL);
            handler.handle(records);
            if (commits && !records.isEmpty()) {
                consumer.commitSync(after(records));
            }
            pauseMs = FIRST_PAUSE_MS;
            failures.end();
        } catch (WakeupException | InterruptException e) {
            throw e;
        } catch (RuntimeException e) {
            failures.next()
                    .addKeyValue("loop", name)
                    .addKeyValue("pause_ms", pauseMs)
                    .setCause(log.isDebugEnabled() ? e : null)
                    .log("Will try again: {}", e.toString());
            rewind(consumer, records);
            closing.await(pauseMs, TimeUnit.MILLISECONDS);
            pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2);
        }
    }

    private static Map<TopicPartition, OffsetAndMetadata> after(ConsumerRecords<byte[], byte[]> records) {
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        for (TopicPartition partition : records.partitions()) {
            var ofPartition = records.records(partition);
            offsets.put(
                    partition,
                    new OffsetAndMetadata(
                            ofPartition.get(ofPartition.size() - 1).offset() + 1));
        }
        return offsets;
    }

    private static void rewind(Consumer<byte[], byte[]> consumer, ConsumerRecords<byte[], byte[]> records) {
        for (TopicPartition partition : records.partitions()) {
            if (consumer.assignment().contains(partition)) {
                consumer.seek(partition, records.records(partition).get(0).offset());
            }
        }
    }
}
