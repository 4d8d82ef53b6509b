package io.aitbc.coordinator.trace;

import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.StatusCode;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/** A trace span: one timed step in the processing of a task. */
public final class TaskSpan {
    private final @Nullable Span span;
    private final @Nullable String parent;
    private final @Nullable String trace;

    TaskSpan(@Nullable Span span, @Nullable String parent, @Nullable String trace) {
        this.span = span;
        this.parent = parent;
        this.trace = trace;
    }

    /** The parent trace header; null if there is none. */
    public @Nullable String parent() {
        return parent;
    }

    /** The trace header for subsequent spans; null if there is none. */
    public @Nullable String trace() {
        return trace;
    }

    /** @param failure null on success */
    public void end(@Nullable Throwable failure) {
        if (span != null) {
            if (failure != null) {
                span.setStatus(StatusCode.ERROR, String.valueOf(failure.getMessage()));
            }
            span.end();
        }
    }

    void end(Instant at) {
        if (span != null) {
            span.end(at);
        }
    }

    public TaskSpan with(String name, String value) {
        if (span != null) {
            span.setAttribute(name, value);
        }
        return this;
    }
}
