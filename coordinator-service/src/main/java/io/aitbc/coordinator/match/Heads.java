package io.aitbc.coordinator.match;

import io.aitbc.contracts.Priority;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.function.Function;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The heads of groups, one of each: by priority, then by turn of their keys, then by waiting time. A placement moves the start tag of its key on,
 * which concerns all groups. So the heads of a key are kept together, and looked at again when its turn comes.
 */
final class Heads {
    /** Up to this number of keys are kept for the next round. */
    private static final int MAX_KEPT = 64;

    private final Function<TaskGroup.Head, FairClock.Share> shareOf;
    private final Function<TaskGroup.Head, TaskGroup.@Nullable Head> renew;
    private final Map<FairClock.Share, OfKey> byKey = new HashMap<>();
    /** By level. */
    private final List<PriorityQueue<OfKey>> byTurn = Stream.generate(() -> new PriorityQueue<OfKey>())
            .limit(Priority.values().length)
            .toList();
    /** Where the last head was added. */
    private @Nullable OfKey last;

    /** The heads of one key. */
    private static final class OfKey implements Comparable<OfKey> {
        final FairClock.Share share;
        final int level;
        /** The start tag when it took its place: not higher than it is now. */
        double tag;

        /** The first of its heads when it took its place; null while it has none. */
        private @Nullable BacklogEntry first;
        /** Of groups in which no other key has tasks: they remain the heads of their groups, whatever the tag. */
        private final PriorityQueue<TaskGroup.Head> sole = new PriorityQueue<>(TaskGroup.Head.BY_WAITING);
        /** Of groups in which another key may be next once the tag has changed. */
        private final PriorityQueue<TaskGroup.Head> contested = new PriorityQueue<>(TaskGroup.Head.BY_WAITING);

        OfKey(FairClock.Share share, int level) {
            this.share = share;
            this.level = level;
        }

        void clear() {
            sole.clear();
            contested.clear();
            first = null;
        }

        PriorityQueue<TaskGroup.Head> next() {
            if (sole.isEmpty() || contested.isEmpty()) {
                return sole.isEmpty() ? contested : sole;
            }
            return TaskGroup.Head.BY_WAITING.compare(sole.peek(), contested.peek()) < 0 ? sole : contested;
        }

        boolean isEmpty() {
            return sole.isEmpty() && contested.isEmpty();
        }

        @Override
        public int compareTo(OfKey other) {
            int byTag = Double.compare(tag, other.tag);
            return byTag != 0 || first == null || other.first == null
                    ? byTag
                    : BacklogEntry.BY_TURN.compare(first, other.first);
        }
    }

    /**
     * @param shareOf the share in which heads have their turns
     * @param renew the present head of the group of an earlier one; null if there is none
     */
    Heads(Function<TaskGroup.Head, FairClock.Share> shareOf, Function<TaskGroup.Head, TaskGroup.@Nullable Head> renew) {
        this.shareOf = shareOf;
        this.renew = renew;
    }

    void clear() {
        for (PriorityQueue<OfKey> ofLevel : byTurn) {
            ofLevel.forEach(OfKey::clear);
            ofLevel.clear();
        }
        if (byKey.size() > MAX_KEPT) {
            byKey.clear();
            last = null;
        }
    }

    /** Adds the head of a group; none if it is null. */
    void add(TaskGroup.@Nullable Head head) {
        if (head == null) {
            return;
        }
        FairClock.Share share = shareOf.apply(head);
        OfKey heads = last;
        if (heads == null || heads.share != share) {
            heads = byKey.computeIfAbsent(share, unknown -> new OfKey(unknown, head.level()));
            last = heads;
        }
        if (heads.first == null) {
            heads.tag = share.start();
            heads.first = head.entry();
            byTurn.get(heads.level).add(heads);
        }
        (head.isSole() ? heads.sole : heads.contested).add(head);
    }

    /** The next head; null if there is none. */
    TaskGroup.@Nullable Head peek() {
        for (PriorityQueue<OfKey> ofLevel : byTurn) {
            for (OfKey heads = ofLevel.peek(); heads != null; heads = ofLevel.peek()) {
                TaskGroup.Head head = head(heads, ofLevel);
                if (head != null) {
                    return head;
                }
            }
        }
        return null;
    }

    /** The head of a key that is first; null if it was not first any more, or had none. */
    private TaskGroup.@Nullable Head head(OfKey heads, PriorityQueue<OfKey> ofLevel) {
        if (heads.isEmpty()) {
            ofLevel.poll();
            heads.first = null;
            return null;
        }
        if (heads.tag != heads.share.start()) {
            boolean isOnly = ofLevel.size() == 1;
            if (!isOnly) {
                ofLevel.poll();
            }
            heads.tag = heads.share.start();
            if (!isOnly) {
                ofLevel.add(heads);
            }
            if (!isOnly || !heads.contested.isEmpty()) {
                renewContested(heads);
                return null;
            }
        }
        PriorityQueue<TaskGroup.Head> next = heads.next();
        TaskGroup.Head head = next.element();
        if (head.isCurrent()) {
            return head;
        }
        next.remove();
        add(renew.apply(head));
        return null;
    }

    private void renewContested(OfKey heads) {
        if (!heads.contested.isEmpty()) {
            List<TaskGroup.Head> contested = List.copyOf(heads.contested);
            heads.contested.clear();
            contested.forEach(head -> add(renew.apply(head)));
        }
    }

    /** Removes and returns the next head; null if there is none. */
    TaskGroup.@Nullable Head poll() {
        TaskGroup.Head head = peek();
        if (head != null) {
            byTurn.get(head.level()).element().next().remove();
        }
        return head;
    }
}
