package io.aitbc.coordinator.match;

import io.aitbc.contracts.Resources;
import io.aitbc.coordinator.balance.Selection;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.BiPredicate;
import java.util.function.Supplier;

/** All pools. Groups with the same suitable agents share one. */
final class Pools {
    private final BiPredicate<Member, TaskGroup> suits;
    private final Supplier<Selection> newSelection;
    private final Supplier<AgedShare> newShare;
    private final Set<Pool> all = new LinkedHashSet<>();
    private final Map<Pool.Signature, Pool> bySignature = new HashMap<>();

    /**
     * @param suits whether an agent has the static properties that a group requires
     * @param newSelection makes a selection for the current strategy
     */
    Pools(BiPredicate<Member, TaskGroup> suits, Supplier<Selection> newSelection, Supplier<AgedShare> newShare) {
        this.suits = suits;
        this.newSelection = newSelection;
        this.newShare = newShare;
    }

    /**
     * Assigns a group to its pool.
     *
     * @param suited the agents that suit it
     */
    void join(TaskGroup group, double minHealth, Set<Member> suited) {
        Resources needed = group.requirements.resources();
        Pool pool = bySignature.get(Pool.signature(minHealth, needed, suited));
        if (pool == null || !pool.members().equals(suited)) {
            pool = new Pool(minHealth, needed, newSelection.get(), newShare.get());
            suited.forEach(pool::add);
            all.add(pool);
            bySignature.put(pool.signature(), pool);
        }
        pool.groups.add(group);
        group.pool = pool;
    }

    void leave(TaskGroup group) {
        Pool pool = group.pool;
        pool.groups.remove(group);
        if (pool.groups.isEmpty()) {
            bySignature.remove(pool.signature(), pool);
            all.remove(pool);
            pool.members().forEach(member -> member.pools.remove(pool));
        }
    }

    /** Adds a new agent to the pools of the groups it suits. If it suits only some groups of a pool, these move to another pool. */
    void join(Member member) {
        for (Pool pool : List.copyOf(all)) {
            Set<TaskGroup> suited = new LinkedHashSet<>();
            for (TaskGroup group : pool.groups) {
                if (suits.test(member, group)) {
                    suited.add(group);
                }
            }
            if (suited.size() == pool.groups.size()) {
                change(pool, () -> pool.add(member));
            } else if (!suited.isEmpty()) {
                Set<Member> members = new LinkedHashSet<>(pool.members());
                members.add(member);
                for (TaskGroup group : suited) {
                    pool.groups.remove(group);
                    join(group, pool.minHealth, members);
                }
            }
        }
    }

    /** Removes an agent that has left, or whose properties have changed. */
    void leave(Member member) {
        for (Pool pool : List.copyOf(member.pools)) {
            change(pool, () -> pool.leave(member));
        }
    }

    void clear() {
        all.forEach(pool -> pool.members().forEach(member -> member.pools.remove(pool)));
        all.clear();
        bySignature.clear();
    }

    private void change(Pool pool, Runnable change) {
        bySignature.remove(pool.signature(), pool);
        change.run();
        bySignature.putIfAbsent(pool.signature(), pool);
    }
}
