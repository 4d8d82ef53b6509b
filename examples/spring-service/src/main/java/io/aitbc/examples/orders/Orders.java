package io.aitbc.examples.orders;

import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import org.springframework.stereotype.Repository;

/** The orders of this service. A real one keeps them in a database, and updates an order if its sequence is lower than that of the event. */
@Repository
class Orders {
    private final Map<String, Order> byTask = new ConcurrentHashMap<>();

    /**
     * An order.
     *
     * @param outcome {@code pending}, or how its task ended
     * @param sequence of the event that said so; empty before
     */
    record Order(String taskId, String outcome, String sequence) {}

    void add(String taskId) {
        byTask.putIfAbsent(taskId, new Order(taskId, "pending", ""));
    }

    Optional<Order> find(String taskId) {
        return Optional.ofNullable(byTask.get(taskId));
    }

    /** Records an outcome, once: an event may come twice, and after one of a later attempt. */
    boolean end(String taskId, String outcome, String sequence) {
        Order before = byTask.get(taskId);
        if (before == null || before.sequence().compareTo(sequence) >= 0) {
            return false;
        }
        return byTask.replace(taskId, before, new Order(taskId, outcome, sequence));
    }
}
