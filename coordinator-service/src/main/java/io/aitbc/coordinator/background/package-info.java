/** Threads that do something again and again beside all else, and what they tell the log only once in a while. */
@NullMarked
package io.aitbc.coordinator.background;

import org.jspecify.annotations.NullMarked;
