package io.aitbc.coordinator.match;

import java.util.BitSet;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

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
    /** The last chunk that was used: positions come in sequences. */
    private Key lastKey = new Key(-1, -1);

    private @Nullable Chunk last;

    /** Returns whether it was absent. */
    boolean add(Position position) {
        Chunk chunk = chunk(position);
        if (chunk == null) {
            chunk = new Chunk();
            chunks.put(lastKey, chunk);
            last = chunk;
        }
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
        Chunk chunk = chunk(position);
        int bit = (int) position.offset() & CHUNK_MASK;
        if (chunk != null && chunk.bits.get(bit)) {
            chunk.bits.clear(bit);
            chunk.size--;
            size--;
            if (chunk.size == 0) {
                chunks.remove(lastKey);
                last = null;
            }
        }
    }

    boolean contains(Position position) {
        Chunk chunk = chunk(position);
        return chunk != null && chunk.bits.get((int) position.offset() & CHUNK_MASK);
    }

    int size() {
        return size;
    }

    private @Nullable Chunk chunk(Position position) {
        int place = position.partition() << 3 | position.priority().ordinal();
        long number = position.offset() >>> CHUNK_BITS;
        if (lastKey.place != place || lastKey.chunk != number) {
            lastKey = new Key(place, number);
            last = chunks.get(lastKey);
        }
        return last;
    }
}
