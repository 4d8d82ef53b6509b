package io.aitbc.contracts;

/**
 * The headers of a record on {@code tasks.dead-letter}, all UTF-8 text. The record's value is the original one. A value of more
 * than {@link #TRUNCATED_BYTES} bytes is truncated to that, and {@link #ORIGINAL_SIZE} has its original size.
 */
public final class DeadLetterHeaders {
    /** Reason code: malformed, oversized, attempts_exhausted, not_retryable, over_limit, payload_lost, record_lost. */
    public static final String REASON = "reason";
    /** Reason as a sentence. */
    public static final String DETAIL = "detail";

    public static final String TOPIC = "source-topic";
    public static final String PARTITION = "source-partition";
    public static final String OFFSET = "source-offset";
    public static final String PRIORITY = "priority";
    public static final String ORIGINAL_SIZE = "original-size";
    public static final int TRUNCATED_BYTES = 256 * 1024;

    private DeadLetterHeaders() {}
}
