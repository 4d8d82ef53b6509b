/** The read models of the cluster and its tasks, as REST, live updates and metrics show them. */
@NullMarked
package io.aitbc.coordinator.stats;

import org.jspecify.annotations.NullMarked;
