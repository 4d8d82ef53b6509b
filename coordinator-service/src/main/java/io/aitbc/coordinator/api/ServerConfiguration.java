package io.aitbc.coordinator.api;

import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import org.apache.catalina.connector.Request;
import org.apache.catalina.connector.Response;
import org.apache.catalina.core.StandardHost;
import org.apache.catalina.valves.ValveBase;
import org.springframework.boot.actuate.autoconfigure.web.ManagementContextConfiguration;
import org.springframework.boot.actuate.autoconfigure.web.ManagementContextType;
import org.springframework.boot.tomcat.servlet.TomcatServletWebServerFactory;
import org.springframework.boot.web.server.WebServerFactoryCustomizer;
import org.springframework.context.ApplicationContext;
import org.springframework.context.annotation.Bean;

/** The server, and the one of the management port, which reads this class from {@code META-INF/spring}. */
@ManagementContextConfiguration(value = ManagementContextType.CHILD, proxyBeanMethods = false)
class ServerConfiguration {
    /** @param spring whose context is a child for the management port */
    @Bean
    WebServerFactoryCustomizer<TomcatServletWebServerFactory> server(ApplicationContext spring) {
        return factory -> {
            factory.setProtocol(HeaderDeadline.class.getName());
            factory.addContextCustomizers(context ->
                    ((StandardHost) context.getParent()).setErrorReportValveClass(ProblemValve.class.getName()));
            factory.addContextValves(new UnreadBodyValve());
            // Behind the one that reads forwarded headers, which say whether the client uses TLS.
            factory.addEngineValves(new ResponseHeadersValve());
            if (spring.getParent() != null) {
                factory.addContextValves(new ActuatorOnlyValve());
            }
        };
    }

    /** Spring also serves the files of the dashboard there. */
    private static final class ActuatorOnlyValve extends ValveBase {
        ActuatorOnlyValve() {
            super(true);
        }

        @Override
        public void invoke(Request request, Response response) throws IOException, ServletException {
            if (request.getDecodedRequestURI().startsWith("/actuator/")) {
                getNext().invoke(request, response);
            } else {
                response.sendError(HttpServletResponse.SC_NOT_FOUND);
            }
        }
    }
}
