/**
 * The operator's command-line client for a coordinator, over REST: inspects queues and agents, submits and follows tasks, drains
 * agents.
 *
 * <p>{@link Agentctl} is the command line, with a class for each group of commands; {@link Coordinator} makes the calls. Results
 * go to standard output, as a table or as JSON; prompts, progress and errors go to standard error. A command that fails throws
 * a {@link CommandFailedException}, whose message is all that the operator sees.
 */
@NullMarked
package io.aitbc.agentctl;

import org.jspecify.annotations.NullMarked;
