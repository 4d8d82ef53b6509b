package io.aitbc.coordinator.event;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.TaskEvent;
import io.aitbc.contracts.TaskHeaders;
import io.aitbc.coordinator.background.BackgroundService;
import io.aitbc.coordinator.background.ConsecutiveFailures;
import io.aitbc.coordinator.background.MonitoredThread;
import io.aitbc.coordinator.background.Problem;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Queue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.utils.Utils;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Publishes {@code tasks.events}. Each event is published with the step that it belongs to: the caller that performs the step waits for the future before
 * the step counts as done. Callers never block: the producer must not either ({@code max.block.ms} 0). The thread {@code events} retries for as long as it
 * takes. Thread-safe.
 */
public final class TaskEvents implements BackgroundService {
    private static final Logger log = LoggerFactory.getLogger(TaskEvents.class);
    private static final Duration RETRY_INTERVAL = Duration.ofSeconds(1);
    private static final Duration PUBLICATION_TIMEOUT = Duration.ofSeconds(10);
    private static final Duration CLOSE_TIMEOUT = Duration.ofSeconds(2);
    private static final long IDLE_MS = 100;
    private static final Duration LOOK_UP_INTERVAL = Duration.ofMillis(50);
    /** The first ones only ask for the topic; its metadata comes later. */
    private static final int QUIET_LOOK_UPS = 100;

    /** Unpublished events of more than this share of the heap, or of this many bytes, are refused. */
    private static final int HEAP_SHARE = 16;

    private static final long MAX_BYTES = 64L * 1024 * 1024;
    private static final Header CONTENT_TYPE =
            new RecordHeader(TaskHeaders.CONTENT_TYPE, TaskEvent.CONTENT_TYPE.getBytes(StandardCharsets.US_ASCII));

    /** An entry of the map, its key and its future. */
    private static final int OVERHEAD = 300;

    /** Null if events are switched off. */
    private final @Nullable Producer<String, byte[]> producer;

    private final String topic;
    private final Counter lost;
    private final long maxBytes = Math.min(MAX_BYTES, Runtime.getRuntime().maxMemory() / HEAP_SHARE);
    /** By id: an event that is published again before Kafka has it is not sent twice. */
    private final Map<String, Unpublished> unpublished = new ConcurrentHashMap<>();

    private final BlockingQueue<Unpublished> unsent = new LinkedBlockingQueue<>();
    private final Queue<Unpublished> failed = new ConcurrentLinkedQueue<>();
    private final AtomicLong bytes = new AtomicLong();
    private final ConsecutiveFailures failures = new ConsecutiveFailures(log);
    private final MonitoredThread thread = new MonitoredThread("events", this::run);
    private volatile @Nullable Throwable failure;
    /** Until then, a producer that does not block refuses everything. */
    private volatile boolean topicKnown;
    /** Used by the thread alone. */
    private int lookUps;

    private volatile boolean closed;

    private record Unpublished(TaskEvent event, byte[] value, CompletableFuture<Void> published) {
        long size() {
            return (long) value.length + OVERHEAD;
        }
    }

    /** @param producer null if events are switched off */
    public TaskEvents(@Nullable Producer<String, byte[]> producer, String topic, MeterRegistry meters) {
        this.producer = producer;
        this.topic = topic;
        this.lost = Counter.builder("coordinator.events.lost")
                .description("Events that Kafka refused as too large even without task, result and error")
                .register(meters);
        Gauge.builder("coordinator.events.unpublished", unpublished, Map::size)
                .description("Events that Kafka does not have yet")
                .register(meters);
    }

    /** Whether events are published. */
    public boolean isEnabled() {
        return producer != null;
    }

    @Override
    public void start() {
        if (producer != null) {
            thread.start();
        }
    }

    @Override
    public void close() {
        closed = true;
        if (producer != null) {
            thread.close();
            Utils.closeQuietly(() -> producer.close(CLOSE_TIMEOUT), "producer of events");
            unpublished.values().forEach(one -> one.published.completeExceptionally(refused()));
        }
    }

    @Override
    public List<Problem> problems() {
        return producer == null ? List.of() : thread.problems();
    }

    /**
     * Publishes an event; completes once all in-sync replicas have it, at once if events are switched off. Already failed if it is refused because too many
     * others are not published yet.
     */
    public CompletableFuture<Void> publish(TaskEvent event) {
        if (producer == null) {
            return CompletableFuture.completedFuture(null);
        }
        Unpublished before = unpublished.get(event.id());
        if (before != null) {
            return before.published;
        }
        if (closed || bytes.get() > maxBytes) {
            return CompletableFuture.failedFuture(refused());
        }
        Unpublished one = new Unpublished(event, Json.bytes(event), new CompletableFuture<>());
        before = unpublished.putIfAbsent(event.id(), one);
        if (before != null) {
            return before.published;
        }
        bytes.addAndGet(one.size());
        if (topicKnown) {
            send(one);
        } else {
            unsent.add(one);
        }
        return one.published;
    }

    /** Publishes events; completes once all in-sync replicas have them. */
    public CompletableFuture<Void> publish(Collection<TaskEvent> events) {
        return CompletableFuture.allOf(events.stream().map(this::publish).toArray(CompletableFuture[]::new));
    }

    private KafkaException refused() {
        return new KafkaException(
                closed ? "the coordinator stops" : "Kafka does not accept events, and " + unpublished.size() + " wait");
    }

    /**
     * Waits up to 10 s until Kafka has acknowledged events.
     *
     * @throws KafkaException on a timeout, or if they were refused. After a timeout they stay queued and are still published; the caller retries its step.
     */
    public static void await(CompletableFuture<?> published) throws InterruptedException {
        await(published, PUBLICATION_TIMEOUT);
    }

    static void await(CompletableFuture<?> published, Duration limit) throws InterruptedException {
        try {
            published.get(limit.toMillis(), TimeUnit.MILLISECONDS);
        } catch (ExecutionException e) {
            throw new KafkaException("events are not published: " + KafkaClients.reason(e), e.getCause());
        } catch (TimeoutException e) {
            throw new KafkaException("events are not published within " + limit.toSeconds() + " s", e);
        }
    }

    private void run() {
        try {
            while (!thread.isClosing()) {
                if (!topicKnown) {
                    lookUpTopic();
                    continue;
                }
                Unpublished next = unsent.poll(IDLE_MS, TimeUnit.MILLISECONDS);
                if (next != null) {
                    send(next);
                }
                boolean isFailing = failure != null;
                report();
                if (!failed.isEmpty() && (isFailing || next == null)) {
                    // The topic is gone, or the buffer is full: the others would fail too. What is too large is not
                    // among the failed.
                    thread.pause(RETRY_INTERVAL);
                    for (Unpublished again = failed.poll(); again != null; again = failed.poll()) {
                        unsent.add(again);
                    }
                }
            }
        } catch (InterruptedException e) {
            log.debug("Interrupted");
        }
    }

    private void lookUpTopic() throws InterruptedException {
        try {
            topicKnown = !Objects.requireNonNull(producer).partitionsFor(topic).isEmpty();
        } catch (RuntimeException e) {
            failure = lookUps++ < QUIET_LOOK_UPS ? null : e;
            report();
            thread.pause(LOOK_UP_INTERVAL);
        }
    }

    private void report() {
        Throwable last = failure;
        if (last != null) {
            failure = null;
            thread.monitor().failed(last);
            failures.onFailure().log("Events are not published, will retry: {}", last.toString());
        } else if (failed.isEmpty()) {
            failures.reset();
            thread.monitor().succeeded();
            if (unpublished.isEmpty()) {
                thread.monitor().idle();
            }
        } else {
            thread.monitor().progressed();
        }
    }

    private void send(Unpublished one) {
        ProducerRecord<String, byte[]> record = new ProducerRecord<>(topic, one.event.taskId(), one.value);
        record.headers().add(CONTENT_TYPE);
        try {
            Objects.requireNonNull(producer).send(record, (done, cause) -> {
                if (cause == null) {
                    published(one);
                } else if (cause instanceof RecordTooLargeException) {
                    tooLarge(one);
                } else {
                    failed(one, cause);
                }
            });
        } catch (RuntimeException e) {
            failed(one, e);
        }
    }

    private void failed(Unpublished one, Throwable cause) {
        failed.add(one);
        failure = cause;
    }

    private void published(Unpublished one) {
        unpublished.remove(one.event.id());
        bytes.addAndGet(-one.size());
        one.published.complete(null);
    }

    private void tooLarge(Unpublished one) {
        if (Boolean.TRUE.equals(one.event.change().truncated())) {
            // Nothing that could be left out is left.
            lost.increment();
            log.atError()
                    .addKeyValue("event", one.event.id())
                    .log("An event is lost: it is larger than topic {} allows", topic);
            published(one);
            return;
        }
        TaskEvent truncated = one.event.truncate();
        Unpublished shorter = new Unpublished(truncated, Json.bytes(truncated), one.published);
        unpublished.put(truncated.id(), shorter);
        bytes.addAndGet(shorter.size() - one.size());
        unsent.add(shorter);
    }
}
