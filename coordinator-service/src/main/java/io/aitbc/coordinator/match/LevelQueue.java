package io.aitbc.coordinator.match;

import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.ObjIntConsumer;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/** The waiting tasks of one group and one priority. Fairness keys take turns; within a key, the longest-waiting task is next. */
final class LevelQueue {
    /** Up to this many queues of keys are kept when they become empty. */
    private static final int MAX_KEPT = 64;

    private final FairShares shares;
    private final int level;
    private final Map<String, KeyQueue> byKey = new HashMap<>();
    /** Those with tasks. */
    private final KeyOrder inTurn;
    /** Those that had no aged task, the longest-waiting first. */
    private final KeyOrder young;
    /** Those that had an aged task, by turn in the aged share. */
    private final KeyOrder aged;
    /** Queues with payloads to be requested. */
    private final Set<KeyQueue> lacking = new LinkedHashSet<>();
    /** How many entries were near after the last promotion, less those taken since. */
    private int nearLeft;

    LevelQueue(FairShares shares, int level) {
        this.shares = shares;
        this.level = level;
        this.inTurn = new KeyOrder(0, queue -> queue.share.start(), this::emptied);
        this.young = new KeyOrder(1, queue -> 0, queue -> {});
        this.aged = new KeyOrder(2, queue -> queue.agedShare.start(), shares::pauseAged);
    }

    private void removeAged(KeyQueue queue) {
        if (aged.contains(queue)) {
            aged.remove(queue);
            shares.pauseAged(queue);
        }
    }

    private void emptied(KeyQueue queue) {
        shares.pause(level, queue);
        young.remove(queue);
        removeAged(queue);
        if (byKey.size() > MAX_KEPT && byKey.remove(queue.share.key, queue)) {
            shares.close(level, queue);
        }
    }

    /**
     * Adds an entry.
     *
     * @param hasRoom whether payloads of further tasks may be kept
     */
    void add(BacklogEntry entry, String key, boolean hasRoom) {
        KeyQueue queue = byKey.get(key);
        if (queue == null) {
            queue = shares.open(level, key);
            byKey.put(key, queue);
        }
        queue.add(entry, hasRoom);
        boolean isFirst = queue.head() == entry;
        if (!inTurn.contains(queue)) {
            shares.resume(level, queue, entry.task);
            inTurn.put(queue, entry);
        } else if (isFirst) {
            inTurn.put(queue, entry);
        }
        if (isFirst && aged.contains(queue)) {
            aged.put(queue, entry);
        } else if (isFirst && level > 0) {
            // Urgent tasks never age.
            young.put(queue, entry);
        }
        if (queue.hasUnrequested()) {
            lacking.add(queue);
        }
    }

    /** The key whose turn it is; null if no task waits. */
    @Nullable
    KeyQueue first() {
        return inTurn.first();
    }

    /** Whether only one key has tasks; false if that is uncertain. */
    boolean hasOneKey() {
        return inTurn.size() == 1;
    }

    /** The key whose turn it is in the aged share, among those with an aged task; null if there is none. */
    @Nullable
    KeyQueue firstAged(Predicate<BacklogEntry> isAged) {
        for (KeyQueue oldest = young.first(); oldest != null; oldest = young.first()) {
            BacklogEntry head = oldest.head();
            if (head == null || !isAged.test(head)) {
                break;
            }
            young.remove(oldest);
            shares.resumeAged(oldest);
            aged.put(oldest, head);
        }
        for (KeyQueue first = aged.first(); first != null; first = aged.first()) {
            BacklogEntry head = first.head();
            if (head != null && isAged.test(head)) {
                return first;
            }
            removeAged(first);
            if (head != null) {
                young.put(first, head);
            }
        }
        return null;
    }

    /** Removes the head of one of its queues. */
    void take(KeyQueue queue) {
        queue.pollHead();
        nearLeft--;
    }

    /** Sets the place of a key after its tags have decreased. */
    void replace(String key) {
        KeyQueue queue = byKey.get(key);
        BacklogEntry head = queue == null ? null : queue.head();
        if (queue == null || head == null) {
            return;
        }
        if (inTurn.contains(queue)) {
            inTurn.put(queue, head);
        }
        if (aged.contains(queue)) {
            aged.put(queue, head);
        }
    }

    /** Sets the places of all keys. */
    void replaceAll() {
        List.copyOf(byKey.keySet()).forEach(this::replace);
    }

    /** Adds the shares of the keys with tasks, until there are more than can be reported. */
    void addShares(Set<FairClock.Share> competing) {
        for (KeyQueue queue : byKey.values()) {
            if (competing.size() > LaneBalance.MAX_KEYS) {
                return;
            }
            if (queue.head() != null) {
                competing.add(queue.share);
            }
        }
    }

    /** The longest-waiting task, at a cost linear in the number of keys; null if there is none. */
    @Nullable
    BacklogEntry oldest() {
        BacklogEntry oldest = null;
        for (KeyQueue queue : byKey.values()) {
            BacklogEntry head = queue.head();
            if (head != null && (oldest == null || BacklogEntry.BY_TURN.compare(head, oldest) < 0)) {
                oldest = head;
            }
        }
        return oldest;
    }

    /** Adds the keys with tasks to others. */
    void addKeys(Map<String, WaitingKey> keys) {
        byKey.forEach((key, queue) -> {
            BacklogEntry head = queue.head();
            if (head != null) {
                keys.merge(key, new WaitingKey(key, queue.maxSize(), head.waitingSince()), WaitingKey::sum);
            }
        });
    }

    /** An upper bound on the number of its entries. */
    int maxSize() {
        return byKey.values().stream().mapToInt(KeyQueue::maxSize).sum();
    }

    /** Whether a key has tasks whose payloads have to be requested before their turn. */
    boolean lacksPayloads(String key) {
        KeyQueue queue = byKey.get(key);
        return queue != null && queue.lacksPayloads();
    }

    /** Whether payloads have to be requested now. */
    boolean hasUnrequested() {
        return !lacking.isEmpty();
    }

    /**
     * Brings the next entries near, once half of them have gone.
     *
     * @param most how many may be near
     */
    void promote(int most) {
        KeyQueue first = first();
        if (first == null) {
            return;
        }
        if (nearLeft > most / 2) {
            if (!isNear(first)) {
                // A key that has just come is first.
                first.promote(1);
                lacking.add(first);
            }
            return;
        }
        allot(most, (queue, share) -> {
            queue.promote(share);
            if (queue.hasUnrequested()) {
                lacking.add(queue);
            }
        });
    }

    private static boolean isNear(KeyQueue queue) {
        BacklogEntry head = queue.head();
        return head != null && head.isNear();
    }

    /**
     * Allots entries that may be near to the keys, equally, and at least one to each whose turn comes soon.
     *
     * @param allot called with a queue and the number of entries that may be near
     * @return the queues that may have such entries
     */
    private List<KeyQueue> allot(int most, ObjIntConsumer<KeyQueue> allot) {
        if (most == 0) {
            nearLeft = 0;
            return List.of();
        }
        int each = Math.max(1, most / Math.max(1, inTurn.size()));
        nearLeft = 0;
        return inTurn.first(queue -> {
            allot.accept(queue, Math.min(each, most - nearLeft));
            nearLeft += Math.max(1, queue.nearSize());
            return nearLeft >= most;
        });
    }

    /** Moves the entries whose payloads have to be requested to a list. */
    void takeUnrequested(List<BacklogEntry> requested) {
        lacking.forEach(queue -> queue.takeUnrequested(requested));
        lacking.clear();
    }

    /**
     * Puts off the entries after the first ones.
     *
     * @param kept how many remain near
     * @param unload drops the payload of an entry
     */
    void demote(int kept, Consumer<BacklogEntry> unload) {
        Set<KeyQueue> soon = new HashSet<>(allot(kept, (queue, share) -> queue.demote(share, unload)));
        for (KeyQueue queue : byKey.values()) {
            if (!soon.contains(queue)) {
                queue.demote(0, unload);
            }
        }
    }

    void forEach(Consumer<BacklogEntry> action) {
        byKey.values().forEach(queue -> queue.forEach(action));
    }

    /** Frees the memory of removed entries. */
    void purge() {
        byKey.values().forEach(KeyQueue::purge);
    }

    /** Gives up its queues, which are empty. */
    void close() {
        byKey.values().forEach(this::removeAged);
        byKey.values().forEach(queue -> shares.close(level, queue));
        byKey.clear();
    }
}
