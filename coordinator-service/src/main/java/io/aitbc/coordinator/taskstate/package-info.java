/** The state of each task in Redis: its format, and queries. Thread-safe. */
@NullMarked
package io.aitbc.coordinator.taskstate;

import org.jspecify.annotations.NullMarked;
