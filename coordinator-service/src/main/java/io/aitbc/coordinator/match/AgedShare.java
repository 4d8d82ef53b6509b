package io.aitbc.coordinator.match;

import java.util.random.RandomGenerator;

/**
 * Counts the contended choices of a pool and decides which of them go to aged tasks: with a share of a tenth, one in every ten.
 * Its position within the ten is drawn at random for each ten. A fixed position would resonate with strategies that take turns:
 * with two agents, every tenth choice always falls on the same one, and a task that only the other can run would starve. Pools
 * that live for only a few choices would never reach the tenth. Choices without competition are not counted, so no credit
 * accumulates.
 */
final class AgedShare {
    private static final int WHOLE = 1_000;

    private final int step;
    private final RandomGenerator random;
    private int counted;
    private int next;

    AgedShare(double share, RandomGenerator random) {
        this.step = (int) Math.round(share * WHOLE);
        this.random = random;
        this.next = random.nextInt(WHOLE);
    }

    /** Counts one contended choice; returns whether it goes to the aged task. */
    boolean nextGoesToAged() {
        boolean forAged = counted <= next && next < counted + step;
        counted += step;
        if (counted >= WHOLE) {
            counted -= WHOLE;
            next = random.nextInt(counted, WHOLE);
        }
        return forAged;
    }
}
