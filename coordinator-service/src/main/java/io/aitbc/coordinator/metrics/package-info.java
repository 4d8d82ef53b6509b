/**
 * What Prometheus reads at {@code /metrics}. Names that begin with {@code coordinator_} tell of this process, to be added up over all of
 * them; those that begin with {@code cluster_} are the same whichever coordinator tells.
 */
@NullMarked
package io.aitbc.coordinator.metrics;

import org.jspecify.annotations.NullMarked;
