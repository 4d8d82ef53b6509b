package io.aitbc.contracts;

/** The headers that a record on {@code tasks.*} may have. */
public final class TaskHeaders {
    /** For a task that a coordinator put off to the tail of its partition: the offset it had there first, in decimal digits. */
    public static final String ORIGIN_OFFSET = "origin-offset";

    private TaskHeaders() {}
}
