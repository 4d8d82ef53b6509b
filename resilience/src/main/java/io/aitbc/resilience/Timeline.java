package io.aitbc.resilience;

import java.util.ArrayList;
import java.util.List;

/** The faults injected into a cluster, with their times. */
final class Timeline {
    /**
     * A fault.
     *
     * @param from start, in epoch ms
     * @param to end, in epoch ms
     */
    record Event(String what, long from, long to) {}

    private final List<Event> events = new ArrayList<>();

    void during(String what, Runnable action) {
        long from = System.currentTimeMillis();
        System.out.println("  " + what);
        action.run();
        events.add(new Event(what, from, System.currentTimeMillis()));
    }

    List<Event> events() {
        return events;
    }
}
