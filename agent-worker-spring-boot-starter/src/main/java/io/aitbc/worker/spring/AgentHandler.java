package io.aitbc.worker.spring;

import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/**
 * A method of a bean that runs the assignments of a task type: those with {@code task_data.task_type}. The agent registers the type as a
 * capability. For example:
 *
 * <pre>{@code
 * @AgentHandler("add")
 * int add(Numbers numbers) {
 *     return numbers.a() + numbers.b();
 * }
 * }</pre>
 *
 * The method may have these parameters, in any order: the {@link io.aitbc.contracts.Assignment}, the {@link
 * io.aitbc.worker.AssignmentContext}, and one other, to which {@code task_data} is converted from JSON. What it returns is converted to
 * JSON, and is the result. It throws as a {@link io.aitbc.worker.Handler} does; task data that cannot be converted fail the task at
 * once.
 */
@Target(ElementType.METHOD)
@Retention(RetentionPolicy.RUNTIME)
@Documented
public @interface AgentHandler {
    /** The task type. */
    String value();
}
