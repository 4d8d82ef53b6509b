package io.aitbc.coordinator.live;

import io.aitbc.coordinator.security.Caller;
import io.aitbc.coordinator.security.CallerShare;
import io.aitbc.coordinator.security.OpenCalls;
import io.swagger.v3.oas.annotations.Operation;
import io.swagger.v3.oas.annotations.Parameter;
import io.swagger.v3.oas.annotations.tags.Tag;
import jakarta.servlet.http.HttpServletRequest;
import java.io.IOException;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.http.HttpStatus;
import org.springframework.http.MediaType;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.server.ResponseStatusException;
import org.springframework.web.servlet.mvc.method.annotation.SseEmitter;

/** Live updates as server-sent events: the same messages as over {@code /ws}, for clients without WebSockets. */
@RestController
@RequestMapping({"", "/v1"})
@Tag(name = "live", description = "Live updates")
final class LiveController implements AutoCloseable {
    /** Each client occupies a thread while a message is written to it, for as long as the client takes to read. */
    private static final int MAX_CLIENTS = 200;
    /** Minimum time before a client may be evicted for another when all connections are taken. It may reconnect. */
    private static final long MIN_EVICTION_AGE_NANOS = TimeUnit.SECONDS.toNanos(10);

    private static final Logger log = LoggerFactory.getLogger(LiveController.class);

    private final CallerShare share = new CallerShare(MAX_CLIENTS / 2, 20);
    private final LiveTopics topics;
    private final OpenCalls calls;
    /** Clients by age, oldest first. */
    private final Map<Subscriber, Connection> connections = new LinkedHashMap<>();

    private final ExecutorService writers =
            // Twice as many threads: the next message to a client is submitted before the previous task has quite
            // ended.
            new ThreadPoolExecutor(0, 2 * MAX_CLIENTS, 30, TimeUnit.SECONDS, new SynchronousQueue<>());

    private record Connection(String address, long since) {}

    LiveController(LiveTopics topics, OpenCalls calls) {
        this.calls = calls;
        this.topics = topics;
    }

    @Override
    public void close() {
        writers.shutdownNow();
    }

    @GetMapping(path = "/events", produces = MediaType.TEXT_EVENT_STREAM_VALUE)
    @Operation(summary = "Subscribe to topics as server-sent events: queues, agents, stats, history, tasks/{task_id}")
    SseEmitter events(
            @Parameter(description = "Comma-separated topics") @RequestParam("topics") List<String> wanted,
            HttpServletRequest request,
            @Parameter(hidden = true) Caller caller) {
        if (!share.tryAcquire(caller)) {
            throw new ResponseStatusException(
                    HttpStatus.SERVICE_UNAVAILABLE, "too many connections with this credential on this coordinator");
        }
        SseEmitter emitter = new SseEmitter(0L);
        Subscriber subscriber = new Subscriber(message -> send(emitter, message), () -> end(emitter), caller);
        try {
            admit(subscriber, request.getRemoteAddr());
        } catch (ResponseStatusException e) {
            share.release(caller);
            throw e;
        }
        try {
            topics.join(subscriber);
            wanted.forEach(topic -> topics.subscribe(subscriber, topic));
        } catch (IllegalArgumentException e) {
            leave(subscriber);
            throw new ResponseStatusException(HttpStatus.UNPROCESSABLE_CONTENT, e.getMessage());
        } catch (IllegalStateException e) {
            leave(subscriber);
            throw new ResponseStatusException(HttpStatus.SERVICE_UNAVAILABLE, e.getMessage());
        }
        Runnable unwatch = calls.watch(caller, subscriber::end);
        emitter.onCompletion(() -> {
            unwatch.run();
            leave(subscriber);
        });
        return emitter;
    }

    /**
     * Registers a client, evicting another if all connections are taken. A client that does not read is detected only once all buffers are
     * full, which takes minutes. So the address with the most clients loses its oldest one.
     */
    private void admit(Subscriber subscriber, String address) {
        Subscriber evicted = null;
        synchronized (connections) {
            if (connections.size() >= MAX_CLIENTS) {
                evicted = evictionCandidate()
                        .orElseThrow(() -> new ResponseStatusException(
                                HttpStatus.SERVICE_UNAVAILABLE,
                                MAX_CLIENTS + " clients are already connected: try again later, or use /ws"));
                connections.remove(evicted);
            }
            connections.put(subscriber, new Connection(address, System.nanoTime()));
        }
        if (evicted != null) {
            topics.leave(evicted);
            evicted.end();
        }
    }

    private Optional<Subscriber> evictionCandidate() {
        Map<String, Long> byAddress = connections.values().stream()
                .collect(Collectors.groupingBy(Connection::address, Collectors.counting()));
        long most = Collections.max(byAddress.values());
        long now = System.nanoTime();
        return connections.entrySet().stream()
                .filter(one -> byAddress.getOrDefault(one.getValue().address(), 0L) == most)
                .filter(one -> now - one.getValue().since() >= MIN_EVICTION_AGE_NANOS)
                .map(Map.Entry::getKey)
                .findFirst();
    }

    private void leave(Subscriber subscriber) {
        synchronized (connections) {
            connections.remove(subscriber);
        }
        share.release(subscriber.caller());
        topics.leave(subscriber);
    }

    /** Runs in a thread of its own: it waits for pending writes. */
    private void end(SseEmitter emitter) {
        try {
            writers.execute(() -> complete(emitter));
        } catch (RejectedExecutionException e) {
            log.debug("Could not close an event stream: {}", e.toString());
        }
    }

    private static void complete(SseEmitter emitter) {
        try {
            emitter.complete();
        } catch (IllegalStateException e) {
            log.debug("Event stream already closed by the server: {}", e.toString());
        }
    }

    private CompletableFuture<Void> send(SseEmitter emitter, String message) {
        try {
            return CompletableFuture.runAsync(() -> write(emitter, message), writers);
        } catch (RejectedExecutionException e) {
            return CompletableFuture.failedFuture(e);
        }
    }

    private static void write(SseEmitter emitter, String message) {
        try {
            emitter.send(SseEmitter.event().data(message, MediaType.TEXT_PLAIN));
        } catch (IOException | IllegalStateException e) {
            throw new CompletionException(e);
        }
    }
}
