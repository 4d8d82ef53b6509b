package io.aitbc.coordinator.security;

import jakarta.servlet.http.HttpServletRequest;
import org.springframework.boot.web.server.context.WebServerApplicationContext;
import org.springframework.web.context.support.WebApplicationContextUtils;

/** The port of health and metrics, which needs no credential: the network decides who reaches it. */
final class ManagementPort {
    private ManagementPort() {}

    static boolean isFor(HttpServletRequest request) {
        return WebServerApplicationContext.hasServerNamespace(
                WebApplicationContextUtils.getWebApplicationContext(request.getServletContext()), "management");
    }
}
