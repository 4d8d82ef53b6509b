package example;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aitbc.worker.AgentWorker;
import java.io.OutputStream;
import java.io.PrintStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.slf4j.LoggerFactory;

/** A project that depends on agent-worker and a logging backend, and nothing else. */
class OwnAgentTest {
    @Test
    void theLoggingInterfaceIsThatOfToday() {
        String jar = LoggerFactory.class.getProtectionDomain().getCodeSource().getLocation().getPath();
        assertTrue(jar.contains("slf4j-api-2."), jar);
    }

    /** The address accepts connections but never answers, and the agent logs that it is waiting. */
    @Test
    void whatTheAgentLogsIsSeen() throws Exception {
        try (ServerSocket nobody = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            PrintStream before = System.err;
            Lines lines = new Lines("Agent java-1 is waiting for Kafka");
            System.setErr(new PrintStream(lines, true));
            try (AgentWorker worker = OwnAgent.start("127.0.0.1:" + nobody.getLocalPort())) {
                assertTrue(lines.seen.await(90, TimeUnit.SECONDS), lines.text.toString());
            } finally {
                System.setErr(before);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"ch.qos.logback.classic.Logger", "picocli.CommandLine", "kafka.server.KafkaConfig"})
    void nothingIsForcedOnItsUsers(String name) {
        assertThrows(ClassNotFoundException.class, () -> Class.forName(name));
    }

    private static final class Lines extends OutputStream {
        final CountDownLatch seen = new CountDownLatch(1);
        final StringBuffer text = new StringBuffer();
        private final String awaited;

        Lines(String awaited) {
            this.awaited = awaited;
        }

        @Override
        public void write(int b) {
            text.append((char) b);
            if (b == '\n' && text.indexOf(awaited) >= 0) {
                seen.countDown();
            }
        }
    }
}
