package io.aitbc.coordinator.match;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * The heads of groups, one of each: by priority, then by turn of their keys, then by waiting time. A placement moves the start tag of its key on,
 * which concerns all groups. So the heads of a key are kept together, and looked at again when its turn comes.
 */
final class Heads {
    private final Function<TaskGroup.Head, FairClock.Share> shareOf;
    private final Function<TaskGroup.Head, TaskGroup.@Nullable Head> renew;
    private final Map<FairClock.Share, OfKey> byKey = new HashMap<>();
    private final PriorityQueue<OfKey> byTurn = new PriorityQueue<>();

    /** The heads of one key. */
    private static final class OfKey implements Comparable<OfKey> {
        final FairClock.Share share;
        final int level;
        /** The start tag when it took its place: not higher than it is now. */
        double tag;

        private final BacklogEntry first;
        /** Of groups in which no other key has tasks: they remain the heads of their groups, whatever the tag. */
        private final PriorityQueue<TaskGroup.Head> sole = new PriorityQueue<>(TaskGroup.Head.BY_WAITING);
        /** Of groups in which another key may be next once the tag has changed. */
        private final PriorityQueue<TaskGroup.Head> contested = new PriorityQueue<>(TaskGroup.Head.BY_WAITING);

        OfKey(FairClock.Share share, TaskGroup.Head first) {
            this.share = share;
            this.level = first.level();
            this.tag = share.start();
            this.first = first.entry();
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
            int byLevel = Integer.compare(level, other.level);
            int byTag = byLevel != 0 ? byLevel : Double.compare(tag, other.tag);
            return byTag != 0 ? byTag : BacklogEntry.BY_TURN.compare(first, other.first);
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
        byKey.clear();
        byTurn.clear();
    }

    /** Adds the head of a group; none if it is null. */
    void add(TaskGroup.@Nullable Head head) {
        if (head == null) {
            return;
        }
        FairClock.Share share = shareOf.apply(head);
        OfKey heads = byKey.get(share);
        if (heads == null) {
            heads = new OfKey(share, head);
            byKey.put(share, heads);
            byTurn.add(heads);
        }
        (head.isSole() ? heads.sole : heads.contested).add(head);
    }

    /** The next head; null if there is none. */
    TaskGroup.@Nullable Head peek() {
        for (OfKey heads = byTurn.peek(); heads != null; heads = byTurn.peek()) {
            if (heads.isEmpty()) {
                byTurn.poll();
                byKey.remove(heads.share);
            } else if (heads.tag != heads.share.start()) {
                byTurn.poll();
                heads.tag = heads.share.start();
                byTurn.add(heads);
                List<TaskGroup.Head> contested = new ArrayList<>(heads.contested);
                heads.contested.clear();
                contested.forEach(head -> add(renew.apply(head)));
            } else {
                TaskGroup.Head head = heads.next().element();
                if (head.isCurrent()) {
                    return head;
                }
                heads.next().remove();
                add(renew.apply(head));
            }
        }
        return null;
    }

    /** Removes and returns the next head; null if there is none. */
    TaskGroup.@Nullable Head poll() {
        TaskGroup.Head head = peek();
        if (head != null) {
            byTurn.element().next().remove();
        }
        return head;
    }
}
