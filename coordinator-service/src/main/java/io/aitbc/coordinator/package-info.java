/** The coordinator: its start, its end, and in which order its parts come and go. */
@NullMarked
package io.aitbc.coordinator;

import org.jspecify.annotations.NullMarked;
