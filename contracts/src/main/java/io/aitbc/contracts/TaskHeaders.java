package io.aitbc.contracts;

/** The headers of records. */
public final class TaskHeaders {
    /** The task's trace (W3C); also set on its assignments and results. */
    public static final String TRACEPARENT = "traceparent";

    /** Set on heartbeats and results that a coordinator has written on behalf of an agent that uses REST. */
    public static final String RECORDED_BY = "recorded-by";

    /** On a heartbeat over Kafka, while security is on: the API key of the agent, or its token. */
    public static final String API_KEY = "api-key";

    /** On a heartbeat that a coordinator has written, while security is on. */
    public static final String SIGNATURE = "signature";

    /** On an event: that it is a CloudEvent, as the Kafka binding of CloudEvents requires. */
    public static final String CONTENT_TYPE = "content-type";

    private TaskHeaders() {}
}
