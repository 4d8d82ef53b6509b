/**
 * Starts a broker, a Redis, coordinators, agents and producers as processes of their own, does to them what happens in practice, and
 * then audits the promises with what the clients have written down, not with what the coordinators say.
 */
@NullMarked
package io.aitbc.resilience;

import org.jspecify.annotations.NullMarked;
