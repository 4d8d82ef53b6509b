/**
 * The REST API. Its paths, JSON field names and status codes are published, and used by clients unknown to us. Every path is also served
 * under {@code /v1}.
 */
@NullMarked
package io.aitbc.coordinator.api;

import org.jspecify.annotations.NullMarked;
