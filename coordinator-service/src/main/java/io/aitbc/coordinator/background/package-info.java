/** Threads that do something again and again beside all else. */
@NullMarked
package io.aitbc.coordinator.background;

import org.jspecify.annotations.NullMarked;
