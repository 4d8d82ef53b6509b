package io.aitbc.coordinator.push;

import io.aitbc.contracts.Cancellation;
import io.aitbc.contracts.Claim;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.TaskHeaders;
import io.aitbc.contracts.TaskResult;
import io.aitbc.coordinator.agent.Agent;
import io.aitbc.coordinator.delivery.AssignmentClaims;
import io.aitbc.coordinator.intake.ResultReports;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import java.net.URI;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Sends requests, claims and reports on behalf of {@link PushedAgent}. Outcomes are posted to the mailbox of the push thread, which owns the agents. */
final class PushEffects implements AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(PushEffects.class);
    private static final Duration PROBE_TIMEOUT = Duration.ofSeconds(5);
    /** Reports wait for Redis and Kafka. */
    private static final int REPORT_THREADS = 8;
    /** No more is claimed while the assignments that are being pushed take up this share of the heap. */
    private static final int MAX_SHARE_OF_HEAP = 8;

    /** Names this coordinator in claims. What another one has claimed and not confirmed is served to it after 10 s. */
    private final String instance = "push-" + UUID.randomUUID();

    private final AgentHttp http;
    private final AssignmentClaims claims;
    private final ResultReports reports;
    private final Redis redis;
    private final PushSettings settings;
    private final Map<PushOutcome.Kind, Counter> outcomes = new EnumMap<>(PushOutcome.Kind.class);
    private final Clock clock;
    private final BlockingQueue<Runnable> mailbox = new LinkedBlockingQueue<>();
    private final ExecutorService reporting =
            Executors.newFixedThreadPool(REPORT_THREADS, task -> new Thread(task, "push-report"));
    /** Size of the bodies of all pushes. Used by the owner alone. */
    private long pushedBytes;

    PushEffects(
            AgentHttp http,
            AssignmentClaims claims,
            ResultReports reports,
            Redis redis,
            PushSettings settings,
            MeterRegistry meters,
            Clock clock) {
        this.http = http;
        this.claims = claims;
        this.reports = reports;
        this.redis = redis;
        this.settings = settings;
        for (PushOutcome.Kind kind : PushOutcome.Kind.values()) {
            outcomes.put(
                    kind,
                    Counter.builder("coordinator.pushes")
                            .description("Requests that deliver assignments to agents, by outcome")
                            .tag("outcome", kind.name().toLowerCase(Locale.ROOT))
                            .register(meters));
        }
        this.clock = clock;
    }

    @Override
    public void close() {
        http.close();
        reporting.shutdownNow();
    }

    String instance() {
        return instance;
    }

    BlockingQueue<Runnable> mailbox() {
        return mailbox;
    }

    Instant now() {
        return clock.instant();
    }

    boolean hasRoom() {
        return pushedBytes < Runtime.getRuntime().maxMemory() / MAX_SHARE_OF_HEAP;
    }

    void added(Push push) {
        pushedBytes += push.body.length;
    }

    void removed(Push push) {
        pushedBytes -= push.body.length;
    }

    /** Posts an assignment to its agent. */
    void execute(Agent agent, Push push, Consumer<PushOutcome> then) {
        Map<String, String> headers = new HashMap<>(Map.of("Idempotency-Key", push.id()));
        if (push.trace != null) {
            headers.put(TaskHeaders.TRACEPARENT, push.trace);
        }
        push.request = http.post(uri(agent, "/tasks/execute"), headers, push.body, settings.responseTimeout());
        // Parsed here, on the thread of the connection: the push thread has all agents to serve.
        push.request
                .thenApply(reply -> PushOutcome.of(push.assignment, reply, now()))
                .exceptionally(failure ->
                        new PushOutcome(PushOutcome.Kind.UNCERTAIN, null, "the request was abandoned", null, false))
                .thenAccept(outcome -> mailbox.add(() -> {
                    Objects.requireNonNull(outcomes.get(outcome.kind())).increment();
                    then.accept(outcome);
                }));
    }

    /** Checks whether an agent can be reached; {@code then} gets null if it can, else why not. */
    void probe(Agent agent, Consumer<@Nullable String> then) {
        URI uri = uri(agent, "/health");
        http.get(uri, PROBE_TIMEOUT)
                .whenComplete((reply, failure) -> mailbox.add(() -> then.accept(obstacle(uri, reply))));
    }

    static @Nullable String obstacle(URI uri, @Nullable Reply reply) {
        if (reply instanceof Reply.Response response) {
            // An agent need not have this endpoint: 404, 405 or 501.
            boolean isWell = response.status() < 500 && response.status() != 429 || response.status() == 501;
            return isWell ? null : uri + " responds with status " + response.status();
        } else if (reply instanceof Reply.NotSent notSent) {
            return uri + " cannot be reached: " + notSent.why();
        }
        return uri + " cannot be reached: "
                + (reply instanceof Reply.NoResponse none
                        ? none.why()
                        : "too many requests to its host are in progress");
    }

    /** Notifies an agent that an assignment is cancelled, once. */
    void cancel(Agent agent, String assignmentId) {
        int colon = assignmentId.lastIndexOf(':');
        Cancellation cancellation = Cancellation.of(
                assignmentId.substring(0, colon),
                Integer.parseInt(assignmentId.substring(colon + 1)),
                agent.id(),
                now());
        http.post(uri(agent, "/tasks/cancel"), Map.of(), Json.bytes(cancellation), PROBE_TIMEOUT)
                .thenAccept(reply -> log.atDebug()
                        .addKeyValue("agent_id", agent.id())
                        .addKeyValue("assignment_id", assignmentId)
                        .log("Cancellation sent: {}", reply.getClass().getSimpleName()));
    }

    /** Claims assignments for an agent; {@code then} gets null if that failed. */
    void claim(String agentId, Claim claim, Set<String> pushing, Consumer<AssignmentClaims.@Nullable Answer> then) {
        claims.claimToPush(agentId, claim, pushing)
                .whenComplete((answer, failure) -> mailbox.add(() -> then.accept(answer)));
    }

    void endClaims(String agentId) {
        claims.end(agentId);
    }

    /** The fate of a report. */
    enum Reported {
        /** It is published, or its attempt is over. */
        DONE,
        TOO_LARGE,
        /** It may be repeated. */
        FAILED
    }

    /** Reports a result on behalf of an agent. */
    void report(Push push, TaskResult result, Consumer<Reported> then) {
        CompletableFuture.supplyAsync(() -> report(push, result), reporting)
                .exceptionally(failure -> failure instanceof CompletionException
                                && failure.getCause() instanceof ResultReports.TooLargeException
                        ? Reported.TOO_LARGE
                        : Reported.FAILED)
                .thenAccept(reported -> mailbox.add(() -> then.accept(reported)));
    }

    private Reported report(Push push, TaskResult result) {
        try {
            return reports.report(result, push.trace)
                    .map(outcome -> outcome == ResultReports.Outcome.RESTORING ? Reported.FAILED : Reported.DONE)
                    // The task is unknown.
                    .orElse(Reported.DONE);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return Reported.FAILED;
        }
    }

    /** Checks whether an assignment still waits for its agent, and its attempt is live; {@code then} gets null if that is unknown. */
    void checkUnconfirmed(Push push, Consumer<@Nullable Boolean> then) {
        String agentId = push.assignment.agentId();
        String taskId = push.assignment.taskId();
        CompletableFuture<String> waiting =
                redis.async().hget(Keys.outbox(agentId), taskId).toCompletableFuture();
        redis.async()
                .hget(Keys.inflight(agentId), taskId)
                .toCompletableFuture()
                .thenCombine(
                        waiting,
                        (held, entry) -> isWaiting(push, entry)
                                && held != null
                                && held.startsWith(push.assignment.attempt() + " "))
                .whenComplete((unconfirmed, failure) -> mailbox.add(() -> then.accept(unconfirmed)));
    }

    /** Confirms an assignment to Redis at once, where no claim follows that would. */
    void confirm(Push push) {
        String outbox = Keys.outbox(push.assignment.agentId());
        redis.async().hget(outbox, push.assignment.taskId()).thenAccept(entry -> {
            if (isWaiting(push, entry)) {
                redis.async().hdel(outbox, push.assignment.taskId());
            }
        });
    }

    private static boolean isWaiting(Push push, @Nullable String entry) {
        return entry != null && entry.startsWith(push.assignment.attempt() + " ");
    }

    private static URI uri(Agent agent, String path) {
        return URI.create(agent.registration().httpEndpoint() + path);
    }
}
