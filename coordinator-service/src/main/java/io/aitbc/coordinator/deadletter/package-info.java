/** The dead-letter topic: records that are no valid task or result, and tasks that have failed for good. */
@NullMarked
package io.aitbc.coordinator.deadletter;

import org.jspecify.annotations.NullMarked;
