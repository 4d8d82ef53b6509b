package io.aitbc.coordinator.balance;

import io.aitbc.contracts.Task;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Selects the same agent for the same affinity key, or for the same task if it has none: consistent hashing (Karger et al., 1997)
 * with bounded loads (Mirrokni, Thorup and Zadimoghaddam, "Consistent Hashing with Bounded Loads", 2016). Each agent has several
 * points on a ring. A key belongs to the first agent after its own point whose load is within {@value #BOUND} times its fair
 * share of all assignments, by capacity. When an agent joins or leaves, only the keys that belong to it move.
 */
final class HashRing implements Selection {
    /** Maximum load relative to the fair share, as in the paper's experiments and in HAProxy's documentation. */
    private static final double BOUND = 1.25;

    /** Few, because the load bound evens out the random imbalance. */
    private static final int POINTS_EACH = 20;

    private final Map<Candidate, Spot> spots = new IdentityHashMap<>();
    /** The points of all known agents, including absent ones, in order; rebuilt when an agent joins or leaves for good. */
    private long[] points = {};

    private Spot[] owners = {};
    private final List<Spot> newcomers = new ArrayList<>();
    private boolean complete = true;
    private int present;
    private long held;
    private long capacity;

    /** An agent and its contribution to the totals. */
    private static final class Spot {
        final Candidate candidate;
        boolean away = true;
        boolean isGone;
        int held;
        int capacity;

        Spot(Candidate candidate) {
            this.candidate = candidate;
        }
    }

    @Override
    public @Nullable Candidate next(Task task) {
        if (present == 0) {
            return null;
        }
        if (!complete) {
            arrange();
        }
        String key = task.requirements().affinityKey();
        int start = Arrays.binarySearch(points, ordered(hash(key == null ? String.valueOf(task.taskId()) : key)));
        int from = start < 0 ? -start - 1 : start;
        for (int i = 0; i < points.length; i++) {
            int index = from + i < points.length ? from + i : from + i - points.length;
            Spot spot = owners[index];
            if (!spot.away && spot.held < Math.ceil(BOUND * spot.capacity * (held + 1) / capacity)) {
                return spot.candidate;
            }
        }
        throw new IllegalStateException("all of " + present + " agents hold more than their share");
    }

    @Override
    public void put(Candidate candidate) {
        Spot spot = spots.get(candidate);
        if (spot == null) {
            spot = new Spot(candidate);
            spots.put(candidate, spot);
            newcomers.add(spot);
            complete = false;
        }
        if (spot.away) {
            spot.away = false;
            present++;
        }
        count(spot, candidate.held(), candidate.agent().capacity());
    }

    @Override
    public void remove(Candidate candidate) {
        Spot spot = spots.get(candidate);
        if (spot != null && !spot.away) {
            spot.away = true;
            present--;
            count(spot, 0, 0);
        }
    }

    @Override
    public void forget(Candidate candidate) {
        remove(candidate);
        Spot spot = spots.remove(candidate);
        if (spot != null) {
            spot.isGone = true;
            // It may have joined after the last rebuild.
            newcomers.remove(spot);
            complete = false;
        }
    }

    @Override
    public boolean isEmpty() {
        return present == 0;
    }

    /** Rebuilds the ring: sorts the new points and merges them with the others, which are in order, in one pass. */
    private void arrange() {
        List<Point> came = new ArrayList<>(newcomers.size() * POINTS_EACH);
        for (Spot spot : newcomers) {
            for (int i = 0; i < POINTS_EACH; i++) {
                came.add(new Point(ordered(hash(spot.candidate.id() + "#" + i)), spot));
            }
        }
        came.sort(Point::compareTo);
        newcomers.clear();
        long[] allPoints = new long[points.length + came.size()];
        Spot[] allOwners = new Spot[allPoints.length];
        int size = 0;
        int next = 0;
        for (int i = 0; i < points.length; i++) {
            if (owners[i].isGone) {
                continue;
            }
            while (next < came.size() && came.get(next).isBefore(points[i], owners[i])) {
                allPoints[size] = came.get(next).at;
                allOwners[size++] = came.get(next++).owner;
            }
            allPoints[size] = points[i];
            allOwners[size++] = owners[i];
        }
        for (; next < came.size(); next++) {
            allPoints[size] = came.get(next).at;
            allOwners[size++] = came.get(next).owner;
        }
        points = Arrays.copyOf(allPoints, size);
        owners = Arrays.copyOf(allOwners, size);
        complete = true;
    }

    /** Equal points are ordered by agent id, so that all coordinators build the same ring. */
    private record Point(long at, Spot owner) implements Comparable<Point> {
        @Override
        public int compareTo(Point other) {
            return isBefore(other.at, other.owner) ? -1 : other.isBefore(at, owner) ? 1 : 0;
        }

        boolean isBefore(long otherAt, Spot other) {
            return at < otherAt || at == otherAt && owner.candidate.id().compareTo(other.candidate.id()) < 0;
        }
    }

    /** Maps unsigned order to signed order. */
    private static long ordered(long hash) {
        return hash ^ Long.MIN_VALUE;
    }

    private void count(Spot spot, int nowHeld, int nowCapacity) {
        held += nowHeld - spot.held;
        capacity += nowCapacity - spot.capacity;
        spot.held = nowHeld;
        spot.capacity = nowCapacity;
    }

    /** 64-bit FNV-1a with the finalizer of MurmurHash3, so that similar strings are spread far apart. */
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
