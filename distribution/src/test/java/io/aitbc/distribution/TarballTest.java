package io.aitbc.distribution;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.localstack.LocalStack;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The tarball is unpacked, and its programs run as the systemd unit runs them. */
class TarballTest {
    private static final Duration LONG = Duration.ofSeconds(150);
    private static final Pattern SETTING = Pattern.compile("(?m)^#?([A-Z_]+)=(.*)$");
    private static final Pattern PROGRAM = Pattern.compile("(?m)^Exec\\w+=/opt/agent-coordinator/(\\S+)");

    /** Of a link to a file, without its anchor. */
    private static final Pattern LINK = Pattern.compile("\\]\\((?!https?:)([^)#\\s]+)[^)]*\\)");

    @TempDir
    private Path folder;

    private Path home;

    @BeforeEach
    void unpack() throws IOException, InterruptedException {
        try (Stream<Path> built = Files.list(Path.of("target"))) {
            Path tarball = built.filter(file -> file.toString().endsWith("-bin.tar.gz"))
                    .findFirst()
                    .orElseThrow();
            assertThat(run(Map.of(), "tar", "-xzf", tarball.toAbsolutePath().toString()))
                    .isZero();
        }
        try (Stream<Path> unpacked = Files.list(folder)) {
            home = unpacked.filter(Files::isDirectory).findFirst().orElseThrow();
        }
    }

    @Test
    void itRunsUntilItIsStopped() throws Exception {
        int port = LocalStack.freePort();
        try (LocalStack stack = LocalStack.start()) {
            Map<String, String> environment = Map.of(
                    "AITBC_KAFKA_BOOTSTRAP_SERVERS",
                    stack.bootstrapServers(),
                    "AITBC_REDIS_URL",
                    stack.redisUrl(),
                    "AITBC_COORDINATOR_PORT",
                    "" + port,
                    "SERVER_ADDRESS",
                    "127.0.0.1",
                    "AITBC_COORDINATOR_MANAGEMENT_PORT",
                    "" + LocalStack.freePort(),
                    "MANAGEMENT_SERVER_ADDRESS",
                    "127.0.0.2",
                    "JAVA_HOME",
                    System.getProperty("java.home"),
                    "JAVA_OPTS",
                    "-Xmx256m -XX:TieredStopAtLevel=1");
            // Linked, as in /usr/local/bin.
            Path linked = Files.createSymbolicLink(folder.resolve("agent-coordinator"), program("agent-coordinator"));
            Process coordinator = start(environment, linked.toString());
            try {
                assertThat(run(environment, linked.toString(), "ready")).isZero();
                await().atMost(LONG).until(() -> health(port) == 200);
                assertThat(run(environment, program("agentctl").toString(), "--url=http://127.0.0.1:" + port, "agents"))
                        .isZero();

                coordinator.destroy();

                assertThat(coordinator.waitFor(60, TimeUnit.SECONDS)).isTrue();
                // The unit counts it as a success.
                assertThat(coordinator.exitValue()).isEqualTo(143);
            } finally {
                coordinator.destroyForcibly();
            }
        }
    }

    @Test
    void theUnitNamesWhatIsThere() throws IOException {
        String unit = Files.readString(home.resolve("systemd/agent-coordinator.service"));

        List<String> programs =
                PROGRAM.matcher(unit).results().map(found -> found.group(1)).toList();
        assertThat(programs)
                .hasSize(2)
                .allSatisfy(name -> assertThat(home.resolve(name)).isExecutable());
        assertThat(unit).contains("SuccessExitStatus=143");
        assertThat(home.resolve("docs/operations.md")).exists();
    }

    @Test
    void itsPagesLinkToWhatIsThere() throws IOException {
        List<String> dead = new ArrayList<>();
        try (Stream<Path> files = Files.walk(home)) {
            for (Path page :
                    files.filter(file -> file.toString().endsWith(".md")).toList()) {
                LINK.matcher(Files.readString(page))
                        .results()
                        .map(found -> found.group(1))
                        .filter(link -> !Files.exists(page.resolveSibling(link)))
                        .forEach(link -> dead.add(home.relativize(page) + ": " + link));
            }
        }
        assertThat(dead).isEmpty();
    }

    @Test
    void allSettingsExist() throws IOException {
        String documented = Files.readString(home.resolve("docs/configuration.md"));

        List<String> settings = SETTING.matcher(Files.readString(home.resolve("etc/env")))
                .results()
                .map((MatchResult found) -> found.group(1))
                .filter(name -> name.startsWith("AITBC_"))
                .toList();
        assertThat(settings)
                .contains("AITBC_REDIS_URL")
                .allSatisfy(name -> assertThat(documented).contains("`" + name + "`"));
    }

    /** The unit would otherwise wait for minutes. */
    @Test
    void readyFailsOnceTheCoordinatorHasEnded() throws Exception {
        Process ended = start(Map.of(), "true");
        assertThat(ended.waitFor(60, TimeUnit.SECONDS)).isTrue();

        assertThat(run(
                        Map.of("AITBC_COORDINATOR_PORT", "" + LocalStack.freePort(), "MAINPID", "" + ended.pid()),
                        program("agent-coordinator").toString(),
                        "ready"))
                .isEqualTo(1);
    }

    /** A stop of the unit while it starts. */
    @Test
    void readyMayBeStopped() throws Exception {
        try (ServerSocket coordinator = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            Process ready = start(
                    Map.of("AITBC_COORDINATOR_PORT", "" + coordinator.getLocalPort()),
                    program("agent-coordinator").toString(),
                    "ready");
            try (Socket asked = coordinator.accept()) {
                ready.destroy();
            }

            assertThat(ready.waitFor(60, TimeUnit.SECONDS)).isTrue();
            assertThat(ready.exitValue()).isZero();
        }
    }

    @Test
    void aWrongCommandIsRefused() throws Exception {
        assertThat(run(Map.of(), program("agent-coordinator").toString(), "stop"))
                .isEqualTo(2);
    }

    private Path program(String name) {
        return home.resolve("bin").resolve(name);
    }

    private static int health(int port) throws InterruptedException {
        try {
            return HttpClient.newHttpClient()
                    .send(
                            HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + "/health"))
                                    .build(),
                            HttpResponse.BodyHandlers.discarding())
                    .statusCode();
        } catch (IOException e) {
            return 0;
        }
    }

    private int run(Map<String, String> environment, String... command) throws IOException, InterruptedException {
        Process process = start(environment, command);
        assertThat(process.waitFor(LONG.toSeconds(), TimeUnit.SECONDS)).isTrue();
        return process.exitValue();
    }

    private Process start(Map<String, String> environment, String... command) throws IOException {
        ProcessBuilder builder = new ProcessBuilder(command).directory(folder.toFile());
        builder.environment().putAll(environment);
        return builder.redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.appendTo(
                        folder.resolve("output").toFile()))
                .start();
    }
}
