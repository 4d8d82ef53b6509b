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
 * points on a ring. A key belongs to the first agent after its own point whose load is within {@value #LOAD_BOUND} times its fair
 * share of all assignments, by capacity. When an agent joins or leaves, only the keys that belong to it move.
 */
final class HashRing implements Selection {
    /** Maximum load relative to the fair share, as in the paper's experiments and in HAProxy's documentation. */
    private static final double LOAD_BOUND = 1.25;

    /** Few, because the load bound evens out the random imbalance. */
    private static final int POINTS_PER_AGENT = 20;

    private final Map<Candidate, Node> nodes = new IdentityHashMap<>();
    /** The points of all known agents, including absent ones, in order; rebuilt when an agent joins or leaves for good. */
    private long[] points = {};

    private Node[] owners = {};
    private final List<Node> newNodes = new ArrayList<>();
    private boolean upToDate = true;
    private int present;
    private long held;
    private long capacity;

    /** An agent and its contribution to the totals. */
    private static final class Node {
        final Candidate candidate;
        boolean absent = true;
        boolean removed;
        int held;
        int capacity;

        Node(Candidate candidate) {
            this.candidate = candidate;
        }
    }

    @Override
    public @Nullable Candidate next(Task task) {
        if (present == 0) {
            return null;
        }
        if (!upToDate) {
            rebuild();
        }
        String key = task.requirements().affinityKey();
        int start = Arrays.binarySearch(points, toSignedOrder(hash(key == null ? String.valueOf(task.taskId()) : key)));
        int from = start < 0 ? -start - 1 : start;
        for (int i = 0; i < points.length; i++) {
            int index = from + i < points.length ? from + i : from + i - points.length;
            Node node = owners[index];
            if (!node.absent && node.held < Math.ceil(LOAD_BOUND * node.capacity * (held + 1) / capacity)) {
                return node.candidate;
            }
        }
        throw new IllegalStateException("all of " + present + " agents hold more than their share");
    }

    @Override
    public void put(Candidate candidate) {
        Node node = nodes.get(candidate);
        if (node == null) {
            node = new Node(candidate);
            nodes.put(candidate, node);
            newNodes.add(node);
            upToDate = false;
        }
        if (node.absent) {
            node.absent = false;
            present++;
        }
        count(node, candidate.held(), candidate.agent().capacity());
    }

    @Override
    public void remove(Candidate candidate) {
        Node node = nodes.get(candidate);
        if (node != null && !node.absent) {
            node.absent = true;
            present--;
            count(node, 0, 0);
        }
    }

    @Override
    public void forget(Candidate candidate) {
        remove(candidate);
        Node node = nodes.remove(candidate);
        if (node != null) {
            node.removed = true;
            // It may have joined after the last rebuild.
            newNodes.remove(node);
            upToDate = false;
        }
    }

    @Override
    public boolean isEmpty() {
        return present == 0;
    }

    /** Rebuilds the ring: sorts the new points and merges them with the others, which are in order, in one pass. */
    private void rebuild() {
        List<Point> added = new ArrayList<>(newNodes.size() * POINTS_PER_AGENT);
        for (Node node : newNodes) {
            for (int i = 0; i < POINTS_PER_AGENT; i++) {
                added.add(new Point(toSignedOrder(hash(node.candidate.id() + "#" + i)), node));
            }
        }
        added.sort(Point::compareTo);
        newNodes.clear();
        long[] allPoints = new long[points.length + added.size()];
        Node[] allOwners = new Node[allPoints.length];
        int size = 0;
        int next = 0;
        for (int i = 0; i < points.length; i++) {
            if (owners[i].removed) {
                continue;
            }
            while (next < added.size() && added.get(next).isBefore(points[i], owners[i])) {
                allPoints[size] = added.get(next).at;
                allOwners[size++] = added.get(next++).owner;
            }
            allPoints[size] = points[i];
            allOwners[size++] = owners[i];
        }
        for (; next < added.size(); next++) {
            allPoints[size] = added.get(next).at;
            allOwners[size++] = added.get(next).owner;
        }
        points = Arrays.copyOf(allPoints, size);
        owners = Arrays.copyOf(allOwners, size);
        upToDate = true;
    }

    /** Equal points are ordered by agent id, so that all coordinators build the same ring. */
    private record Point(long at, Node owner) implements Comparable<Point> {
        @Override
        public int compareTo(Point other) {
            return isBefore(other.at, other.owner) ? -1 : other.isBefore(at, owner) ? 1 : 0;
        }

        boolean isBefore(long otherAt, Node other) {
            return at < otherAt || at == otherAt && owner.candidate.id().compareTo(other.candidate.id()) < 0;
        }
    }

    /** Maps unsigned order to signed order. */
    private static long toSignedOrder(long hash) {
        return hash ^ Long.MIN_VALUE;
    }

    private void count(Node node, int nowHeld, int nowCapacity) {
        held += nowHeld - node.held;
        capacity += nowCapacity - node.capacity;
        node.held = nowHeld;
        node.capacity = nowCapacity;
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
