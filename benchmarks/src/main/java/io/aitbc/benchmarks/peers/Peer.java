package io.aitbc.benchmarks.peers;

import io.aitbc.benchmarks.cluster.Cluster;
import io.aitbc.localstack.LocalRedis;
import io.aitbc.localstack.LocalStack;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.BiFunction;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.springframework.util.FileSystemUtils;

/** An alternative to the coordinator, with its server and agents. */
public abstract class Peer implements AutoCloseable {
    static final String HOST = "127.0.0.1";

    private static final Duration START_TIMEOUT = Duration.ofMinutes(1);

    private final List<AutoCloseable> parts = new ArrayList<>();

    /** Starts the server and its clients. After a failure, {@link #close} ends what was started. */
    public abstract void start();

    /** Tasks per second, from the first submission to the last completion. */
    public abstract double flood(int tasks);

    /** Ends all parts in reverse order, even if some fail. */
    @Override
    public final void close() {
        for (int i = parts.size() - 1; i >= 0; i--) {
            try {
                parts.get(i).close();
            } catch (Exception e) {
                System.err.println("Part of a peer did not end cleanly: " + e);
            }
        }
    }

    /** Adds a part that ends with this peer. */
    final <T extends AutoCloseable> T add(T part) {
        parts.add(part);
        return part;
    }

    /** Creates a folder with client programs of ours; it is deleted at the end. */
    final Path addFolder(String... programs) {
        try {
            Path folder = Files.createTempDirectory("peer");
            add(() -> FileSystemUtils.deleteRecursively(folder));
            for (String program : programs) {
                try (InputStream in = Peer.class.getResourceAsStream("/peers/" + program)) {
                    Files.copy(in, folder.resolve(program));
                }
            }
            return folder;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Starts a background process without output; it ends with this peer, and so do its descendants. */
    final Process addProcess(ProcessBuilder builder) {
        Process process = launch(
                builder.redirectOutput(ProcessBuilder.Redirect.DISCARD).redirectError(ProcessBuilder.Redirect.DISCARD));
        add(() -> end(process));
        return process;
    }

    /** Starts a process that also ends if this one is interrupted. */
    private static Process launch(ProcessBuilder builder) {
        try {
            Process process = builder.start();
            Runtime.getRuntime().addShutdownHook(new Thread(process::destroy));
            return process;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /**
     * Starts a server on a free port, and waits until it accepts connections.
     *
     * @param command by a folder for its data and its port
     * @return the port
     */
    final int addServer(BiFunction<Path, Integer, ProcessBuilder> command) {
        int port = LocalStack.freePort();
        Process process = addProcess(command.apply(addFolder(), port));
        awaitServer(port, process::isAlive);
        return port;
    }

    /** Waits until a port accepts connections. */
    static void awaitServer(int port, BooleanSupplier alive) {
        Cluster.await("a server", START_TIMEOUT, () -> {
            if (!alive.getAsBoolean()) {
                throw new IllegalStateException("the server has ended");
            }
            return accepts(port);
        });
    }

    private static boolean accepts(int port) {
        try {
            new Socket(InetAddress.getLoopbackAddress(), port).close();
            return true;
        } catch (IOException e) {
            return false;
        }
    }

    /** Starts a Redis with the settings of the coordinator's, and returns its port. */
    final int addRedis() {
        int port = LocalStack.freePort();
        add(LocalRedis.startInstalled(addFolder(), port));
        return port;
    }

    private static void end(Process process) throws InterruptedException {
        List<ProcessHandle> all = new ArrayList<>(process.descendants().toList());
        process.destroy();
        process.waitFor(20, TimeUnit.SECONDS);
        all.forEach(ProcessHandle::destroy);
    }

    /** Finds a program on the path, or else in the other folders. */
    static String program(String name, Stream<Path> folders) {
        Stream<Path> path = Arrays.stream(System.getenv("PATH").split(File.pathSeparator, -1))
                .map(Path::of);
        return Stream.concat(path, folders)
                .map(folder -> folder.resolve(name))
                .filter(Files::isExecutable)
                .findFirst()
                .orElseThrow(() -> new IllegalStateException(name + " is not installed"))
                .toString();
    }

    /** Runs a command and returns its output. */
    static String run(ProcessBuilder builder) {
        try {
            Process process = launch(builder.redirectError(ProcessBuilder.Redirect.INHERIT));
            String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            if (process.waitFor() != 0) {
                throw new IllegalStateException(String.join(" ", builder.command()) + " failed");
            }
            return said;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }
}
