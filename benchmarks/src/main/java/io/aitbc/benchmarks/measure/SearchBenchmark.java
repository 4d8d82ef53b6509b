package io.aitbc.benchmarks.measure;

import io.aitbc.benchmarks.cluster.Cluster;
import io.aitbc.benchmarks.report.Report;
import io.aitbc.contracts.Json;
import io.aitbc.localstack.LocalPostgres;
import io.aitbc.localstack.LocalStack;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.function.Function;
import org.HdrHistogram.Histogram;
import org.springframework.util.FileSystemUtils;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import tools.jackson.databind.JsonNode;

/** How long searches take over REST, with millions of tasks in PostgreSQL. */
@Command(name = "search", description = "Latency of searches in a history of millions of tasks, over REST.")
public final class SearchBenchmark extends Benchmark {
    private static final int DAYS = 30;
    private static final int AGENTS = 200;
    private static final int CUSTOMERS = 100_000;
    private static final List<String> ERRORS = List.of(
            "connection refused by upstream",
            "request timed out after 30 s",
            "out of memory on device",
            "disk full",
            "model not found",
            "invalid input image",
            "rate limit exceeded",
            "permission denied",
            "unexpected end of stream",
            "worker was restarted");

    @Option(names = "--tasks", defaultValue = "5000000", description = "Tasks in the history, spread over 30 days")
    private int tasks;

    @Option(names = "--times", defaultValue = "300", description = "Searches of each kind, each with another value")
    private int times;

    @Override
    List<Report> measure() {
        Path folder = folder();
        LocalPostgres postgres = LocalPostgres.start(folder, LocalStack.freePort());
        try (postgres;
                Cluster cluster = new Cluster("--aitbc.history.url=" + postgres.url());
                Connection connection = DriverManager.getConnection("jdbc:" + postgres.url());
                Statement sql = connection.createStatement()) {
            awaitTables(sql);
            Instant started = Instant.now();
            fill(sql);
            System.out.printf(
                    Locale.ROOT,
                    "  %d tasks written in %d s, %d bytes a task with attempts and indexes%n",
                    tasks,
                    Duration.between(started, Instant.now()).toSeconds(),
                    bytes(sql) / tasks);
            return List.of(search(cluster));
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        } finally {
            FileSystemUtils.deleteRecursively(folder.toFile());
        }
    }

    private static Path folder() {
        try {
            return Files.createTempDirectory("search");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The coordinator creates them. */
    private static void awaitTables(Statement sql) throws SQLException {
        Instant until = Instant.now().plusSeconds(60);
        while (number(sql, "SELECT count(*) FROM pg_proc WHERE proname = 'roll_up_figures'") == 0) {
            if (Instant.now().isAfter(until)) {
                throw new IllegalStateException("the coordinator has created no tables");
            }
            pause();
        }
    }

    private static void pause() {
        try {
            Thread.sleep(100);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    /** As the coordinator writes them: 3 % have failed; agents, customers and types are spread evenly. */
    private void fill(Statement sql) throws SQLException {
        sql.execute("SET synchronous_commit = off");
        LocalDate today = LocalDate.now(ZoneOffset.UTC);
        int perDay = tasks / DAYS;
        String errors = String.join(
                ",",
                ERRORS.stream().map(error -> "'\"" + error + " in request '").toList());
        for (int day = 0; day < DAYS; day++) {
            LocalDate date = today.minusDays(day);
            // Today ends now.
            String step = (day == 0
                                            ? Duration.between(
                                                    date.atStartOfDay(ZoneOffset.UTC)
                                                            .toInstant(),
                                                    Instant.now())
                                            : Duration.ofDays(1))
                                    .toMillis()
                            / (double) perDay
                    + " * interval '1 ms'";
            long first = (long) day * perDay;
            sql.execute("SELECT add_history_day('" + date + "')");
            sql.execute(
                    "INSERT INTO tasks (day, task_id, sequence, status, attempt, agent_id, agents, assigned_at, finished_at, reason,"
                            + " error, error_text, result, submitted_at, priority, task_type, capabilities, labels, fairness_key, max_attempts, timeout_seconds,"
                            + " task_data, task_data_bytes)"
                            + " SELECT '" + date
                            + "', to_char(at, 'YYYYMMDDHH24MISSMS') || '-' || substr(md5(n::text), 1, 12), 190,"
                            + " CASE WHEN failed THEN 'failed' ELSE 'completed' END, 1, 'agent-' || n % " + AGENTS
                            + ", ARRAY['agent-' || n % "
                            + AGENTS
                            + "], at + interval '1 s', at + interval '3 s', CASE WHEN failed THEN 'failed' END,"
                            + " CASE WHEN failed THEN (ARRAY[" + errors + "])[1 + (n / 33) % " + ERRORS.size()
                            + "] || n || '\"' END,"
                            + " CASE WHEN failed THEN translate((ARRAY[" + errors + "])[1 + (n / 33) % " + ERRORS.size()
                            + "] || n, '\".:/', '    ') END,"
                            + " CASE WHEN NOT failed THEN '{\"width\":640,\"height\":480,\"url\":\"s3://results/' || n || '\"}' END,"
                            + " at, 'normal', 'type-' || n % 20, ARRAY['capability-' || n % 20],"
                            + " ARRAY['team=team-' || n % 50, 'customer=customer-' || (n * 7919) % " + CUSTOMERS
                            + "], 'tenant-' || n % 500, 3, 600,"
                            + " '{\"task_type\":\"type-' || n % 20 || '\",\"image\":\"s3://inputs/' || md5(n::text) || '\",\"width\":640}', 90"
                            + " FROM (SELECT n::bigint AS n, n % 33 = 0 AS failed, '" + date
                            + "'::timestamp AT TIME ZONE 'UTC' + (n - " + first + ") * "
                            + step + " AS at FROM generate_series(" + first + ", " + (first + perDay - 1)
                            + ") n) AS numbers");
            sql.execute(
                    // In the order in which the coordinator locks them when it adds a day.
                    "BEGIN; LOCK TABLE tasks IN ACCESS SHARE MODE; INSERT INTO attempts (day, task_id, attempt, sequence, agent_id, outcome, assigned_at, started_at, finished_at, error)"
                            + " SELECT day, task_id, 1, sequence, agent_id, status, assigned_at, assigned_at, finished_at, error FROM tasks WHERE day = '"
                            + date + "'; COMMIT");
        }
        sql.execute("VACUUM ANALYZE");
        sql.execute("CHECKPOINT");
        Instant started = Instant.now();
        // The coordinator has computed those of days that were empty at that time.
        sql.execute("DELETE FROM figure_days");
        sql.execute("DELETE FROM figure_hours");
        for (int day = 1; day < DAYS; day++) {
            sql.execute("SELECT roll_up_figures('" + today.minusDays(day) + "')");
        }
        System.out.printf(
                Locale.ROOT,
                "  figures of %d days computed in %d s%n",
                DAYS - 1,
                Duration.between(started, Instant.now()).toSeconds());
    }

    private static long bytes(Statement sql) throws SQLException {
        return number(
                sql,
                "SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits WHERE inhparent IN ('tasks'::regclass, 'attempts'::regclass)");
    }

    private static long number(Statement sql, String query) throws SQLException {
        try (ResultSet result = sql.executeQuery(query)) {
            result.next();
            return result.getLong(1);
        }
    }

    private Report search(Cluster cluster) {
        Instant now = Instant.now();
        Map<String, Function<Random, String>> kinds = new LinkedHashMap<>();
        kinds.put("a rare label (50 tasks)", random -> "label.customer=customer-" + random.nextInt(CUSTOMERS));
        kinds.put(
                "words of an error (a tenth of all failures)",
                random -> "error=" + encoded(ERRORS.get(random.nextInt(ERRORS.size()))));
        kinds.put("the number in an error (1 task)", random -> "error=" + 33L * random.nextInt(tasks / 33));
        kinds.put("the oldest failed", random -> "status=failed&sort=finished_at&limit=" + (20 + random.nextInt(100)));
        kinds.put(
                "an agent's last hour",
                random -> "agent_id=agent-" + random.nextInt(AGENTS) + "&submitted_after="
                        + now.minus(Duration.ofHours(1)));
        kinds.put("an agent's failures", random -> "agent_id=agent-" + random.nextInt(AGENTS) + "&status=failed");
        kinds.put("an id prefix (a minute)", random -> "id=" + minute(now, random));
        kinds.put("the newest", random -> "limit=" + (20 + random.nextInt(100)));
        kinds.put("a tenant's newest", random -> "fairness_key=tenant-" + random.nextInt(500));
        kinds.put("nothing", random -> "error=nothing" + random.nextInt());
        kinds.put("figures of an hour", random -> "/stats/tasks?last=1h");
        kinds.put("figures of 24 hours", random -> "/stats/tasks?last=24h");
        kinds.put("figures of 30 days by agent", random -> "/stats/tasks?group_by=agent_id&last=30d");
        kinds.put("figures of 30 days by error", random -> "/stats/tasks?group_by=error&last=30d");
        Report report =
                new Report("Search in " + tasks + " tasks, ms over REST", "what", "found", "p50", "p90", "p99", "max");
        HttpClient http = HttpClient.newHttpClient();
        kinds.forEach((kind, query) -> {
            Random random = new Random(1);
            Histogram histogram = new Histogram(3);
            List<Long> counts = new ArrayList<>();
            // The first ones compile the code.
            int runs = kind.startsWith("figures") ? times / 10 : times;
            for (int i = 0; i < runs / 10; i++) {
                run(http, cluster.restUrl(), query.apply(random));
            }
            for (int i = 0; i < runs; i++) {
                String asked = query.apply(random);
                long from = System.nanoTime();
                counts.add(run(http, cluster.restUrl(), asked));
                histogram.recordValue((System.nanoTime() - from) / 1_000);
            }
            counts.sort(null);
            report.row(
                    kind,
                    String.valueOf(counts.get(counts.size() / 2)),
                    ms(histogram.getValueAtPercentile(50)),
                    ms(histogram.getValueAtPercentile(90)),
                    ms(histogram.getValueAtPercentile(99)),
                    ms(histogram.getMaxValue()));
        });
        return report;
    }

    private static String minute(Instant now, Random random) {
        return now.minus(Duration.ofMinutes(random.nextInt((DAYS - 1) * 24 * 60)))
                .toString()
                .replaceAll("[^0-9]", "")
                .substring(0, 12);
    }

    private static String encoded(String text) {
        return URLEncoder.encode(text, StandardCharsets.UTF_8);
    }

    private static String ms(long micros) {
        return String.format(Locale.ROOT, "%.1f", micros / 1_000.0);
    }

    /** Returns how many were found. */
    private static long run(HttpClient http, String url, String query) {
        try {
            HttpResponse<String> response = http.send(
                    HttpRequest.newBuilder(URI.create(url + (query.startsWith("/") ? query : "/tasks?" + query)))
                            .build(),
                    HttpResponse.BodyHandlers.ofString());
            if (response.statusCode() != 200) {
                throw new IllegalStateException(query + ": " + response.body());
            }
            JsonNode answer = Json.MAPPER.readTree(response.body());
            return answer.path("count").asLong(answer.at("/all/count").asLong());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }
}
