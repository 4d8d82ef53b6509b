package io.aitbc.resilience;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.stream.Stream;

/** A client's log of events. Each line is written to the operating system immediately, so a killed client loses none. */
final class Ledger implements AutoCloseable {
    /** Event types. */
    enum EventType {
        /** A producer is about to submit a task. */
        SENT,
        /** The submission was accepted. */
        ACKED,
        /** An agent has started an attempt. */
        STARTED,
        /** An agent has finished an attempt. */
        FINISHED
    }

    /**
     * One line.
     *
     * @param at in epoch ms
     * @param attempt 0 for a producer
     * @param by the agent id, or the submission channel
     * @param process name of the ledger file, one per process
     */
    record Line(long at, EventType what, String taskId, int attempt, String by, String process) {
        private static Line parse(String text, String process) {
            String[] parts = text.split("\t");
            return new Line(
                    Long.parseLong(parts[0]),
                    EventType.valueOf(parts[1]),
                    parts[2],
                    Integer.parseInt(parts[3]),
                    parts[4],
                    process);
        }
    }

    private final FileChannel file;

    Ledger(Path path) {
        try {
            file = FileChannel.open(path, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    synchronized void write(EventType what, String taskId, int attempt, String by) {
        String line = System.currentTimeMillis() + "\t" + what + "\t" + taskId + "\t" + attempt + "\t" + by + "\n";
        try {
            file.write(ByteBuffer.wrap(line.getBytes(StandardCharsets.UTF_8)));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Returns all lines written so far to the ledgers in a folder. */
    static List<Line> readAll(Path folder) {
        try (Stream<Path> files = Files.list(folder)) {
            return files.flatMap(file -> read(file).stream()).toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static List<Line> read(Path file) {
        try {
            String text = Files.readString(file);
            // The last line may be incomplete.
            return text.substring(0, text.lastIndexOf('\n') + 1)
                    .lines()
                    .map(line -> Line.parse(line, file.getFileName().toString()))
                    .toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void close() {
        try {
            file.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
