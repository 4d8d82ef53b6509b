/** Background threads that run periodic work, and rate-limited logging. */
@NullMarked
package io.aitbc.coordinator.background;

import org.jspecify.annotations.NullMarked;
