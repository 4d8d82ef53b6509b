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

/** A client's record of events, written as they happen. Each line is flushed to the operating system, so a killed client loses none. */
final class Ledger implements AutoCloseable {
    /** The kinds of events. */
    enum EventType {
        /** A producer is about to submit a task. */
        SENT,
        /** The submission was accepted. */
        ACKED,
        /** An agent has begun with an attempt. */
        STARTED,
        /** An agent has done it. */
        FINISHED
    }

    /**
     * One line.
     *
     * @param at in ms since 1970
     * @param attempt 0 from a producer
     * @param by the agent, or the way of submission
     * @param process whose ledger it is
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

    /** All that clients have written so far into the ledgers of a folder. */
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
            // The last line may still be on its way.
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
