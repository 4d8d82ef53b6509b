/**
 * The REST interface: paths, JSON field names and codes are published and used by clients that we do not know. Every path is served
 * under {@code /v1} too.
 */
@NullMarked
package io.aitbc.coordinator.api;

import org.jspecify.annotations.NullMarked;
