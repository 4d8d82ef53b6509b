package io.aitbc.coordinator.dispatch;

import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * Which of the other coordinators have stopped sending heartbeats: a failure detector with a fixed timeout. It compares what it sees by its
 * own clock only, and suspects nobody after a time in which it saw nothing itself, as while it was paused or Redis was down.
 */
final class Suspicions {
    private final String own;
    private final Duration timeout;
    private final Duration maxGap;
    private final Map<String, Heartbeat> last = new HashMap<>();
    private long seenAt;

    /** @param since when the counter had changed, in ns */
    private record Heartbeat(String counter, long since) {}

    /**
     * @param own the id of this coordinator
     * @param timeout how long a counter may stay the same
     * @param maxGap the longest time between two looks after which the silence of others means something
     */
    Suspicions(String own, Duration timeout, Duration maxGap) {
        this.own = own;
        this.timeout = timeout;
        this.maxGap = maxGap;
    }

    /**
     * @param counters by coordinator
     * @param now in ns, from any origin
     * @return the ids of the silent ones
     */
    Set<String> update(Map<String, String> counters, long now) {
        if (now - seenAt > maxGap.toNanos()) {
            last.clear();
        }
        seenAt = now;
        last.keySet().retainAll(counters.keySet());
        Set<String> silent = new TreeSet<>();
        counters.forEach((id, counter) -> {
            Heartbeat before = last.get(id);
            if (before == null || !before.counter.equals(counter)) {
                last.put(id, new Heartbeat(counter, now));
            } else if (!id.equals(own) && now - before.since >= timeout.toNanos()) {
                silent.add(id);
            }
        });
        return silent;
    }
}
