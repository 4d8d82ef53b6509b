package io.aitbc.agentctl.conformance;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.Charset;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** The process that a command has started, with the end of its output. Thread-safe. */
final class AgentProcess implements AutoCloseable {
    private static final int MAX_LINES = 5;
    private static final int MAX_LINE_LENGTH = 200;
    /** Another process may keep its output open. */
    private static final Duration OUTPUT_TIMEOUT = Duration.ofSeconds(1);

    private final Process process;
    private final Deque<String> lastLines = new ArrayDeque<>();
    private final Thread reader = new Thread(this::read, "conformance-output");
    private volatile boolean stopped;

    private AgentProcess(Process process) {
        this.process = process;
        reader.setDaemon(true);
        reader.start();
    }

    static AgentProcess start(List<String> command, Map<String, String> environment) throws IOException {
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
        builder.environment().putAll(environment);
        return new AgentProcess(builder.start());
    }

    /** Also so that it does not wait for its output to be read. */
    private void read() {
        try (BufferedReader output = process.inputReader(Charset.defaultCharset())) {
            for (String line = output.readLine(); line != null; line = output.readLine()) {
                keep(line.strip());
            }
        } catch (IOException e) {
            // It was closed with its process.
        }
    }

    private void keep(String line) {
        if (line.isEmpty()) {
            return;
        }
        synchronized (lastLines) {
            lastLines.add(line.length() <= MAX_LINE_LENGTH ? line : line.substring(0, MAX_LINE_LENGTH) + "…");
            if (lastLines.size() > MAX_LINES) {
                lastLines.remove();
            }
        }
    }

    /** Calls back once it has ended without having been stopped. */
    void onEnd(Runnable callback) {
        process.onExit().thenRun(() -> {
            if (!stopped) {
                callback.run();
            }
        });
    }

    /** How it has ended, as a clause; null while it runs, and if it was stopped. */
    @Nullable
    String ending() throws InterruptedException {
        if (stopped || process.isAlive()) {
            return null;
        }
        reader.join(OUTPUT_TIMEOUT.toMillis());
        synchronized (lastLines) {
            return "its process has ended with exit status " + process.exitValue() + ", and "
                    + (lastLines.isEmpty() ? "printed nothing" : "printed last: " + String.join(" | ", lastLines));
        }
    }

    /** Sends SIGTERM, and waits until it has ended; false if that takes too long. */
    boolean stop(Duration timeout) throws InterruptedException {
        stopped = true;
        process.destroy();
        return process.waitFor(timeout.toMillis(), TimeUnit.MILLISECONDS);
    }

    @Override
    public void close() {
        stopped = true;
        process.destroyForcibly();
    }
}
