/**
 * Makes a Spring Boot application an agent: methods with {@link io.aitbc.worker.spring.AgentHandler} run the assignments, and {@code
 * aitbc.agent.*} configures the agent.
 */
@NullMarked
package io.aitbc.worker.spring;

import org.jspecify.annotations.NullMarked;
