package io.aitbc.benchmarks.cluster;

import io.aitbc.contracts.Json;
import io.aitbc.localstack.JavaProcess;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import tools.jackson.databind.JsonNode;

/** A process with a role in a benchmark. It reads commands line by line, and answers each with a line of JSON. */
public final class ChildProcess implements AutoCloseable {
    /** Prefix of answers; other lines are output of libraries. */
    private static final String ANSWER = "> ";

    private static final String END = "";
    private static final int MAX_SHOWN = 300;

    private final String name;
    private final Process process;
    private final BlockingQueue<String> answers = new LinkedBlockingQueue<>();
    private final Writer orders;

    /** @param main answers commands with {@link #listen} */
    public ChildProcess(Class<?> main, Object... arguments) {
        name = main.getSimpleName();
        try {
            List<String> all = Arrays.stream(arguments).map(String::valueOf).toList();
            process = JavaProcess.of(main, Cluster.CLIENT, all)
                    .redirectError(ProcessBuilder.Redirect.INHERIT)
                    .start();
            orders = process.outputWriter();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        Thread listening = new Thread(this::readAnswers, name);
        listening.setDaemon(true);
        listening.start();
    }

    /** Reads continuously: a process whose output is not read blocks once the pipe is full. */
    private void readAnswers() {
        try (BufferedReader said = process.inputReader()) {
            for (String line = said.readLine(); line != null; line = said.readLine()) {
                if (line.startsWith(ANSWER)) {
                    answers.add(line.substring(ANSWER.length()));
                } else {
                    System.err.println(name + ": " + line.substring(0, Math.min(MAX_SHOWN, line.length())));
                }
            }
        } catch (IOException e) {
            System.err.println(name + " can no longer be read: " + e);
        }
        answers.add(END);
    }

    /** Runs the child's side: answers each command on standard input until it ends. */
    public static void listen(Function<List<String>, Object> play) throws IOException {
        BufferedReader orders = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = orders.readLine(); line != null; line = orders.readLine()) {
            System.out.println(ANSWER + Json.text(play.apply(List.of(line.split(" ")))));
        }
    }

    public JsonNode ask(Object... order) {
        try {
            orders.write(
                    String.join(" ", Arrays.stream(order).map(String::valueOf).toList()) + "\n");
            orders.flush();
            String answer = answers.take();
            if (answer.equals(END)) {
                throw new IllegalStateException(name + " has ended");
            }
            return Json.MAPPER.readTree(answer);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    public Duration cpu() {
        return Cluster.cpu(process.toHandle());
    }

    @Override
    public void close() {
        try {
            orders.close();
            if (!process.waitFor(20, TimeUnit.SECONDS)) {
                process.destroyForcibly().waitFor();
            }
        } catch (IOException e) {
            process.destroyForcibly();
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }
}
