package io.aitbc.contracts;

/** The headers of task records. */
public final class TaskHeaders {
    /** Set when a coordinator defers a task to the tail of its partition: the task's first offset there, in decimal digits. */
    public static final String ORIGIN_OFFSET = "origin-offset";

    /** The task's trace (W3C); also set on its assignments and results. */
    public static final String TRACEPARENT = "traceparent";

    private TaskHeaders() {}
}
