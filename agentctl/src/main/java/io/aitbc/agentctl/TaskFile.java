package io.aitbc.agentctl;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A file of tasks, one per line, read in batches that fit a coordinator's default limits. */
final class TaskFile implements AutoCloseable {
    static final int MAX_TASKS = 1_000;
    private static final int MAX_BYTES = 1_000_000;
    private static final long UNKNOWN = -1;

    private final BufferedReader reader;
    private final long count;
    private int number;
    /** The line that did not fit into the previous batch. */
    private @Nullable Line next;

    /** @param number line number from 1, for messages */
    record Line(int number, String text) {
        int bytes() {
            return text.getBytes(StandardCharsets.UTF_8).length + 1;
        }
    }

    private TaskFile(BufferedReader reader, long count) {
        this.reader = reader;
        this.count = count;
    }

    static TaskFile of(Path file) throws IOException {
        long count = 0;
        try (TaskFile lines = new TaskFile(reader(file), UNKNOWN)) {
            while (lines.nextLine() != null) {
                count++;
            }
        }
        return new TaskFile(reader(file), count);
    }

    static TaskFile of(BufferedReader reader) {
        return new TaskFile(reader, UNKNOWN);
    }

    /** Returns the number of tasks; negative if unknown until they are read. */
    long count() {
        return count;
    }

    /** Returns the next batch; empty at the end of the file. */
    List<Line> nextBatch() throws IOException {
        List<Line> batch = new ArrayList<>();
        int bytes = 0;
        Line line = next == null ? nextLine() : next;
        next = null;
        while (line != null) {
            bytes += line.bytes();
            if (!batch.isEmpty() && bytes > MAX_BYTES) {
                next = line;
                return batch;
            }
            batch.add(line);
            if (batch.size() == MAX_TASKS) {
                return batch;
            }
            line = nextLine();
        }
        return batch;
    }

    @Override
    public void close() throws IOException {
        reader.close();
    }

    private @Nullable Line nextLine() throws IOException {
        String text = reader.readLine();
        number++;
        while (text != null && text.isBlank()) {
            text = reader.readLine();
            number++;
        }
        return text == null ? null : new Line(number, text);
    }

    private static BufferedReader reader(Path file) throws IOException {
        return new BufferedReader(new InputStreamReader(Files.newInputStream(file), StandardCharsets.UTF_8));
    }
}
