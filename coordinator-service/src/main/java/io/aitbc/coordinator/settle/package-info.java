/**
 * Settlement of assignments: results, deadlines, lost agents. The thread {@code results} settles the reported results, {@code recovery}
 * requeues attempts without one, {@code index} restores live attempts after Redis has been emptied, and {@code retention} deletes tasks
 * completed long ago. A task to be retried is appended to its queue first and released in Redis afterwards, so that a crash in between
 * repeats the step instead of losing the task.
 */
@NullMarked
package io.aitbc.coordinator.settle;

import org.jspecify.annotations.NullMarked;
