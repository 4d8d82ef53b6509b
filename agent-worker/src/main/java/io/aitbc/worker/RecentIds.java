package io.aitbc.worker;

import java.util.LinkedHashSet;

/** The ids of recent assignments, to detect duplicates. */
final class RecentIds {
    static final int CAPACITY = 20_000;

    private final LinkedHashSet<String> ids = new LinkedHashSet<>();

    /** Adds an id; returns whether it is new. */
    boolean add(String id) {
        if (!ids.add(id)) {
            return false;
        }
        if (ids.size() > CAPACITY) {
            ids.remove(ids.iterator().next());
        }
        return true;
    }
}
