package io.aitbc.benchmarks;

import io.aitbc.contracts.Json;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.stream.Stream;
import tools.jackson.databind.JsonNode;

/** A process with a role in a benchmark. It is told what to do in lines, and answers each with a line of JSON. */
final class Player implements AutoCloseable {
    /** Other lines are what libraries have to say. */
    private static final String ANSWER = "> ";

    private final String role;
    private final Process process;
    private final BufferedReader answers;
    private final Writer orders;

    Player(String role, Object... arguments) {
        this.role = role;
        try {
            List<String> all = Stream.concat(
                            Stream.of("role:" + role), Arrays.stream(arguments).map(String::valueOf))
                    .toList();
            process = Cluster.javaBuilder(all.toArray(String[]::new))
                    .redirectError(ProcessBuilder.Redirect.INHERIT)
                    .start();
            answers = process.inputReader();
            orders = process.outputWriter();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** What a player does with the lines that it is given, until there are no more. */
    static void listen(Function<List<String>, Object> play) throws IOException {
        BufferedReader orders = new BufferedReader(new InputStreamReader(System.in));
        for (String line = orders.readLine(); line != null; line = orders.readLine()) {
            System.out.println(ANSWER + Json.text(play.apply(List.of(line.split(" ")))));
        }
    }

    JsonNode ask(Object... order) {
        try {
            orders.write(
                    String.join(" ", Arrays.stream(order).map(String::valueOf).toList()) + "\n");
            orders.flush();
            for (String line = answers.readLine(); line != null; line = answers.readLine()) {
                if (line.startsWith(ANSWER)) {
                    return Json.MAPPER.readTree(line.substring(ANSWER.length()));
                }
                System.err.println(role + ": " + line);
            }
            throw new IllegalStateException(role + " has ended");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    Duration cpu() {
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
