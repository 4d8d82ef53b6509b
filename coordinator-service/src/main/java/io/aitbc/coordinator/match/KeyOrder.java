package io.aitbc.coordinator.match;

import java.util.ArrayList;
import java.util.List;
import java.util.PriorityQueue;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.function.ToDoubleFunction;
import org.jspecify.annotations.Nullable;

/**
 * Queues of keys in an order: by a tag, then by how long their first tasks have waited. Tags increase and tasks are taken from the front, so a
 * queue may be later than its place says: whether a place is still right is checked when it is the first. If a tag is reduced, or a task is added in
 * front, {@link #put} sets the place.
 */
final class KeyOrder {
    /** Up to this number, outdated places are not searched for. */
    private static final int MAX_OUTDATED = 64;

    private final int number;
    private final ToDoubleFunction<KeyQueue> tag;
    private final Consumer<KeyQueue> emptied;
    private final PriorityQueue<Place> places = new PriorityQueue<>();
    /** The number of queues. */
    private int size;
    /** The only queue, which needs no place: mostly, tasks have no keys. Null if there are several, or were since there was none. */
    private @Nullable KeyQueue only;

    /** A place, as of when it was taken. It does not refer to the first task, which would keep its payload in memory. */
    record Place(double tag, long sinceMs, int partition, long offset, KeyQueue queue) implements Comparable<Place> {
        private boolean isOf(BacklogEntry head) {
            return offset == head.offset() && partition == head.partition();
        }

        @Override
        public int compareTo(Place other) {
            int byTag = Double.compare(tag, other.tag);
            int bySince = byTag != 0 ? byTag : Long.compare(sinceMs, other.sinceMs);
            int byPartition = bySince != 0 ? bySince : Integer.compare(partition, other.partition);
            return byPartition != 0 ? byPartition : Long.compare(offset, other.offset);
        }
    }

    /**
     * @param number of this order, below {@link KeyQueue#ORDERS}
     * @param emptied called with a queue that leaves the order because it has no tasks
     */
    KeyOrder(int number, ToDoubleFunction<KeyQueue> tag, Consumer<KeyQueue> emptied) {
        this.number = number;
        this.tag = tag;
        this.emptied = emptied;
    }

    int size() {
        return size;
    }

    boolean contains(KeyQueue queue) {
        return only == queue || queue.places[number] != null;
    }

    /** Adds a queue, or gives it another place, by its first task. */
    void put(KeyQueue queue, BacklogEntry head) {
        if (size == 0) {
            only = queue;
            size = 1;
        } else if (only != queue) {
            placeOnly();
            if (!contains(queue)) {
                size++;
            }
            place(queue, head);
        }
    }

    private void placeOnly() {
        KeyQueue queue = only;
        if (queue == null) {
            return;
        }
        only = null;
        BacklogEntry head = queue.head();
        if (head == null) {
            size--;
            emptied.accept(queue);
        } else {
            place(queue, head);
        }
    }

    private void place(KeyQueue queue, BacklogEntry head) {
        Place place = new Place(
                tag.applyAsDouble(queue), head.waitingSince().toEpochMilli(), head.partition(), head.offset(), queue);
        queue.places[number] = place;
        places.add(place);
        if (places.size() > 2 * size + MAX_OUTDATED) {
            places.removeIf(one -> one.queue.places[number] != one);
        }
    }

    void remove(KeyQueue queue) {
        if (contains(queue)) {
            only = only == queue ? null : only;
            queue.places[number] = null;
            size--;
        }
    }

    /** The first queue; null if there is none. */
    @Nullable
    KeyQueue first() {
        if (only != null) {
            KeyQueue queue = only;
            if (queue.head() != null) {
                return queue;
            }
            remove(queue);
            emptied.accept(queue);
            return null;
        }
        for (Place first = places.peek(); first != null; first = places.peek()) {
            KeyQueue queue = first.queue;
            BacklogEntry head = queue.head();
            if (queue.places[number] != first) {
                places.poll();
            } else if (head == null) {
                places.poll();
                remove(queue);
                emptied.accept(queue);
            } else if (first.tag == tag.applyAsDouble(queue) && first.isOf(head)) {
                return queue;
            } else {
                places.poll();
                place(queue, head);
            }
        }
        return null;
    }

    /**
     * The first queues, in order.
     *
     * @param isEnough applied to each; true ends the list
     */
    List<KeyQueue> first(Predicate<KeyQueue> isEnough) {
        placeOnly();
        List<Place> passed = new ArrayList<>();
        KeyQueue next = first();
        while (next != null) {
            passed.add(places.remove());
            next = isEnough.test(next) ? null : first();
        }
        places.addAll(passed);
        return passed.stream().map(Place::queue).toList();
    }
}
