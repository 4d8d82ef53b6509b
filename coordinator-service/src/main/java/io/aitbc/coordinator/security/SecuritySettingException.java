package io.aitbc.coordinator.security;

import org.springframework.boot.diagnostics.AbstractFailureAnalyzer;
import org.springframework.boot.diagnostics.FailureAnalysis;
import org.springframework.core.Ordered;
import org.springframework.core.annotation.Order;

/** A setting of users or tokens that cannot be used. The message names it, and never repeats a secret. */
final class SecuritySettingException extends IllegalArgumentException {
    SecuritySettingException(String message) {
        super(message);
    }

    /** Takes precedence over the analyzer of failed bindings, which would bury the reason. */
    @Order(Ordered.HIGHEST_PRECEDENCE)
    static final class Analyzer extends AbstractFailureAnalyzer<SecuritySettingException> {
        @Override
        protected FailureAnalysis analyze(Throwable rootFailure, SecuritySettingException e) {
            return new FailureAnalysis(e.getMessage(), "Correct the setting, or unset it.", e);
        }
    }
}
