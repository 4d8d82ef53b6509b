package io.aitbc.coordinator.push;

import io.aitbc.contracts.Assignment;
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
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What {@link PushedAgent} does to the world. Outcomes are posted to the mailbox of the push thread, which owns the agents. */
final class PushEffects implements AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(PushEffects.class);
    private static final Duration PROBE_TIMEOUT = Duration.ofSeconds(5);
    /** Reports wait for Redis and Kafka. */
    private static final int REPORT_THREADS = 8;
    /** No more is claimed while the assignments that are being pushed take up this share of the heap. */
    private static final int MAX_SHARE_OF_HEAP = 8;

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
    /** Size of the assignments that are being pushed, in characters. Used by the owner alone. */
    private long pushedSize;

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

    BlockingQueue<Runnable> mailbox() {
        return mailbox;
    }

    Instant now() {
        return clock.instant();
    }

    boolean hasRoom() {
        return pushedSize < Runtime.getRuntime().maxMemory() / MAX_SHARE_OF_HEAP;
    }

    void added(Push push) {
        pushedSize += push.size;
    }

    void removed(Push push) {
        pushedSize -= push.size;
    }

    /** Posts an assignment to its agent. */
    void execute(Agent agent, Push push, Consumer<PushOutcome> then) {
        Map<String, String> headers = new HashMap<>(Map.of("Idempotency-Key", push.id()));
        String trace = trace(push);
        if (trace != null) {
            headers.put(TaskHeaders.TRACEPARENT, trace);
        }
        byte[] body = Json.bytes(PushMessage.of(push.assignment, push.json, now()));
        push.request = http.post(uri(agent, "/tasks/execute"), headers, body, settings.responseTimeout());
        push.request.whenComplete((reply, failure) -> mailbox.add(() -> {
            PushOutcome outcome = PushOutcome.of(
                    push.assignment,
                    reply != null ? reply : new Reply.NoResponse("the request was abandoned: " + failure),
                    now());
            Objects.requireNonNull(outcomes.get(outcome.kind())).increment();
            then.accept(outcome);
        }));
    }

    private static @Nullable String trace(Push push) {
        return push.json.path(TaskHeaders.TRACEPARENT).asString(null);
    }

    /** Checks whether an agent can be reached; {@code then} gets null if it can, else why not. */
    void probe(Agent agent, Consumer<@Nullable String> then) {
        URI uri = uri(agent, "/health");
        http.get(uri, PROBE_TIMEOUT)
                .whenComplete((reply, failure) -> mailbox.add(() -> then.accept(obstacle(uri, reply))));
    }

    private static @Nullable String obstacle(URI uri, Reply reply) {
        if (reply instanceof Reply.NotSent notSent) {
            return uri + " cannot be reached: " + notSent.why();
        } else if (reply instanceof Reply.NoResponse none) {
            return uri + " cannot be reached: " + none.why();
        }
        int status = ((Reply.Response) reply).status();
        // An agent need not have this endpoint.
        return status < 500 && status != 429 ? null : uri + " responds with status " + status;
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

    /** Reports a result on behalf of an agent; {@code then} gets false if that must be repeated. */
    void report(Push push, TaskResult result, Consumer<Boolean> then) {
        CompletableFuture.supplyAsync(() -> isReported(push, result), reporting)
                .whenComplete((done, failure) -> mailbox.add(() -> then.accept(failure == null && done)));
    }

    private boolean isReported(Push push, TaskResult result) {
        try {
            return reports.report(result, trace(push))
                    .map(outcome -> outcome != ResultReports.Outcome.RESTORING)
                    // The task is unknown.
                    .orElse(true);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }

    /** Checks whether an assignment still waits for its agent; {@code then} gets null if that is unknown. */
    void checkUnconfirmed(Assignment assignment, Consumer<@Nullable Boolean> then) {
        redis.async()
                .hget(Keys.outbox(assignment.agentId()), assignment.taskId())
                .whenComplete((entry, failure) -> mailbox.add(() -> then.accept(
                        failure != null ? null : entry != null && entry.startsWith(assignment.attempt() + " "))));
    }

    private static URI uri(Agent agent, String path) {
        return URI.create(agent.registration().httpEndpoint() + path);
    }
}
