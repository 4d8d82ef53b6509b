/** Bulk operations: what a search has found is cancelled or redriven, at a bounded rate. */
@NullMarked
package io.aitbc.coordinator.bulk;

import org.jspecify.annotations.NullMarked;
