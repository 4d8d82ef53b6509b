package io.aitbc.benchmarks.load;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A run of wrk, which repeats one request as fast as possible. */
public final class Wrk {
    private static final Pattern RATE = Pattern.compile("Requests/sec: +([0-9.]+)");
    private static final Pattern COUNT = Pattern.compile("([0-9]+) requests in");
    private static final Pattern P99 = Pattern.compile("99% +([0-9.]+)(us|ms|s)");
    private static final Map<String, Double> IN_MS = Map.of("us", 0.001, "ms", 1.0, "s", 1_000.0);

    private final String output;

    private Wrk(String output) {
        this.output = output;
    }

    /**
     * @param folder for the script
     * @param headers of the request
     * @param body empty for none
     */
    public static Wrk run(
            Path folder,
            String method,
            String url,
            Map<String, String> headers,
            String body,
            int connections,
            int seconds) {
        StringBuilder script = new StringBuilder("wrk.method = \"" + method + "\"\n");
        headers.forEach((name, value) -> script.append("wrk.headers[\"" + name + "\"] = \"" + value + "\"\n"));
        if (!body.isEmpty()) {
            script.append("wrk.body = '" + body + "'\n");
        }
        try {
            Process wrk = new ProcessBuilder(
                            "wrk",
                            "-t1",
                            "-c" + connections,
                            "-d" + seconds + "s",
                            "--latency",
                            "-s",
                            Files.writeString(folder.resolve("wrk.lua"), script).toString(),
                            url)
                    .redirectError(ProcessBuilder.Redirect.INHERIT)
                    .start();
            return new Wrk(new String(wrk.getInputStream().readAllBytes(), StandardCharsets.UTF_8));
        } catch (IOException e) {
            throw new UncheckedIOException("wrk is needed: on Debian, apt-get install wrk", e);
        }
    }

    public double requestsPerSecond() {
        return Double.parseDouble(find(RATE).group(1));
    }

    public long requests() {
        return Long.parseLong(find(COUNT).group(1));
    }

    public double p99Ms() {
        Matcher latency = find(P99);
        return Double.parseDouble(latency.group(1)) * IN_MS.get(latency.group(2));
    }

    /** Whether a response was not 2xx. */
    public boolean hasFailures() {
        return output.contains("Non-2xx");
    }

    private Matcher find(Pattern pattern) {
        Matcher matcher = pattern.matcher(output);
        if (!matcher.find()) {
            throw new IllegalStateException("unexpected output of wrk: " + output);
        }
        return matcher;
    }
}
