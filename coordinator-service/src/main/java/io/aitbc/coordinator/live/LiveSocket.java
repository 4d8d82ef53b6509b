package io.aitbc.coordinator.live;

import static org.apache.tomcat.websocket.Constants.BLOCKING_SEND_TIMEOUT_PROPERTY;

import io.aitbc.contracts.Json;
import io.aitbc.coordinator.security.Caller;
import io.aitbc.coordinator.security.CallerShare;
import io.aitbc.coordinator.security.OpenCalls;
import jakarta.websocket.Session;
import java.io.IOException;
import java.net.URI;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.stereotype.Component;
import org.springframework.web.socket.CloseStatus;
import org.springframework.web.socket.TextMessage;
import org.springframework.web.socket.WebSocketSession;
import org.springframework.web.socket.adapter.NativeWebSocketSession;
import org.springframework.web.socket.handler.TextWebSocketHandler;
import org.springframework.web.util.UriComponentsBuilder;

/** {@code /ws}: clients subscribe to topics in the URL or by message. */
@Component
final class LiveSocket extends TextWebSocketHandler {
    private static final Logger log = LoggerFactory.getLogger(LiveSocket.class);
    private static final int MAX_CLIENTS = 2_000;
    /** Send timeout, after which a client counts as gone. */
    private static final long SEND_TIMEOUT_MS = 30_000;
    /** How long a client that does not read delays the end of its connection. */
    private static final long CLOSE_TIMEOUT_MS = 2_000;

    private static final CloseStatus TRY_AGAIN_LATER = new CloseStatus(1013, "too many clients on this coordinator");

    private static final CloseStatus TOO_MANY =
            new CloseStatus(1013, "too many connections with this credential on this coordinator");

    private final CallerShare share = new CallerShare(500, 20);
    private final LiveTopics topics;
    private final OpenCalls calls;
    private final Map<String, Subscriber> subscribers = new ConcurrentHashMap<>();
    /** By session: ends the watch over its credential. */
    private final Map<String, Runnable> unwatch = new ConcurrentHashMap<>();

    LiveSocket(LiveTopics topics, OpenCalls calls) {
        this.calls = calls;
        this.topics = topics;
    }

    /** A client's message. */
    record SubscriptionRequest(
            @Nullable List<String> subscribe, @Nullable List<String> unsubscribe) {}

    @Override
    public void afterConnectionEstablished(WebSocketSession session) throws Exception {
        if (subscribers.size() >= MAX_CLIENTS) {
            session.close(TRY_AGAIN_LATER);
            return;
        }
        Session connection = Objects.requireNonNull(((NativeWebSocketSession) session).getNativeSession(Session.class));
        connection.getAsyncRemote().setSendTimeout(SEND_TIMEOUT_MS);
        connection.getUserProperties().put(BLOCKING_SEND_TIMEOUT_PROPERTY, CLOSE_TIMEOUT_MS);
        Caller caller = Caller.of(session.getPrincipal());
        if (!share.tryAcquire(caller)) {
            session.close(TOO_MANY);
            return;
        }
        Subscriber subscriber = new Subscriber(message -> send(connection, message), () -> end(session), caller);
        try {
            topics.join(subscriber);
        } catch (IllegalStateException e) {
            share.release(caller);
            session.close(TRY_AGAIN_LATER.withReason(String.valueOf(e.getMessage())));
            return;
        }
        subscribers.put(session.getId(), subscriber);
        unwatch.put(session.getId(), calls.watch(caller, () -> revoke(session, subscriber)));
        subscribe(subscriber, topicsInQuery(session.getUri()));
    }

    @Override
    protected void handleTextMessage(WebSocketSession session, TextMessage message) {
        Subscriber subscriber = subscribers.get(session.getId());
        if (subscriber == null || subscriber.isClosed()) {
            return;
        }
        try {
            SubscriptionRequest request = Json.read(message.getPayload(), SubscriptionRequest.class);
            if (request.subscribe() == null && request.unsubscribe() == null) {
                subscriber.sendNotice(rejection("send {\"subscribe\": [topics]} or {\"unsubscribe\": [topics]}"));
            }
            if (request.unsubscribe() != null) {
                request.unsubscribe().forEach(topic -> topics.unsubscribe(subscriber, String.valueOf(topic)));
            }
            if (request.subscribe() != null) {
                subscribe(subscriber, request.subscribe());
            }
        } catch (Json.MalformedMessageException e) {
            subscriber.sendNotice(rejection(String.valueOf(e.getMessage())));
        }
    }

    private void subscribe(Subscriber subscriber, List<String> wanted) {
        for (String topic : wanted) {
            try {
                topics.subscribe(subscriber, String.valueOf(topic));
            } catch (IllegalArgumentException e) {
                subscriber.sendNotice(Json.object()
                        .put("v", Channel.VERSION)
                        .put("kind", "refused")
                        .put("topic", topic)
                        .put("detail", e.getMessage())
                        .toString());
            }
        }
    }

    @Override
    public void handleTransportError(WebSocketSession session, Throwable exception) {
        log.debug("WebSocket connection lost: {}", exception.toString());
    }

    @Override
    public void afterConnectionClosed(WebSocketSession session, CloseStatus status) {
        Subscriber subscriber = subscribers.remove(session.getId());
        unwatch.getOrDefault(session.getId(), () -> {}).run();
        unwatch.remove(session.getId());
        if (subscriber != null) {
            share.release(subscriber.caller());
            topics.leave(subscriber);
        }
    }

    private void revoke(WebSocketSession session, Subscriber subscriber) {
        // Nothing is sent from now on, however long it takes to close the connection.
        topics.leave(subscriber);
        try {
            session.close(CloseStatus.POLICY_VIOLATION.withReason(
                    String.valueOf(Caller.ended().getMessage())));
        } catch (IOException e) {
            log.debug("Could not close a WebSocket session: {}", e.toString());
        }
    }

    private static CompletableFuture<Void> send(Session connection, String message) {
        CompletableFuture<Void> sent = new CompletableFuture<>();
        try {
            connection.getAsyncRemote().sendText(message, result -> {
                if (result.isOK()) {
                    sent.complete(null);
                } else {
                    sent.completeExceptionally(result.getException());
                }
            });
        } catch (RuntimeException e) {
            // It has just been closed.
            sent.completeExceptionally(e);
        }
        return sent;
    }

    private void end(WebSocketSession session) {
        try {
            session.close(CloseStatus.SESSION_NOT_RELIABLE);
        } catch (Exception e) {
            log.debug("Could not close a WebSocket session: {}", e.toString());
        }
    }

    private static List<String> topicsInQuery(@Nullable URI address) {
        String all = address == null
                ? null
                : UriComponentsBuilder.fromUri(address).build().getQueryParams().getFirst("topics");
        return all == null || all.isEmpty()
                ? List.of()
                : List.of(URLDecoder.decode(all, StandardCharsets.UTF_8).split(","));
    }

    private static String rejection(String why) {
        return Json.object()
                .put("v", Channel.VERSION)
                .put("kind", "refused")
                .put("detail", why)
                .toString();
    }
}
