/** What is used of limits, as Redis counts it. Thread-safe. */
@NullMarked
package io.aitbc.coordinator.usage;

import org.jspecify.annotations.NullMarked;
