/** The built-in handlers: one class per {@code task_type}. All are thread-safe. */
@NullMarked
package io.aitbc.worker.handlers;

import org.jspecify.annotations.NullMarked;
