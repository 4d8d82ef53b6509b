package io.aitbc.worker;

import java.lang.reflect.InvocationTargetException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ThreadFactory;

/** The threads that run handlers: a virtual one for each attempt where the JDK has them, from version 21; else pooled daemon threads. */
final class HandlerThreads {
    private HandlerThreads() {}

    static ExecutorService named(String name) {
        try {
            // By reflection, because the library supports JDK 17.
            Object builder = Thread.class.getMethod("ofVirtual").invoke(null);
            Class<?> type = Class.forName("java.lang.Thread$Builder");
            type.getMethod("name", String.class).invoke(builder, name);
            ThreadFactory virtual = (ThreadFactory) type.getMethod("factory").invoke(builder);
            return (ExecutorService) Executors.class
                    .getMethod("newThreadPerTaskExecutor", ThreadFactory.class)
                    .invoke(null, virtual);
        } catch (NoSuchMethodException e) {
            return Executors.newCachedThreadPool(task -> {
                Thread thread = new Thread(task, name);
                thread.setDaemon(true);
                return thread;
            });
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(
                    e instanceof InvocationTargetException && e.getCause() != null ? e.getCause() : e);
        }
    }
}
