package io.aitbc.coordinator.trace;

import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.StatusCode;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/** Something that is done with a task, and takes its time. */
public final class Step {
    private final @Nullable Span span;
    private final @Nullable String parent;
    private final @Nullable String trace;

    Step(@Nullable Span span, @Nullable String parent, @Nullable String trace) {
        this.span = span;
        this.parent = parent;
        this.trace = trace;
    }

    /** What it follows from; null if that belonged to no trace. */
    public @Nullable String parent() {
        return parent;
    }

    /** What follows from it belongs to this trace; null if there is none. */
    public @Nullable String trace() {
        return trace;
    }

    /** @param failure null if it went well */
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

    public Step with(String name, String value) {
        if (span != null) {
            span.setAttribute(name, value);
        }
        return this;
    }
}
