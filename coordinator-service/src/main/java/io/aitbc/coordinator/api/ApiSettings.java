package io.aitbc.coordinator.api;

import jakarta.validation.constraints.Max;
import jakarta.validation.constraints.Min;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.validation.annotation.Validated;

/** @param maxBodyBytes larger request bodies are rejected; a value above the topics' maximum record size has no use */
@Validated
@ConfigurationProperties("aitbc.api")
record ApiSettings(@Min(1_000) @Max(10_000_000) int maxBodyBytes) {}
