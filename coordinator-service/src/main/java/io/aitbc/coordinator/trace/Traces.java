package io.aitbc.coordinator.trace;

import io.aitbc.contracts.TaskHeaders;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanKind;
import io.opentelemetry.api.trace.Tracer;
import io.opentelemetry.api.trace.propagation.W3CTraceContextPropagator;
import io.opentelemetry.context.Context;
import io.opentelemetry.context.propagation.TextMapGetter;
import io.opentelemetry.sdk.OpenTelemetrySdk;
import io.opentelemetry.sdk.autoconfigure.AutoConfiguredOpenTelemetrySdk;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Exports task spans to an OpenTelemetry collector; a no-op at no cost if none is configured. Thread-safe and non-blocking: spans
 * that the collector does not accept in time are dropped.
 */
public final class Traces implements AutoCloseable {
    private static final W3CTraceContextPropagator W3C = W3CTraceContextPropagator.getInstance();

    private static final TextMapGetter<String> TEXT_GETTER = new TextMapGetter<>() {
        @Override
        public Iterable<String> keys(String trace) {
            return List.of(TaskHeaders.TRACEPARENT);
        }

        @Override
        public @Nullable String get(@Nullable String trace, String name) {
            return name.equals(TaskHeaders.TRACEPARENT) ? trace : null;
        }
    };

    private final @Nullable OpenTelemetrySdk telemetry;
    private final @Nullable Tracer tracer;

    private Traces(@Nullable OpenTelemetrySdk telemetry) {
        this.telemetry = telemetry;
        this.tracer = telemetry == null ? null : telemetry.getTracer("io.aitbc.coordinator");
    }

    /** A no-op instance. */
    public static Traces none() {
        return new Traces(null);
    }

    /**
     * An instance that exports over OTLP. Everything else follows OpenTelemetry's own variables, such as {@code
     * OTEL_TRACES_SAMPLER}.
     *
     * @param endpoint such as {@code http://collector:4318}
     */
    static Traces exportingTo(String endpoint) {
        Map<String, String> defaults = Map.of(
                "otel.service.name", "agent-coordinator",
                "otel.exporter.otlp.endpoint", endpoint,
                "otel.exporter.otlp.protocol", "http/protobuf",
                "otel.metrics.exporter", "none",
                "otel.logs.exporter", "none");
        return new Traces(AutoConfiguredOpenTelemetrySdk.builder()
                .addPropertiesSupplier(() -> defaults)
                .disableShutdownHook()
                .build()
                .getOpenTelemetrySdk());
    }

    @Override
    public void close() {
        if (telemetry != null) {
            telemetry.close();
        }
    }

    /**
     * Starts a span now.
     *
     * @param trace its parent; null: starts a new trace
     */
    public TaskSpan begin(String name, SpanKind kind, String taskId, @Nullable String trace) {
        return begin(name, kind, taskId, trace, null);
    }

    /** Starts a span at a time in the past. */
    public TaskSpan begin(String name, SpanKind kind, String taskId, @Nullable String trace, @Nullable Instant at) {
        if (tracer == null) {
            return new TaskSpan(null, trace, trace);
        }
        var span = tracer.spanBuilder(name)
                .setSpanKind(kind)
                .setAttribute("task_id", taskId)
                .setParent(W3C.extract(Context.root(), trace, TEXT_GETTER));
        if (at != null) {
            span.setStartTimestamp(at);
        }
        Span begun = span.startSpan();
        Map<String, String> headers = new HashMap<>();
        W3C.inject(Context.root().with(begun), headers, Map::put);
        return new TaskSpan(begun, trace, headers.get(TaskHeaders.TRACEPARENT));
    }

    /** Records a completed span on behalf of an agent. */
    public void record(String name, String taskId, @Nullable String trace, Instant from, Instant to, String agentId) {
        if (tracer != null && trace != null) {
            begin(name, SpanKind.CONSUMER, taskId, trace, from)
                    .with("agent_id", agentId)
                    .end(to);
        }
    }
}
