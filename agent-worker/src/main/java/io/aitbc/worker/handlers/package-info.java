/** What the runnable worker can do: one class for each {@code task_type}. All may be used by several threads. */
@NullMarked
package io.aitbc.worker.handlers;

import org.jspecify.annotations.NullMarked;
