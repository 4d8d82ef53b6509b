package io.aitbc.contracts;

/** The headers that records of tasks may have. */
public final class TaskHeaders {
    /** For a task that a coordinator put off to the tail of its partition: the offset it had there first, in decimal digits. */
    public static final String ORIGIN_OFFSET = "origin-offset";

    /** The trace that a task belongs to (W3C); on its assignments and results too. */
    public static final String TRACEPARENT = "traceparent";

    private TaskHeaders() {}
}
