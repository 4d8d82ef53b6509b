package io.aitbc.coordinator.security;

import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.coordinator.RunningCoordinator;
import io.aitbc.localstack.LocalStack;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.api.io.TempDir;

/** What the actuator serves, and on which port. */
class ManagementPortTest {
    private static final String ADMIN_KEY = "admin-key-for-tests-of-32-characters-or-more";
    private static final HttpClient HTTP = HttpClient.newHttpClient();
    private static final List<String> HEALTH =
            List.of("/actuator/health", "/actuator/health/liveness", "/actuator/health/readiness");
    /** All endpoints that Spring Boot has, and other spellings. */
    private static final List<String> OTHERS = Stream.of(
                    "",
                    "/auditevents",
                    "/beans",
                    "/caches",
                    "/conditions",
                    "/configprops",
                    "/env",
                    "/env/user.home",
                    "/heapdump",
                    "/info",
                    "/loggers",
                    "/logfile",
                    "/mappings",
                    "/metrics",
                    "/metrics/jvm.memory.used",
                    "/sbom",
                    "/sbom/application",
                    "/scheduledtasks",
                    "/sessions",
                    "/shutdown",
                    "/startup",
                    "/threaddump",
                    "/httpexchanges",
                    "/health/../env",
                    "/health/%2e%2e/env",
                    "/health;/../env",
                    "/%65nv",
                    "//env",
                    "/ENV",
                    "/health/none")
            .map(path -> "/actuator" + path)
            .toList();

    private static HttpResponse<String> get(int port, String path, boolean asAdmin)
            throws IOException, InterruptedException {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + path));
        return HTTP.send(
                (asAdmin ? request.header("X-API-Key", ADMIN_KEY) : request).build(),
                HttpResponse.BodyHandlers.ofString());
    }

    @Test
    void healthAndMetricsAreServedOnAPortOfTheirOwn() throws Exception {
        try (RunningCoordinator coordinator = RunningCoordinator.start(
                LocalStack.shared(),
                "management.",
                13,
                "--aitbc.security=on",
                "--aitbc.admin.key=" + ADMIN_KEY,
                "--aitbc.coordinator.management-port=0",
                // As in the chart and the systemd unit.
                "--management.server.ssl.enabled=false")) {
            int main = coordinator.port();
            int management = coordinator.managementPort();
            for (int port : List.of(main, management)) {
                for (String path : HEALTH) {
                    HttpResponse<String> response = get(port, path, false);
                    assertThat(response.statusCode()).as(path).isEqualTo(200);
                    assertThat(response.body()).contains("\"UP\"").doesNotContain("components", "details");
                }
            }
            HttpResponse<String> metrics = get(management, "/actuator/prometheus", false);
            assertThat(metrics.statusCode()).isEqualTo(200);
            assertThat(metrics.body()).contains("coordinator_dead_letters_total", "jvm_memory_used_bytes");
            assertThat(metrics.headers().map())
                    .containsEntry("X-Content-Type-Options", List.of("nosniff"))
                    .containsEntry("Cache-Control", List.of("no-store"));
            assertNotServed(
                    main,
                    Stream.concat(OTHERS.stream(), Stream.of("/actuator/prometheus"))
                            .toList());
            List<String> notThere = new ArrayList<>(OTHERS);
            notThere.addAll(List.of(
                    "/",
                    "/tasks/status",
                    "/keys",
                    "/metrics",
                    "/health",
                    "/dashboard/",
                    "/dashboard/app.js",
                    "/actuator/../dashboard/app.js",
                    "/actuator/%2e%2e/dashboard/app.js",
                    "/webjars/uplot/dist/uPlot.min.css",
                    "/openapi.json",
                    "/v1"));
            assertNotServed(management, notThere);
            HttpResponse<String> unknown = get(management, "/nowhere", true);
            assertThat(unknown.headers().firstValue("Content-Type")).hasValue("application/problem+json");
            assertThat(unknown.body()).doesNotContain("Tomcat", "Whitelabel");
        }
    }

    /** Probes need no certificate of the authority. */
    @Test
    @EnabledIf(value = "io.aitbc.coordinator.security.Programs#hasOpenssl", disabledReason = "openssl is missing")
    void itIsServedWithoutTlsAlsoIfRestHasTls(@TempDir Path folder) throws Exception {
        Certificates.create(folder, "rest");
        Path certificate = folder.resolve("rest.pem");
        try (RunningCoordinator coordinator = RunningCoordinator.startUnhealthy(
                LocalStack.shared(),
                "management.",
                13,
                "--server.ssl.certificate=" + certificate,
                "--server.ssl.certificate-private-key=" + certificate,
                "--aitbc.coordinator.management-port=0",
                "--management.server.ssl.enabled=false")) {
            assertThat(get(coordinator.managementPort(), "/actuator/health/liveness", false)
                            .statusCode())
                    .isEqualTo(200);
            assertThat(get(coordinator.port(), "/health", false).body()).contains("requires TLS");
        }
    }

    @Test
    void withoutThatPortOnlyHealthIsServed() throws Exception {
        try (RunningCoordinator coordinator = RunningCoordinator.start(
                LocalStack.shared(), "management.", 13, "--aitbc.security=off", "--aitbc.admin.key=" + ADMIN_KEY)) {
            for (String path : HEALTH) {
                assertThat(get(coordinator.port(), path, false).statusCode()).isEqualTo(200);
            }
            assertNotServed(
                    coordinator.port(),
                    Stream.concat(OTHERS.stream(), Stream.of("/actuator/prometheus"))
                            .toList());
        }
    }

    private static void assertNotServed(int port, List<String> paths) throws Exception {
        for (String path : paths) {
            assertThat(get(port, path, true).statusCode()).as(path).isIn(400, 404);
            assertThat(get(port, path, false).statusCode()).as(path).isIn(400, 401, 404);
        }
    }
}
