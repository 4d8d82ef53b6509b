package io.aitbc.coordinator.balance;

import io.aitbc.contracts.Task;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * The same agent for the same affinity key, or for the same task where there is none: consistent hashing (Karger et al., 1997) with
 * bounded loads (Mirrokni, Thorup and Zadimoghaddam, "Consistent Hashing with Bounded Loads", 2016). Each agent stands at several points
 * of a ring; a key belongs to the first agent behind its own point that holds no more than {@value #BOUND} times its share of all that
 * is held, by capacity. When an agent comes or goes, only keys that belong to it move.
 */
final class HashRing implements Selection {
    /** How much more than its share an agent may hold, as in the paper's experiments and in HAProxy's documentation. */
    private static final double BOUND = 1.25;

    /** Few, because the bound evens out what chance does not. */
    private static final int POINTS_EACH = 20;

    private final TreeMap<Long, Spot> ring = new TreeMap<>(Long::compareUnsigned);
    private final Map<String, Spot> spots = new HashMap<>();
    private long held;
    private long capacity;

    /** An agent, and what it adds to the sums. */
    private static final class Spot {
        final Candidate candidate;
        int held;
        int capacity;

        Spot(Candidate candidate) {
            this.candidate = candidate;
        }
    }

    @Override
    public @Nullable Candidate next(Task task) {
        if (ring.isEmpty()) {
            return null;
        }
        String key = task.requirements().affinityKey();
        long point = hash(key == null ? String.valueOf(task.taskId()) : key);
        Candidate found = first(ring.tailMap(point));
        if (found == null) {
            found = first(ring.headMap(point));
        }
        if (found == null) {
            throw new IllegalStateException("all of " + spots.size() + " agents hold more than their share");
        }
        return found;
    }

    private @Nullable Candidate first(Map<Long, Spot> stretch) {
        for (Spot spot : stretch.values()) {
            if (spot.held < Math.ceil(BOUND * spot.capacity * (held + 1) / capacity)) {
                return spot.candidate;
            }
        }
        return null;
    }

    @Override
    public void put(Candidate candidate) {
        Spot spot = spots.get(candidate.id());
        if (spot == null) {
            spot = new Spot(candidate);
            spots.put(candidate.id(), spot);
            for (int i = 0; i < POINTS_EACH; i++) {
                ring.putIfAbsent(point(candidate, i), spot);
            }
        }
        count(spot, candidate.held(), candidate.agent().capacity());
    }

    @Override
    public void remove(Candidate candidate) {
        Spot spot = spots.remove(candidate.id());
        if (spot != null) {
            count(spot, 0, 0);
            for (int i = 0; i < POINTS_EACH; i++) {
                ring.remove(point(candidate, i), spot);
            }
        }
    }

    @Override
    public boolean isEmpty() {
        return spots.isEmpty();
    }

    private void count(Spot spot, int nowHeld, int nowCapacity) {
        held += nowHeld - spot.held;
        capacity += nowCapacity - spot.capacity;
        spot.held = nowHeld;
        spot.capacity = nowCapacity;
    }

    private static long point(Candidate candidate, int number) {
        return hash(candidate.id() + "#" + number);
    }

    /** 64 bits by FNV-1a, well mixed by the last steps of MurmurHash3, so that similar texts lie far apart. */
    private static long hash(String text) {
        long hash = 0xcbf29ce484222325L;
        for (int i = 0; i < text.length(); i++) {
            hash = (hash ^ text.charAt(i)) * 0x100000001b3L;
        }
        hash = (hash ^ hash >>> 33) * 0xff51afd7ed558ccdL;
        hash = (hash ^ hash >>> 33) * 0xc4ceb9fe1a85ec53L;
        return hash ^ hash >>> 33;
    }
}
