package io.aitbc.coordinator.match;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.PriorityQueue;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The waiting tasks of one group, priority and fairness key, by turn. The payloads of those whose turn is near are in memory, or requested;
 * the others are entries only. No entry that is far precedes one that is near.
 */
final class KeyQueue {
    /** The number of orders in which it can be. */
    static final int ORDERS = 3;
    /** Small at first: there may be as many queues as tasks. */
    private static final int INITIAL_CAPACITY = 2;

    final FairClock.Share share;
    final FairClock.Share agedShare;
    /** Its places in the orders of its {@link LevelQueue}, see {@link KeyOrder}. */
    final KeyOrder.@Nullable Place[] places = new KeyOrder.Place[ORDERS];

    private final PriorityQueue<BacklogEntry> near = new PriorityQueue<>(INITIAL_CAPACITY, BacklogEntry.BY_TURN);
    private final PriorityQueue<BacklogEntry> far = new PriorityQueue<>(INITIAL_CAPACITY, BacklogEntry.BY_TURN);
    /** Near, and their payloads have to be requested. */
    private final Deque<BacklogEntry> unrequested = new ArrayDeque<>(INITIAL_CAPACITY);
    /** At least as late as any near entry; null if there is none. */
    private @Nullable BacklogEntry lastNear;

    KeyQueue(FairClock.Share share, FairClock.Share agedShare) {
        this.share = share;
        this.agedShare = agedShare;
    }

    /**
     * Adds an entry.
     *
     * @param hasRoom whether payloads of further tasks may be kept
     */
    void add(BacklogEntry entry, boolean hasRoom) {
        boolean mustBeNear = lastNear != null && precedes(entry, lastNear);
        if (mustBeNear || hasRoom && entry.task != null && (first(far) == null || precedes(entry, far.peek()))) {
            addNear(entry);
        } else {
            far.add(entry);
        }
    }

    private void addNear(BacklogEntry entry) {
        entry.setNear(true);
        near.add(entry);
        if (lastNear == null || precedes(lastNear, entry)) {
            lastNear = entry;
        }
        if (entry.task == null) {
            unrequested.add(entry);
        }
    }

    private static boolean precedes(BacklogEntry one, @Nullable BacklogEntry other) {
        return other != null && BacklogEntry.BY_TURN.compare(one, other) < 0;
    }

    /** The first entry; null if there is none. */
    @Nullable
    BacklogEntry head() {
        BacklogEntry first = first(near);
        if (first == null) {
            lastNear = null;
            first = first(far);
        }
        return first;
    }

    private static @Nullable BacklogEntry first(PriorityQueue<BacklogEntry> queue) {
        BacklogEntry first = queue.peek();
        while (first != null && first.isRemoved()) {
            queue.poll();
            first = queue.peek();
        }
        return first;
    }

    /** Removes the head. */
    void pollHead() {
        (first(near) == null ? far : near).poll();
    }

    /** An upper bound on the number of its entries. */
    int maxSize() {
        return near.size() + far.size();
    }

    /** How many of its entries are near, including removed ones. */
    int nearSize() {
        return near.size();
    }

    /** Whether it has entries whose payloads have to be requested before their turn. */
    boolean lacksPayloads() {
        return !far.isEmpty() || !unrequested.isEmpty();
    }

    /** Whether payloads have to be requested now. */
    boolean hasUnrequested() {
        return !unrequested.isEmpty();
    }

    /**
     * Brings the next entries near, once half of them have gone.
     *
     * @param most how many may be near
     */
    void promote(int most) {
        if (near.size() > most / 2) {
            return;
        }
        while (near.size() < most && first(far) != null) {
            addNear(far.remove());
        }
    }

    /** Moves the entries whose payloads have to be requested to a list. */
    void takeUnrequested(List<BacklogEntry> requested) {
        for (BacklogEntry entry = unrequested.poll(); entry != null; entry = unrequested.poll()) {
            if (!entry.isRemoved() && entry.task == null && entry.isNear()) {
                requested.add(entry);
            }
        }
    }

    /**
     * Puts off the entries after the first ones.
     *
     * @param kept how many remain near
     * @param unload drops the payload of an entry
     */
    void demote(int kept, Consumer<BacklogEntry> unload) {
        if (near.size() <= kept) {
            return;
        }
        List<BacklogEntry> inOrder = new ArrayList<>(near.size());
        for (BacklogEntry entry : near) {
            if (!entry.isRemoved()) {
                inOrder.add(entry);
            }
        }
        inOrder.sort(BacklogEntry.BY_TURN);
        near.clear();
        lastNear = null;
        for (BacklogEntry entry : inOrder) {
            if (near.size() < kept) {
                near.add(entry);
                lastNear = entry;
            } else {
                entry.setNear(false);
                unload.accept(entry);
                far.add(entry);
            }
        }
    }

    void forEach(Consumer<BacklogEntry> action) {
        near.forEach(entry -> ifPresent(entry, action));
        far.forEach(entry -> ifPresent(entry, action));
    }

    private static void ifPresent(BacklogEntry entry, Consumer<BacklogEntry> action) {
        if (!entry.isRemoved()) {
            action.accept(entry);
        }
    }

    /** Frees the memory of removed entries. */
    void purge() {
        near.removeIf(BacklogEntry::isRemoved);
        far.removeIf(BacklogEntry::isRemoved);
        unrequested.removeIf(BacklogEntry::isRemoved);
    }
}
