package io.aitbc.coordinator.live;

import io.aitbc.coordinator.security.Caller;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * A client, its subscriptions, and the revisions it has received. Messages are sent one at a time; updates that arrive meanwhile are
 * conflated to the latest. Thread-safe.
 */
final class Subscriber {
    private final Function<String, CompletableFuture<Void>> sender;
    private final Runnable end;
    private final Caller caller;
    /** The revision number received per channel, least recently served first. */
    private final Map<Channel, Long> delivered = new LinkedHashMap<>();

    private @Nullable String notice;
    private boolean sending;
    private boolean closed;

    /**
     * @param sender sends a message; its future completes when the next may be sent
     * @param end closes the connection
     */
    Subscriber(Function<String, CompletableFuture<Void>> sender, Runnable end, Caller caller) {
        this.sender = sender;
        this.end = end;
        this.caller = caller;
    }

    Caller caller() {
        return caller;
    }

    synchronized void subscribe(Channel channel) {
        delivered.putIfAbsent(channel, 0L);
    }

    synchronized void unsubscribe(Channel channel) {
        delivered.remove(channel);
    }

    synchronized Set<Channel> subscriptions() {
        return Set.copyOf(delivered.keySet());
    }

    /** Sends a message that belongs to no topic, before all others; of several pending ones, only the last. */
    void sendNotice(String message) {
        synchronized (this) {
            notice = message;
        }
        pump();
    }

    /** Like {@link #sendNotice}, but dropped if another such message is pending. */
    void sendNoticeIfNone(String message) {
        synchronized (this) {
            if (notice == null) {
                notice = message;
            }
        }
        pump();
    }

    /** Stops sending. */
    synchronized void close() {
        closed = true;
    }

    synchronized boolean isClosed() {
        return closed;
    }

    void end() {
        close();
        end.run();
    }

    /** Sends new revisions, as far as possible without blocking. */
    void pump() {
        for (String message = next(); message != null; message = next()) {
            CompletableFuture<Void> sent = send(message);
            if (!sent.isDone() || sent.isCompletedExceptionally()) {
                sent.whenComplete((done, failure) -> sent(failure));
                return;
            }
            synchronized (this) {
                sending = false;
            }
        }
    }

    private CompletableFuture<Void> send(String message) {
        try {
            return sender.apply(message);
        } catch (RuntimeException e) {
            return CompletableFuture.failedFuture(e);
        }
    }

    private void sent(@Nullable Throwable failure) {
        synchronized (this) {
            sending = false;
            closed |= failure != null;
        }
        if (failure == null) {
            pump();
        } else {
            end.run();
        }
    }

    private synchronized @Nullable String next() {
        if (sending || closed) {
            return null;
        }
        String message = notice == null ? newest() : notice;
        notice = null;
        sending = message != null;
        return message;
    }

    private @Nullable String newest() {
        for (Iterator<Map.Entry<Channel, Long>> all = delivered.entrySet().iterator(); all.hasNext(); ) {
            Map.Entry<Channel, Long> one = all.next();
            Channel.Revision newest = one.getKey().newest();
            if (newest.whole() != null && newest.number() > one.getValue()) {
                boolean hasPrevious = one.getValue() > 0 && one.getValue() == newest.number() - 1;
                all.remove();
                delivered.put(one.getKey(), newest.number());
                return newest.change() != null && hasPrevious ? newest.change() : newest.whole();
            }
        }
        return null;
    }
}
