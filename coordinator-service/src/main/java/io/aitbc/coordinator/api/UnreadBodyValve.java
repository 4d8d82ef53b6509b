package io.aitbc.coordinator.api;

import jakarta.servlet.ServletException;
import java.io.IOException;
import org.apache.catalina.connector.Request;
import org.apache.catalina.connector.Response;
import org.apache.catalina.valves.ValveBase;
import org.apache.coyote.ActionCode;

/**
 * Lets a filter close a connection without reading the rest of its request. By default the server's thread waits for the rest, for as long
 * as the client stays silent.
 */
final class UnreadBodyValve extends ValveBase {
    /** Request attribute with the action to run. */
    static final String SKIP = UnreadBodyValve.class.getName() + ".skip";

    UnreadBodyValve() {
        super(true);
    }

    @Override
    public void invoke(Request request, Response response) throws IOException, ServletException {
        Runnable skip = () -> request.getCoyoteRequest().action(ActionCode.DISABLE_SWALLOW_INPUT, null);
        request.setAttribute(SKIP, skip);
        getNext().invoke(request, response);
    }
}
