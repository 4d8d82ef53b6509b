package io.aitbc.coordinator.audit;

import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpServletRequest;
import java.io.IOException;
import org.apache.catalina.connector.Request;
import org.apache.catalina.connector.Response;
import org.apache.catalina.valves.ValveBase;

/**
 * Keeps the address of the other end of the connection. A server that is told to take it from {@code X-Forwarded-For} replaces it if
 * it is a private one, and then any client in a private network can claim an address.
 */
final class PeerAddressValve extends ValveBase {
    private static final String ATTRIBUTE = PeerAddressValve.class.getName();

    PeerAddressValve() {
        super(true);
    }

    @Override
    public void invoke(Request request, Response response) throws IOException, ServletException {
        request.setAttribute(ATTRIBUTE, request.getPeerAddr());
        getNext().invoke(request, response);
    }

    static String addressOf(HttpServletRequest request) {
        return request.getAttribute(ATTRIBUTE) instanceof String peer ? peer : request.getRemoteAddr();
    }
}
