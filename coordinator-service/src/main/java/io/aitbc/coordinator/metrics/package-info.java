/**
 * Prometheus metrics at {@code /metrics}. Names that begin with {@code coordinator_} describe this process, and are summed over all
 * coordinators. Names that begin with {@code cluster_} are the same on every coordinator.
 */
@NullMarked
package io.aitbc.coordinator.metrics;

import org.jspecify.annotations.NullMarked;
