package io.aitbc.coordinator.trace;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.sun.net.httpserver.HttpServer;
import io.aitbc.contracts.Json;
import io.aitbc.coordinator.RunningCoordinator;
import io.aitbc.localstack.LocalStack;
import io.opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest;
import io.opentelemetry.proto.trace.v1.Span;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpRequest;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/** Spans received by a collector, and trace headers passed on without one. */
class TracesTest {
    private static final String CALLERS = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    private static final Instant STARTED = Instant.parse("2026-01-01T00:00:01Z");

    private static final List<Span> SPANS = new CopyOnWriteArrayList<>();
    private static HttpServer collector;

    @BeforeAll
    static void start() throws IOException {
        collector = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        collector.createContext("/v1/traces", exchange -> {
            ExportTraceServiceRequest.parseFrom(exchange.getRequestBody())
                    .getResourceSpansList()
                    .forEach(resource ->
                            resource.getScopeSpansList().forEach(scope -> SPANS.addAll(scope.getSpansList())));
            exchange.sendResponseHeaders(200, -1);
            exchange.close();
        });
        collector.start();
    }

    @AfterAll
    static void end() {
        collector.stop(0);
    }

    @Test
    void aTaskHasOneTraceFromItsSubmissionToItsEnd() {
        try (RunningCoordinator coordinator = RunningCoordinator.start(
                LocalStack.shared(),
                "traced.",
                8,
                "--otel.exporter.otlp.endpoint=http://127.0.0.1:"
                        + collector.getAddress().getPort())) {
            coordinator.register("traced-agent", 1, "traced");
            String id = submit(coordinator, "traced-1");
            ConsumerRecord<String, String> first =
                    coordinator.awaitRaw("assignments.traced-agent", 1).get(0);
            answer(coordinator, first, "failed");
            ConsumerRecord<String, String> second =
                    coordinator.awaitRaw("assignments.traced-agent", 2).get(1);
            answer(coordinator, second, "completed");
            coordinator.awaitTask(id, "completed");
        }

        await().atMost(Duration.ofSeconds(90)).until(() -> SPANS.size() >= 7);
        assertThat(SPANS).allSatisfy(span -> {
            assertThat(HexFormat.of().formatHex(span.getTraceId().toByteArray()))
                    .isEqualTo(CALLERS.substring(3, 35));
            assertThat(span.getAttributesList())
                    .anySatisfy(
                            one -> assertThat(one.getValue().getStringValue()).isEqualTo("traced-1"));
        });
        assertThat(SPANS.stream().collect(Collectors.groupingBy(Span::getName, Collectors.counting())))
                .isEqualTo(Map.of("submit", 1L, "assign", 2L, "execute", 2L, "settle", 2L));
        Span submitted = named("submit");
        assertThat(HexFormat.of().formatHex(submitted.getParentSpanId().toByteArray()))
                .isEqualTo(CALLERS.substring(36, 52));
        assertThat(SPANS)
                .filteredOn(span -> span.getName().equals("assign"))
                .anySatisfy(span -> assertThat(span.getParentSpanId()).isEqualTo(submitted.getSpanId()));
        assertThat(named("execute").getStartTimeUnixNano()).isEqualTo(STARTED.getEpochSecond() * 1_000_000_000L);
    }

    @Test
    void withoutACollectorTheHeaderIsPassedOnUnchanged() {
        try (RunningCoordinator coordinator = RunningCoordinator.start(LocalStack.shared(), "untraced.", 8)) {
            coordinator.register("untraced-agent", 1, "untraced");
            submit(coordinator, "untraced-1");

            assertThat(trace(coordinator
                            .awaitRaw("assignments.untraced-agent", 1)
                            .get(0)))
                    .isEqualTo(CALLERS);
        }
    }

    @Test
    void anInvalidTraceHeaderIsNotPassedOn() {
        assertThat(TraceHeader.checked(CALLERS)).isEqualTo(CALLERS);
        assertThat(List.of(
                        "",
                        "00-zz",
                        CALLERS + "0",
                        CALLERS.replace('-', '_'),
                        CALLERS.toUpperCase(),
                        CALLERS.replace('7', '\n')))
                .allSatisfy(text -> assertThat(TraceHeader.checked(text)).isNull());
    }

    private static String submit(RunningCoordinator coordinator, String taskId) {
        var answer = coordinator.send(
                HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + coordinator.port() + "/tasks/submit"))
                        .header("Content-Type", "application/json")
                        .header("traceparent", CALLERS)
                        .POST(HttpRequest.BodyPublishers.ofString("{\"task_id\":\"" + taskId
                                + "\",\"task_data\":{},\"requirements\":{\"capabilities\":[\""
                                + taskId.replaceAll("-.*", "") + "\"]}}")));
        return answer.body().get("task_id").asString();
    }

    /** Publishes a result like an agent that propagates the trace header. */
    private static void answer(RunningCoordinator coordinator, ConsumerRecord<String, String> record, String status) {
        JsonNode assignment = Json.MAPPER.readTree(record.value());
        String result = Json.object()
                .put("assignment_id", assignment.get("assignment_id").asString())
                .put("task_id", record.key())
                .put("attempt", assignment.get("attempt").asInt())
                .put("agent_id", "traced-agent")
                .put("status", status)
                .put("started_at", STARTED.toString())
                .put("finished_at", STARTED.plusSeconds(1).toString())
                .toString();
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(
                Map.of("bootstrap.servers", LocalStack.shared().bootstrapServers()),
                new StringSerializer(),
                new StringSerializer())) {
            ProducerRecord<String, String> answer =
                    new ProducerRecord<>(coordinator.topics().results(), record.key(), result);
            answer.headers().add(record.headers().lastHeader("traceparent"));
            producer.send(answer);
        }
    }

    private static String trace(ConsumerRecord<String, String> record) {
        return new String(record.headers().lastHeader("traceparent").value(), StandardCharsets.US_ASCII);
    }

    private static Span named(String name) {
        return SPANS.stream()
                .filter(span -> span.getName().equals(name))
                .findFirst()
                .orElseThrow();
    }
}
