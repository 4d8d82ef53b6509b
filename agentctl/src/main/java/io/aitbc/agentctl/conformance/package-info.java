/**
 * Checks a foreign agent: simulates a coordinator for it, and says what it gets wrong. {@link
 * io.aitbc.agentctl.conformance.Conformance} has the checks; {@link io.aitbc.agentctl.conformance.Journal} records what the agent does.
 */
@NullMarked
package io.aitbc.agentctl.conformance;

import org.jspecify.annotations.NullMarked;
