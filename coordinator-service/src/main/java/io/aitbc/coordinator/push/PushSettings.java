package io.aitbc.coordinator.push;

import java.time.Duration;
import org.hibernate.validator.constraints.time.DurationMax;
import org.hibernate.validator.constraints.time.DurationMin;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.validation.annotation.Validated;

/**
 * Settings for assignments that are posted to agents.
 *
 * @param responseTimeout how long an agent may take to respond before the request is repeated
 * @param allowPrivateAddresses whether agents may have loopback and private addresses. Whoever may register an agent can then make
 *     coordinators send requests to hosts of their own network
 */
@Validated
@ConfigurationProperties("aitbc.push")
record PushSettings(
        @DurationMin(millis = 100) @DurationMax(hours = 1) Duration responseTimeout, boolean allowPrivateAddresses) {}
