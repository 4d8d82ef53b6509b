package io.aitbc.resilience;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.IntFunction;

/** One of the processes of a cluster, that can be ended, paused, and started anew. Used by one thread. */
final class ManagedProcess {
    private static final Duration END_TIMEOUT = Duration.ofSeconds(90);

    private final String name;
    private final IntFunction<ProcessHandle> starter;
    private int starts;
    private ProcessHandle process;

    /** @param starter starts it, told how often it was started before */
    ManagedProcess(String name, IntFunction<ProcessHandle> starter) {
        this.name = name;
        this.starter = starter;
        start();
    }

    String name() {
        return name;
    }

    ProcessHandle process() {
        return process;
    }

    void start() {
        process = starter.apply(starts++);
    }

    boolean isAlive() {
        return process.isAlive();
    }

    /** As by {@code kill -9}. */
    void kill() {
        process.destroyForcibly();
        awaitEnd();
    }

    /** As by an operator, or by whatever runs it. */
    void terminate() {
        process.destroy();
        awaitEnd();
    }

    void pause() {
        signal("STOP");
    }

    void resume() {
        signal("CONT");
    }

    /** Whatever state it is in. */
    void end() {
        if (isAlive()) {
            resume();
            kill();
        }
    }

    private void awaitEnd() {
        try {
            process.onExit().get(END_TIMEOUT.toSeconds(), TimeUnit.SECONDS);
        } catch (TimeoutException e) {
            throw new IllegalStateException(name + " does not end", e);
        } catch (InterruptedException | ExecutionException e) {
            throw new IllegalStateException(e);
        }
    }

    private void signal(String signal) {
        try {
            new ProcessBuilder("kill", "-" + signal, "" + process.pid())
                    .inheritIO()
                    .start()
                    .waitFor();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }
}
