package io.aitbc.worker.spring;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Json;
import io.aitbc.worker.AssignmentContext;
import io.aitbc.worker.Handler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;
import org.springframework.aop.support.AopUtils;
import org.springframework.beans.factory.config.BeanPostProcessor;
import org.springframework.core.MethodIntrospector;
import org.springframework.core.annotation.AnnotatedElementUtils;
import org.springframework.core.annotation.AnnotationUtils;
import org.springframework.util.ReflectionUtils;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JavaType;
import tools.jackson.databind.JsonNode;

/** Collects the methods with {@link AgentHandler}, by task type. */
final class AgentHandlers implements BeanPostProcessor {
    private final Map<String, Handler> byType = new TreeMap<>();

    Map<String, Handler> byType() {
        return byType;
    }

    @Override
    public Object postProcessAfterInitialization(Object bean, String name) {
        Class<?> type = AopUtils.getTargetClass(bean);
        if (!AnnotationUtils.isCandidateClass(type, AgentHandler.class)) {
            return bean;
        }
        MethodIntrospector.selectMethods(type, (MethodIntrospector.MetadataLookup<AgentHandler>)
                        method -> AnnotatedElementUtils.findMergedAnnotation(method, AgentHandler.class))
                .forEach((method, annotation) -> add(bean, method, annotation.value()));
        return bean;
    }

    private void add(Object bean, Method method, String type) {
        Method invocable = AopUtils.selectInvocableMethod(method, bean.getClass());
        long converted = Arrays.stream(invocable.getParameterTypes())
                .filter(parameter -> parameter != Assignment.class && parameter != AssignmentContext.class)
                .count();
        if (converted > 1) {
            throw new IllegalStateException(
                    method + " may have at most one parameter besides the assignment and its context");
        }
        ReflectionUtils.makeAccessible(invocable);
        if (byType.putIfAbsent(type, (assignment, context) -> invoke(bean, invocable, assignment, context)) != null) {
            throw new IllegalStateException("Two methods handle task type \"" + type + "\"; one of them is " + method);
        }
    }

    private static JsonNode invoke(Object bean, Method method, Assignment assignment, AssignmentContext context)
            throws Exception {
        Object[] arguments = new Object[method.getParameterCount()];
        for (int i = 0; i < arguments.length; i++) {
            Class<?> type = method.getParameterTypes()[i];
            arguments[i] = type == Assignment.class
                    ? assignment
                    : type == AssignmentContext.class
                            ? context
                            : taskData(assignment, method.getGenericParameterTypes()[i]);
        }
        try {
            return Json.tree(method.invoke(bean, arguments));
        } catch (InvocationTargetException e) {
            if (e.getCause() instanceof Exception cause) {
                throw cause;
            }
            throw new IllegalStateException(e.getCause());
        }
    }

    /** Another attempt would find the same task data. */
    private static Object taskData(Assignment assignment, java.lang.reflect.Type type)
            throws Handler.PermanentFailureException {
        JavaType target = Json.MAPPER.constructType(type);
        try {
            return Json.MAPPER.convertValue(assignment.taskData(), target);
        } catch (JacksonException | IllegalArgumentException e) {
            String reason = e instanceof JacksonException parsing ? Json.reason(parsing) : e.getMessage();
            throw new Handler.PermanentFailureException("task_data is invalid: " + reason);
        }
    }
}
