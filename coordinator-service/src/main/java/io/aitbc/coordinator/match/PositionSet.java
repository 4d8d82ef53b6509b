package io.aitbc.coordinator.match;

import java.util.BitSet;
import java.util.HashMap;
import java.util.Map;

/** A set of positions: a bit for each, in chunks of 8 KiB that exist while they contain any. */
final class PositionSet {
    private static final int CHUNK_BITS = 16;
    private static final int CHUNK_MASK = (1 << CHUNK_BITS) - 1;

    private record Key(int place, long chunk) {
        /** Stable across runs, and cheaper than the default. */
        @Override
        public int hashCode() {
            return 31 * place + Long.hashCode(chunk);
        }

        @Override
        public boolean equals(Object other) {
            return other instanceof Key key && key.place == place && key.chunk == chunk;
        }
    }

    private static final class Chunk {
        final BitSet bits = new BitSet();
        int size;
    }

    private final Map<Key, Chunk> chunks = new HashMap<>();
    private int size;

    /** Returns whether it was absent. */
    boolean add(Position position) {
        Chunk chunk = chunks.computeIfAbsent(key(position), key -> new Chunk());
        int bit = (int) position.offset() & CHUNK_MASK;
        if (chunk.bits.get(bit)) {
            return false;
        }
        chunk.bits.set(bit);
        chunk.size++;
        size++;
        return true;
    }

    void remove(Position position) {
        Key key = key(position);
        Chunk chunk = chunks.get(key);
        int bit = (int) position.offset() & CHUNK_MASK;
        if (chunk != null && chunk.bits.get(bit)) {
            chunk.bits.clear(bit);
            chunk.size--;
            size--;
            if (chunk.size == 0) {
                chunks.remove(key);
            }
        }
    }

    boolean contains(Position position) {
        Chunk chunk = chunks.get(key(position));
        return chunk != null && chunk.bits.get((int) position.offset() & CHUNK_MASK);
    }

    int size() {
        return size;
    }

    private static Key key(Position position) {
        return new Key(position.partition() << 3 | position.priority().ordinal(), position.offset() >>> CHUNK_BITS);
    }
}
