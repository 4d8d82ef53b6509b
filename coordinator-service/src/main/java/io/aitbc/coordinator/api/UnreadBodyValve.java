package io.aitbc.coordinator.api;

import jakarta.servlet.ServletException;
import java.io.IOException;
import java.io.InputStream;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.catalina.connector.Request;
import org.apache.catalina.connector.Response;
import org.apache.catalina.valves.ValveBase;
import org.apache.coyote.ActionCode;

/**
 * Closes the connection after a response that was sent without reading the body, such as a refusal. Tomcat's thread would wait for the rest
 * of the body, to keep the connection, for as long as the client stays silent. A body that has arrived by then is discarded, and the
 * connection kept. A filter that responds later, from another thread, asks for it itself.
 */
final class UnreadBodyValve extends ValveBase {
    /** Request attribute with the action that closes the connection. */
    static final String SKIP = UnreadBodyValve.class.getName() + ".skip";

    private static final int CHUNK = 8_192;
    /** Bounds what is discarded of a client that keeps sending. */
    private static final int MAX_DISCARDED = 2_097_152;

    UnreadBodyValve() {
        super(true);
    }

    @Override
    public void invoke(Request request, Response response) throws IOException, ServletException {
        Runnable skip = () -> request.getCoyoteRequest().action(ActionCode.DISABLE_SWALLOW_INPUT, null);
        request.setAttribute(SKIP, skip);
        getNext().invoke(request, response);
        if (!request.isAsync() && hasBody(request) && !isRead(request)) {
            discardArrived(request);
            if (!isRead(request)) {
                skip.run();
            }
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

    private static void discardArrived(Request request) throws IOException {
        InputStream in = request.getInputStream();
        byte[] chunk = new byte[CHUNK];
        int discarded = 0;
        while (discarded < MAX_DISCARDED && in.available() > 0) {
            int count = in.read(chunk);
            if (count < 0) {
                return;
            }
            discarded += count;
        }
    }
}
