package io.aitbc.coordinator.match;

import java.util.random.RandomGenerator;

/**
 * Counts the contended choices of a pool and tells which of them go to the aged: with a share of a tenth, one of each ten. Its place among
 * the ten is drawn for each ten. A fixed one would resonate with strategies that take turns: with two agents, every tenth choice always
 * falls on the same one, and a task that only the other can run would starve. Nor would pools that live for a few choices ever come to a
 * tenth. While nothing competes, nothing is counted, so no credit builds up.
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

    /** Counts one contended choice; true if it goes to the aged. */
    boolean countIsForAged() {
        boolean forAged = counted <= next && next < counted + step;
        counted += step;
        if (counted >= WHOLE) {
            counted -= WHOLE;
            next = random.nextInt(counted, WHOLE);
        }
        return forAged;
    }
}
