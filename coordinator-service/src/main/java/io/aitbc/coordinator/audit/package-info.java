/** The audit trail: who did what over REST, in the topic {@code coordinator.audit}. */
@NullMarked
package io.aitbc.coordinator.audit;

import org.jspecify.annotations.NullMarked;
