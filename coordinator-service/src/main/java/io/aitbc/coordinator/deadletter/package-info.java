/** The dead-letter topic: records that are not valid messages, and permanently failed tasks. */
@NullMarked
package io.aitbc.coordinator.deadletter;

import org.jspecify.annotations.NullMarked;
