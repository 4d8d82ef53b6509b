/** Limits on what attempts use together: their definitions, and what is known of their use. Pure, without I/O. */
@NullMarked
package io.aitbc.coordinator.limit;

import org.jspecify.annotations.NullMarked;
