package io.aitbc.benchmarks.load;

import io.aitbc.benchmarks.cluster.ChildProcess;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletionStage;
import org.HdrHistogram.Histogram;

/** Many clients of live updates in one process, which read only the age of each message. */
public final class Watchers implements AutoCloseable {
    private static final String AT = "\"at\":\"";

    private final URI address;
    private final HttpClient http = HttpClient.newHttpClient();
    private final List<WebSocket> sockets = new ArrayList<>();
    private long messages;
    private long bytes;
    private Histogram ages = Timestamps.histogram();

    private Watchers(String address) {
        this.address = URI.create(address);
    }

    public static void main(String[] args) throws IOException {
        try (Watchers watchers = new Watchers(args[0])) {
            ChildProcess.listen(watchers::execute);
        }
    }

    private Object execute(List<String> order) {
        switch (order.get(0)) {
            case "watch" -> watch(Integer.parseInt(order.get(1)), order.get(2));
            case "leave" -> {
                sockets.forEach(WebSocket::abort);
                sockets.clear();
            }
            case "reset" -> reset();
            case "figures" -> {
                return figures();
            }
            default -> throw new IllegalArgumentException(order.get(0));
        }
        return Map.of();
    }

    private void watch(int count, String topics) {
        for (int i = 0; i < count; i++) {
            WebSocket socket = http.newWebSocketBuilder()
                    .buildAsync(address, new Watcher())
                    .join();
            socket.sendText("{\"subscribe\":[\"" + topics.replace(",", "\",\"") + "\"]}", true)
                    .join();
            sockets.add(socket);
        }
    }

    private synchronized void reset() {
        messages = 0;
        bytes = 0;
        ages = Timestamps.histogram();
    }

    private synchronized Object figures() {
        return Map.of("messages", messages, "bytes", bytes, "ages", Timestamps.encode(ages));
    }

    private synchronized void record(int length, long age) {
        messages++;
        bytes += length;
        Timestamps.record(ages, age);
    }

    @Override
    public void close() {
        sockets.forEach(WebSocket::abort);
    }

    private final class Watcher implements WebSocket.Listener {
        private int length;
        private Instant at = Instant.EPOCH;

        @Override
        public CompletionStage<?> onText(WebSocket socket, CharSequence part, boolean last) {
            if (length == 0) {
                String start = part.subSequence(0, Math.min(200, part.length())).toString();
                int from = start.indexOf(AT) + AT.length();
                at = Instant.parse(start.substring(from, start.indexOf('"', from)));
            }
            length += part.length();
            if (last) {
                record(length, Timestamps.now() - Timestamps.of(at));
                length = 0;
            }
            socket.request(1);
            return null;
        }
    }
}
