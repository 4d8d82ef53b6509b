/**
 * Checks a foreign agent: plays a coordinator to it, and says what it gets wrong. {@link
 * io.aitbc.agentctl.conformance.Conformance} has the checks; {@link io.aitbc.agentctl.conformance.Journal} records what the agent does.
 */
@NullMarked
package io.aitbc.agentctl.conformance;

import org.jspecify.annotations.NullMarked;
