package io.aitbc.coordinator.assign;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Cancellation;
import io.aitbc.contracts.Ids;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.kafka.TopicCatalog;
import io.aitbc.coordinator.security.Signatures;
import io.aitbc.coordinator.trace.TaskSpan;
import io.aitbc.coordinator.trace.TraceHeader;
import io.aitbc.coordinator.trace.Traces;
import io.opentelemetry.api.trace.SpanKind;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.IntFunction;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.utils.Utils;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Publishes assignments to agents' topics, or to the shared one for agents that pull, in submission order per agent. Publishing never
 * blocks: on first use of a topic, finder threads look it up, and create it if it is missing.
 */
public final class AssignmentPublisher implements AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(AssignmentPublisher.class);
    private static final int LOOKUP_THREADS = 8;
    private static final int MAX_PENDING_TOPICS = 50_000;
    /**
     * For every send, a producer scans all topics that it has ever sent to, at about 50 ns each. Fewer agents per producer would mean more
     * requests.
     */
    static final int AGENTS_PER_PRODUCER = 500;
    /** Upper bound, however many agents come and go; beyond it, each producer serves more agents. */
    private static final int MAX_PRODUCERS = 20;
    /** Lookup attempts; each may take as long as the producer blocks. */
    private static final int MAX_LOOKUPS = 10;

    private final IntFunction<Producer<String, byte[]>> newProducer;
    private final List<Producer<String, byte[]>> producers = new ArrayList<>();
    /** Producer by agent. Fixed for each agent, to keep its assignments in order. */
    private final Map<String, Producer<String, byte[]>> producerOf = new ConcurrentHashMap<>();

    private final TopicCatalog catalog;
    private final Topics topics;
    private final Signatures signatures;
    private final Traces traces;
    private final Map<String, PendingTopic> pendingTopics = new ConcurrentHashMap<>();
    private final ExecutorService lookupExecutor = Executors.newFixedThreadPool(LOOKUP_THREADS, task -> {
        Thread thread = new Thread(task, "topic-finder");
        thread.setDaemon(true);
        return thread;
    });

    /** @param newProducer creates a producer for a group of agents, given how many producers exist already */
    public AssignmentPublisher(
            IntFunction<Producer<String, byte[]>> newProducer,
            TopicCatalog catalog,
            Topics topics,
            Signatures signatures,
            Traces traces) {
        this.signatures = signatures;
        this.traces = traces;
        this.newProducer = newProducer;
        this.catalog = catalog;
        this.topics = topics;
    }

    /** Publishes an assignment for a verdict to the agent that holds the attempt; completes once all in-sync replicas have it. */
    public CompletableFuture<Void> publish(Verdict verdict) {
        var waiting = verdict.placement().waiting();
        Assignment assignment = signatures.sign(Assignment.of(
                waiting.task(),
                waiting.position().priority(),
                verdict.agentId(),
                verdict.assignedAt(),
                verdict.uses()));
        TaskSpan span = traces.begin("assign", SpanKind.PRODUCER, waiting.id(), waiting.trace(), waiting.waitingSince())
                .with("agent_id", verdict.agentId());
        return send(verdict.agentId(), verdict.shared(), assignment.taskId(), Json.bytes(assignment), span.trace())
                .whenComplete((done, failure) -> span.end(failure));
    }

    /** Notifies an agent that a task is cancelled. */
    CompletableFuture<Void> publish(Cancellation cancellation, boolean shared) {
        return send(cancellation.agentId(), shared, cancellation.taskId(), Json.bytes(cancellation), null);
    }

    private CompletableFuture<Void> send(
            String agentId, boolean shared, String taskId, byte[] value, @Nullable String trace) {
        return shared
                ? send(Ids.SHARED_ASSIGNMENTS, new ProducerRecord<>(topics.sharedAssignments(), agentId, value), trace)
                : send(agentId, new ProducerRecord<>(topics.assignments(agentId), taskId, value), trace);
    }

    private CompletableFuture<Void> send(
            String agentId, ProducerRecord<String, byte[]> record, @Nullable String trace) {
        if (pendingTopics.size() > MAX_PENDING_TOPICS) {
            // Mostly of agents that left; the topics of others are found again at once.
            pendingTopics.values().removeIf(PendingTopic::isOpen);
        }
        PendingTopic pendingTopic;
        try {
            pendingTopic = pendingTopics.computeIfAbsent(agentId, this::open);
        } catch (KafkaException e) {
            // Creating a producer failed.
            return CompletableFuture.failedFuture(e);
        }
        TraceHeader.add(record, trace);
        return pendingTopic.send(record).whenComplete((done, failure) -> {
            if (failure != null) {
                // Its topic may be gone: look it up again.
                pendingTopics.remove(agentId, pendingTopic);
            }
        });
    }

    private Producer<String, byte[]> producerOf(String agentId) {
        Producer<String, byte[]> known = producerOf.get(agentId);
        return known != null ? known : chooseProducer(agentId);
    }

    private synchronized Producer<String, byte[]> chooseProducer(String agentId) {
        if (producerOf.size() >= MAX_PENDING_TOPICS) {
            // All producers exist by now, so the choice is stable without being stored.
            return producers.get(Math.floorMod(agentId.hashCode(), producers.size()));
        }
        return producerOf.computeIfAbsent(agentId, id -> {
            int wanted = producerOf.size() / AGENTS_PER_PRODUCER % MAX_PRODUCERS;
            while (producers.size() <= wanted) {
                producers.add(newProducer.apply(producers.size()));
            }
            return producers.get(wanted);
        });
    }

    private PendingTopic open(String agentId) {
        PendingTopic pendingTopic = new PendingTopic(producerOf(agentId));
        lookupExecutor.execute(() -> {
            try {
                awaitMetadata(agentId);
                pendingTopic.complete(null);
            } catch (InterruptedException e) {
                pendingTopic.complete(new KafkaException("interrupted"));
            } catch (RuntimeException e) {
                pendingTopic.complete(e);
            } catch (Error e) {
                // Senders would wait forever.
                pendingTopic.complete(new KafkaException("topic lookup failed", e));
                throw e;
            }
        });
        return pendingTopic;
    }

    /** Returns once the producer has the topic's metadata: until then, each send would block for it. */
    private void awaitMetadata(String agentId) throws InterruptedException {
        if (!topicExists(agentId)) {
            log.atWarn().addKeyValue("agent_id", agentId).log("Creating the agent's missing topic");
            catalog.createAgentTopics(List.of(agentId));
            if (!topicExists(agentId)) {
                throw new TimeoutException("the topic of agent " + agentId + " was created, but is not visible yet");
            }
        }
        catalog.awaitAgentTopic(agentId);
    }

    private boolean topicExists(String agentId) {
        for (int i = 0; i < MAX_LOOKUPS; i++) {
            try {
                producerOf(agentId).partitionsFor(topics.assignments(agentId));
                return true;
            } catch (TimeoutException e) {
                log.atTrace().addKeyValue("agent_id", agentId).log("Topic not visible yet");
            }
        }
        return false;
    }

    @Override
    public synchronized void close() {
        lookupExecutor.shutdownNow();
        // In parallel: if Kafka is unavailable, sequential timeouts would add up.
        producers.parallelStream()
                .forEach(producer ->
                        Utils.closeQuietly(() -> producer.close(Duration.ofSeconds(2)), "producer of assignments"));
    }

    /** Queues records for a topic, in order, until the topic is found. */
    private static final class PendingTopic {
        private record Waiting(ProducerRecord<String, byte[]> record, CompletableFuture<Void> sent) {}

        private final Producer<String, byte[]> producer;
        private final Queue<Waiting> waiting = new ArrayDeque<>();
        private boolean open;
        private @Nullable RuntimeException lookupFailure;

        PendingTopic(Producer<String, byte[]> producer) {
            this.producer = producer;
        }

        synchronized CompletableFuture<Void> send(ProducerRecord<String, byte[]> record) {
            if (open) {
                return KafkaClients.send(producer, record);
            }
            if (lookupFailure != null) {
                return CompletableFuture.failedFuture(lookupFailure);
            }
            Waiting one = new Waiting(record, new CompletableFuture<>());
            waiting.add(one);
            return one.sent;
        }

        synchronized boolean isOpen() {
            return open;
        }

        synchronized void complete(@Nullable RuntimeException failure) {
            open = failure == null;
            lookupFailure = failure;
            for (Waiting one = waiting.poll(); one != null; one = waiting.poll()) {
                CompletableFuture<Void> sent = one.sent;
                (open ? KafkaClients.send(producer, one.record) : CompletableFuture.<Void>failedFuture(failure))
                        .whenComplete((done, e) -> {
                            if (e == null) {
                                sent.complete(null);
                            } else {
                                sent.completeExceptionally(e);
                            }
                        });
            }
        }
    }
}
