package io.aitbc.coordinator.audit;

import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpServletRequest;
import java.io.IOException;
import org.apache.catalina.connector.Request;
import org.apache.catalina.connector.Response;
import org.apache.catalina.valves.ValveBase;

/**
 * Keeps the address of the TCP peer. With forwarded headers enabled, Tomcat's {@code RemoteIpValve} overwrites the remote address with
 * {@code X-Forwarded-For} for any peer in a private network, so such a client could spoof its address.
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
