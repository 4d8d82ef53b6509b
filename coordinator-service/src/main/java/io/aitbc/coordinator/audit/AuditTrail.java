package io.aitbc.coordinator.audit;

import io.aitbc.contracts.AuditRecord;
import io.aitbc.contracts.Json;
import io.aitbc.coordinator.background.BackgroundService;
import io.aitbc.coordinator.background.PeriodicJob;
import io.aitbc.coordinator.background.Problem;
import io.aitbc.coordinator.background.RateLimiter;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.regex.Pattern;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Writes audit records. Nobody waits for it: while Kafka is unavailable, records wait in memory. The thread {@code audit} sends them.
 * Thread-safe.
 */
public final class AuditTrail implements BackgroundService {
    private static final Logger log = LoggerFactory.getLogger(AuditTrail.class);
    private static final Duration INTERVAL = Duration.ofMillis(200);
    private static final Duration COUNTING_INTERVAL = Duration.ofSeconds(10);
    private static final int MAX_WAITING = 10_000;
    private static final int BATCH = 500;
    private static final long WAIT_SECONDS = 20;
    /** An API key or a JSON Web Token that was given where none belongs, such as in place of an id. */
    private static final Pattern CREDENTIAL = Pattern.compile("\\b(aitbc_|eyJ)[A-Za-z0-9._-]{20,}");

    private final Producer<String, byte[]> producer;
    private final String topic;
    private final Counter lost;
    private final BlockingQueue<AuditRecord> waiting = new ArrayBlockingQueue<>(MAX_WAITING);
    private final Refusals refusals = new Refusals();
    private final RateLimiter counting = new RateLimiter(COUNTING_INTERVAL);
    private final PeriodicJob job = new PeriodicJob("audit", INTERVAL, this::run, this::runLast);
    private volatile boolean closed;

    AuditTrail(Producer<String, byte[]> producer, String topic, MeterRegistry meters) {
        this.producer = producer;
        this.topic = topic;
        this.lost = Counter.builder("coordinator.audit.records.lost")
                .description("Audit records that could not be written")
                .register(meters);
    }

    @Override
    public void start() {
        job.start();
    }

    /** Writes what waits, if Kafka is available. */
    @Override
    public void close() {
        closed = true;
        job.close();
        lose(waiting.size());
        waiting.clear();
    }

    @Override
    public List<Problem> problems() {
        return job.problems();
    }

    /** Records an action. */
    void done(AuditRecord action) {
        add(action);
    }

    /** Records a refusal, or counts it if there are many. */
    void refused(AuditRecord refusal) {
        if (refusals.add(refusal)) {
            add(refusal);
        }
    }

    private void add(AuditRecord record) {
        if (closed) {
            // REST is served until the end, when the thread has stopped.
            send(record).exceptionally(failure -> {
                lose(1);
                return null;
            });
        } else if (!waiting.offer(record)) {
            lose(1);
        }
    }

    private void lose(int count) {
        if (count > 0) {
            lost.increment(count);
            log.atWarn().addKeyValue("records", count).log("Audit records are lost: Kafka does not accept them");
        }
    }

    private void run() throws InterruptedException {
        if (counting.tryAcquire()) {
            refusals.drain().forEach(this::add);
        }
        write();
    }

    private void runLast() {
        refusals.drain().forEach(waiting::offer);
        try {
            write();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Sends all records that wait, and forgets those that Kafka has. */
    private void write() throws InterruptedException {
        while (!waiting.isEmpty()) {
            Map<AuditRecord, CompletableFuture<Void>> sent = new LinkedHashMap<>();
            for (AuditRecord record : waiting.stream().limit(BATCH).toList()) {
                CompletableFuture<Void> one = send(record);
                sent.put(record, one);
                // The topic may be unknown: then each of the others would block for seconds.
                if (one.isCompletedExceptionally()) {
                    break;
                }
            }
            List<ExecutionException> failures = new ArrayList<>();
            for (Map.Entry<AuditRecord, CompletableFuture<Void>> one : sent.entrySet()) {
                try {
                    one.getValue().get(WAIT_SECONDS, TimeUnit.SECONDS);
                    waiting.remove(one.getKey());
                } catch (ExecutionException e) {
                    failures.add(e);
                } catch (TimeoutException e) {
                    throw new KafkaException("no acknowledgement within " + WAIT_SECONDS + " s", e);
                }
            }
            if (!failures.isEmpty()) {
                throw new KafkaException(
                        "Kafka does not accept audit records: " + KafkaClients.reason(failures.get(0)),
                        failures.get(0).getCause());
            }
        }
    }

    private CompletableFuture<Void> send(AuditRecord record) {
        String json = CREDENTIAL.matcher(Json.text(record)).replaceAll("***");
        return KafkaClients.send(producer, new ProducerRecord<>(topic, json.getBytes(StandardCharsets.UTF_8)));
    }
}
