package io.aitbc.coordinator.api;

import jakarta.servlet.ServletException;
import java.io.IOException;
import java.util.Map;
import org.apache.catalina.connector.Request;
import org.apache.catalina.connector.Response;
import org.apache.catalina.valves.ValveBase;

/**
 * Sets the headers that tell browsers to be strict. A valve also sees the requests that the server answers before any filter. Handlers may
 * replace a header, as those of static files do with {@code Cache-Control}.
 */
final class ResponseHeadersValve extends ValveBase {
    private static final String POLICY = "Content-Security-Policy";
    /** Pages load only what this coordinator serves. */
    private static final String OWN =
            "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

    private static final String SWAGGER_UI = "/swagger-ui/";

    private static final Map<String, String> HEADERS = Map.of(
            POLICY,
            OWN,
            "X-Content-Type-Options",
            "nosniff",
            "X-Frame-Options",
            "DENY",
            "Referrer-Policy",
            "same-origin",
            "Cache-Control",
            "no-store");

    private static final String HSTS = "max-age=31536000";

    ResponseHeadersValve() {
        super(true);
    }

    @Override
    public void invoke(Request request, Response response) throws IOException, ServletException {
        HEADERS.forEach(response::setHeader);
        // It is null if the request line is malformed.
        if (String.valueOf(request.getRequestURI()).startsWith(SWAGGER_UI)) {
            // It writes styles into its elements.
            response.setHeader(POLICY, OWN + "; style-src 'self' 'unsafe-inline'");
        }
        if (request.isSecure()) {
            response.setHeader("Strict-Transport-Security", HSTS);
        }
        getNext().invoke(request, response);
    }
}
