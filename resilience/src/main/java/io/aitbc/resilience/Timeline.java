package io.aitbc.resilience;

import java.util.ArrayList;
import java.util.List;

/** What was done to a cluster, and when. */
final class Timeline {
    /**
     * Something that was done.
     *
     * @param from in ms since 1970
     * @param to when it was over, in ms since 1970
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
