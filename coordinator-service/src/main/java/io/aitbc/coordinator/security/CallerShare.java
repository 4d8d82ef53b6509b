package io.aitbc.coordinator.security;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;

/** Bounds what one credential may have open at a coordinator, so that it does not take the places of all others. Thread-safe. */
public final class CallerShare {
    private final int most;
    private final int mostOfScope;
    private final Map<String, Integer> open = new ConcurrentHashMap<>();

    /**
     * @param most for a credential that may see all tasks; while security is off, everyone has the same one, and is not bounded
     * @param mostOfScope for a credential that may not
     */
    public CallerShare(int most, int mostOfScope) {
        this.most = most;
        this.mostOfScope = mostOfScope;
    }

    /** Counts one more, to be released later; false if the caller has too many. */
    public boolean tryAcquire(Caller caller) {
        if (caller.equals(Caller.ANYONE)) {
            return true;
        }
        int limit = caller.isScoped() || caller.taskId() != null ? mostOfScope : most;
        AtomicBoolean acquired = new AtomicBoolean();
        open.compute(caller.credential(), (credential, before) -> {
            int count = before == null ? 0 : before;
            acquired.set(count < limit);
            return count < limit ? Integer.valueOf(count + 1) : before;
        });
        return acquired.get();
    }

    public void release(Caller caller) {
        open.computeIfPresent(caller.credential(), (key, count) -> count == 1 ? null : count - 1);
    }
}
