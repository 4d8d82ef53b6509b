package io.aitbc.localstack;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.IntFunction;

/** A process that can be stopped, paused, and restarted. Not thread-safe. */
public final class ManagedProcess {
    private static final Duration END_TIMEOUT = Duration.ofSeconds(90);

    private final String name;
    private final IntFunction<ProcessHandle> starter;
    private int starts;
    private ProcessHandle process;

    /** @param starter starts the process; its argument is the number of previous starts */
    public ManagedProcess(String name, IntFunction<ProcessHandle> starter) {
        this.name = name;
        this.starter = starter;
        this.process = starter.apply(starts++);
    }

    public String name() {
        return name;
    }

    public ProcessHandle process() {
        return process;
    }

    /** Starts the process again. */
    public void start() {
        process = starter.apply(starts++);
    }

    public boolean isAlive() {
        return process.isAlive();
    }

    /** Processor time used since the latest start. */
    public Duration cpu() {
        return process.info().totalCpuDuration().orElseThrow();
    }

    /** Sends SIGKILL and waits for the exit. */
    public void kill() {
        process.destroyForcibly();
        awaitEnd();
    }

    /** Sends SIGTERM and waits for the exit. */
    public void terminate() {
        process.destroy();
        awaitEnd();
    }

    public void pause() {
        signal("STOP");
    }

    public void resume() {
        signal("CONT");
    }

    /** Kills the process if it is alive, even if paused. */
    public void end() {
        if (isAlive()) {
            resume();
            kill();
        }
    }

    private void awaitEnd() {
        try {
            process.onExit().get(END_TIMEOUT.toSeconds(), TimeUnit.SECONDS);
        } catch (TimeoutException e) {
            throw new IllegalStateException(name + " did not exit in time", e);
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
