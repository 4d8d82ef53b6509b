/** Tasks that enter over REST: submissions, and redrives of dead-lettered tasks. Thread-safe. */
@NullMarked
package io.aitbc.coordinator.intake;

import org.jspecify.annotations.NullMarked;
