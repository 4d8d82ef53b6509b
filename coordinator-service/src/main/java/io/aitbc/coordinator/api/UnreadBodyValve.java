package io.aitbc.coordinator.api;

import jakarta.servlet.AsyncContext;
import jakarta.servlet.ReadListener;
import jakarta.servlet.ServletException;
import jakarta.servlet.ServletInputStream;
import java.io.IOException;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.catalina.connector.Request;
import org.apache.catalina.connector.Response;
import org.apache.catalina.valves.ValveBase;
import org.apache.coyote.ActionCode;

/**
 * Discards the body of a request that was answered without reading it, such as a refusal, so that the connection can be kept. Tomcat's thread
 * would wait for the rest of the body, for as long as the client stays silent; here none does. If the rest does not arrive in time, the
 * connection is closed. A filter may also ask for that at once.
 */
final class UnreadBodyValve extends ValveBase {
    /** Request attribute with the action that closes the connection instead of reading the rest. */
    static final String SKIP = UnreadBodyValve.class.getName() + ".skip";

    private static final long TIMEOUT_MS = 10_000;
    private static final int CHUNK = 8_192;
    /** Bounds what is discarded of a client that keeps sending. */
    private static final int MAX_DISCARDED = 2_097_152;

    UnreadBodyValve() {
        super(true);
    }

    @Override
    public void invoke(Request request, Response response) throws IOException, ServletException {
        AtomicBoolean isSkipped = new AtomicBoolean();
        Runnable skip = () -> {
            isSkipped.set(true);
            request.getCoyoteRequest().action(ActionCode.DISABLE_SWALLOW_INPUT, null);
        };
        request.setAttribute(SKIP, skip);
        getNext().invoke(request, response);
        boolean isAnswered = !request.isAsync() && !isSkipped.get();
        // An error page is yet to be written by another valve, which leaves that to asynchronous requests.
        if (isAnswered && !response.isErrorReportRequired() && hasBody(request) && !isRead(request)) {
            discard(request, skip);
        }
    }

    private static boolean hasBody(Request request) {
        return request.getContentLengthLong() > 0 || request.getHeader("Transfer-Encoding") != null;
    }

    private static boolean isRead(Request request) {
        AtomicBoolean read = new AtomicBoolean();
        request.getCoyoteRequest().action(ActionCode.REQUEST_BODY_FULLY_READ, read);
        return read.get();
    }

    private static void discard(Request request, Runnable skip) throws IOException {
        AsyncContext reading = request.startAsync();
        reading.setTimeout(TIMEOUT_MS);
        reading.addListener((TimeoutListener) event -> {
            skip.run();
            reading.complete();
        });
        ServletInputStream in = request.getInputStream();
        in.setReadListener(new ReadListener() {
            private final byte[] chunk = new byte[CHUNK];
            private int discarded;

            @Override
            public void onDataAvailable() throws IOException {
                while (discarded <= MAX_DISCARDED && in.isReady()) {
                    int count = in.read(chunk);
                    if (count < 0) {
                        return;
                    }
                    discarded += count;
                }
                if (discarded > MAX_DISCARDED) {
                    skip.run();
                    reading.complete();
                }
            }

            @Override
            public void onAllDataRead() {
                reading.complete();
            }

            @Override
            public void onError(Throwable failure) {
                reading.complete();
            }
        });
    }
}
