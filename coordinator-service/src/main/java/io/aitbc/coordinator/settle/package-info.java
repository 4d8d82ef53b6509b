/**
 * What becomes of assignments: results, deadlines, lost agents. The thread {@code results} settles what agents report, the thread
 * {@code recovery} gives back what they do not, {@code index} finds all that is out again when Redis has been emptied, and
 * {@code retention} forgets what was completed long ago. A task that goes back is appended to its queue first and released in Redis
 * afterwards, so that a crash in between repeats the step instead of losing the task.
 */
@NullMarked
package io.aitbc.coordinator.settle;

import org.jspecify.annotations.NullMarked;
