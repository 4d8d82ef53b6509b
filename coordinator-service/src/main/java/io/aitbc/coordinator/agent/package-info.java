/**
 * The state of one agent, and the properties derived from it: its health, and its eligibility for a task. Pure: no input or
 * output, no clock; every value is immutable and may be shared between threads.
 */
@NullMarked
package io.aitbc.coordinator.agent;

import org.jspecify.annotations.NullMarked;
