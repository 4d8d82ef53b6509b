package io.aitbc.coordinator.api;

import java.io.IOException;
import java.time.Duration;
import org.apache.coyote.Processor;
import org.apache.coyote.http11.Http11NioProtocol;
import org.apache.coyote.http11.Http11Processor;
import org.apache.tomcat.util.net.AbstractEndpoint.Handler.SocketState;
import org.apache.tomcat.util.net.SocketWrapperBase;
import org.jspecify.annotations.Nullable;

/**
 * HTTP/1.1 with a time limit for the headers of a request as a whole. The server's own limit is for each read: a client that sends a byte now
 * and then could hold a connection for hours.
 */
public final class HeaderDeadline extends Http11NioProtocol {
    private static final long LIMIT_NANOS = Duration.ofSeconds(15).toNanos();

    @Override
    protected Processor createProcessor() {
        return new Http11Processor(this, getAdapter()) {
            /** The connection whose headers are incomplete; null if there is none. */
            private @Nullable SocketWrapperBase<?> waiting;

            private long since;

            @Override
            public SocketState service(SocketWrapperBase<?> connection) throws IOException {
                SocketState state = super.service(connection);
                if (state != SocketState.LONG || isAsync()) {
                    waiting = null;
                } else if (waiting != connection) {
                    waiting = connection;
                    since = System.nanoTime();
                } else if (System.nanoTime() - since > LIMIT_NANOS) {
                    return SocketState.CLOSED;
                }
                return state;
            }
        };
    }
}
