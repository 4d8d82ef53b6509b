package io.aitbc.coordinator.kafka;

import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.time.Duration;
import java.util.function.Supplier;
import org.apache.kafka.common.KafkaException;
import org.jspecify.annotations.Nullable;

/**
 * A Kafka client created on first use. The client library refuses to create one while no bootstrap name resolves. The service starts
 * anyway, and each use fails until a name resolves. Thread-safe.
 */
public final class LazyClient implements InvocationHandler {
    /** A lookup may take seconds: calls in between fail with the last error. */
    private static final Duration RETRY_INTERVAL = Duration.ofSeconds(1);

    private final Supplier<?> create;
    private volatile @Nullable Object client;
    private @Nullable KafkaException failure;
    private long failedAt;

    private LazyClient(Supplier<?> create) {
        this.create = create;
    }

    /**
     * @param type an interface
     * @param create may fail; it is then called again on a later use
     */
    public static <T> T of(Class<T> type, Supplier<? extends T> create) {
        return type.cast(Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, new LazyClient(create)));
    }

    @Override
    public @Nullable Object invoke(Object proxy, Method method, Object @Nullable [] arguments) throws Throwable {
        if (method.getDeclaringClass() == Object.class) {
            return switch (method.getName()) {
                case "equals" -> arguments != null && proxy == arguments[0];
                case "hashCode" -> System.identityHashCode(proxy);
                default -> "lazy " + proxy.getClass().getInterfaces()[0].getSimpleName();
            };
        }
        if (method.getName().equals("close") && client == null) {
            return null;
        }
        try {
            return method.invoke(client(), arguments);
        } catch (InvocationTargetException e) {
            throw e.getCause();
        }
    }

    private Object client() {
        Object made = client;
        return made != null ? made : create();
    }

    private synchronized Object create() {
        if (client == null) {
            if (failure != null && System.nanoTime() - failedAt < RETRY_INTERVAL.toNanos()) {
                throw failure;
            }
            try {
                client = create.get();
            } catch (KafkaException e) {
                // The exception itself only says that construction failed.
                failure = e.getCause() == null
                        ? e
                        : new KafkaException(e.getCause().getMessage(), e);
                failedAt = System.nanoTime();
                throw failure;
            }
        }
        return client;
    }
}
