/**
 * What is known of one agent, and what follows from it: how healthy it is, and whether it may take a task. Pure: no input or
 * output, no clock; every value is immutable and may be shared between threads.
 */
@NullMarked
package io.aitbc.coordinator.agent;

import org.jspecify.annotations.NullMarked;
