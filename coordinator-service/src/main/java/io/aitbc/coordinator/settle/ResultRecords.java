package io.aitbc.coordinator.settle;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.TaskResult;
import io.aitbc.coordinator.security.Signatures;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Reads records of {@code tasks.results}. Thread-safe. */
final class ResultRecords {
    private static final Logger log = LoggerFactory.getLogger(ResultRecords.class);

    private final Signatures signatures;

    ResultRecords(Signatures signatures) {
        this.signatures = signatures;
    }

    /** A result in the name of an agent that was not given this assignment. */
    static final class ForgedException extends RuntimeException {
        ForgedException(TaskResult result) {
            super(
                    result.signature() == null
                            ? "signature is required: repeat that of the assignment"
                            : "the signature is not that of this assignment to agent " + result.agentId());
        }
    }

    /**
     * @throws Json.MalformedMessageException if it is no result
     * @throws ForgedException if its signature is missing, or of another assignment
     */
    TaskResult read(ConsumerRecord<byte[], byte[]> record) {
        TaskResult result = Json.read(record.value() == null ? new byte[0] : record.value(), TaskResult.class);
        if (!signatures.accepts(result)) {
            throw new ForgedException(result);
        }
        return result;
    }

    /** Null if it is no result that counts. */
    @Nullable
    TaskResult readOrNull(ConsumerRecord<byte[], byte[]> record) {
        try {
            return read(record);
        } catch (Json.MalformedMessageException | ForgedException e) {
            log.atTrace().log("Skipped a record that is dead-lettered by the results loop: {}", e.getMessage());
            return null;
        }
    }
}
