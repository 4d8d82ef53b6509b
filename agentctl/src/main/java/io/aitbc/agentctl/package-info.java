/**
 * What operators do to a coordinator, from a terminal and over REST: see queues and agents, submit tasks and follow them, drain agents.
 *
 * <p>{@link Agentctl} is the command line, with a class for each group of commands; {@link Coordinator} makes the calls. What a command
 * says goes to standard output, as a table or as JSON; questions, progress and what went wrong go to standard error. A command that
 * cannot do what it was told throws a {@link CommandFailedException}, whose message is all that the operator sees.
 */
@NullMarked
package io.aitbc.agentctl;

import org.jspecify.annotations.NullMarked;
