/** The coordinator: startup, shutdown, and the order in which its parts start and stop. */
@NullMarked
package io.aitbc.coordinator;

import org.jspecify.annotations.NullMarked;
