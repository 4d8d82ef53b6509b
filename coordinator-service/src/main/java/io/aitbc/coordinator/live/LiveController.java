package io.aitbc.coordinator.live;

import io.swagger.v3.oas.annotations.Operation;
import io.swagger.v3.oas.annotations.Parameter;
import io.swagger.v3.oas.annotations.tags.Tag;
import java.io.IOException;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
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

/** The same messages as over {@code /ws}, for those who cannot have a WebSocket. */
@RestController
@RequestMapping({"", "/v1"})
@Tag(name = "live", description = "What changes, as it changes")
final class LiveController implements AutoCloseable {
    /** Each occupies a thread while it is written to, as long as its client takes. */
    private static final int MOST_CLIENTS = 200;

    private static final Logger log = LoggerFactory.getLogger(LiveController.class);

    private final LiveTopics topics;
    private final AtomicInteger clients = new AtomicInteger();
    private final ExecutorService writers =
            // The next message of a client is given to a thread before the one before has quite ended.
            new ThreadPoolExecutor(0, 2 * MOST_CLIENTS, 30, TimeUnit.SECONDS, new SynchronousQueue<>());

    LiveController(LiveTopics topics) {
        this.topics = topics;
    }

    @Override
    public void close() {
        writers.shutdownNow();
    }

    @GetMapping(path = "/events", produces = MediaType.TEXT_EVENT_STREAM_VALUE)
    @Operation(summary = "Topics as server-sent events: queues, agents, stats, history, tasks/{task_id}")
    SseEmitter events(
            @Parameter(description = "Topics, with commas between") @RequestParam("topics") List<String> wanted) {
        if (clients.incrementAndGet() > MOST_CLIENTS) {
            clients.decrementAndGet();
            throw new ResponseStatusException(
                    HttpStatus.SERVICE_UNAVAILABLE,
                    MOST_CLIENTS + " clients listen already: try again later, or use /ws");
        }
        SseEmitter emitter = new SseEmitter(0L);
        Subscriber subscriber = new Subscriber(message -> send(emitter, message), () -> end(emitter));
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
        emitter.onCompletion(() -> leave(subscriber));
        return emitter;
    }

    private void leave(Subscriber subscriber) {
        clients.decrementAndGet();
        topics.leave(subscriber);
    }

    /** By a thread of its own: it waits for what is being written. */
    private void end(SseEmitter emitter) {
        try {
            writers.execute(() -> complete(emitter));
        } catch (RejectedExecutionException e) {
            log.debug("A client of events is left to itself: {}", e.toString());
        }
    }

    private static void complete(SseEmitter emitter) {
        try {
            emitter.complete();
        } catch (IllegalStateException e) {
            log.debug("The server has ended it already: {}", e.toString());
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
