/**
 * The REST API. Its paths, JSON field names and status codes are a published interface. Every path is also served under {@code /v1}.
 */
@NullMarked
package io.aitbc.coordinator.api;

import org.jspecify.annotations.NullMarked;
