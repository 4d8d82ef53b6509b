/**
 * Starts a broker, Redis, coordinators, agents and producers as separate processes, injects faults that occur in practice, and then
 * audits the guarantees. The audit relies on what clients recorded, not on what coordinators report.
 */
@NullMarked
package io.aitbc.resilience;

import org.jspecify.annotations.NullMarked;
