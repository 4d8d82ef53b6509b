package io.aitbc.coordinator.api;

import jakarta.validation.constraints.Max;
import jakarta.validation.constraints.Min;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.validation.annotation.Validated;

/**
 * Settings of REST.
 *
 * @param maxBodyBytes larger request bodies are rejected; a value above the topics' maximum record size has no use
 * @param traceUrl the address of a task's trace, with {@code {task_id}}; empty for none
 */
@Validated
@ConfigurationProperties("aitbc.api")
record ApiSettings(@Min(1_000) @Max(10_000_000) int maxBodyBytes, String traceUrl) {
    ApiSettings {
        if (!traceUrl.isEmpty() && !traceUrl.matches("https?://.*\\{task_id}.*")) {
            throw new IllegalArgumentException(
                    "aitbc.api.trace-url must begin with http:// or https://, and have {task_id} where the task's id belongs");
        }
    }
}
