package io.aitbc.coordinator.match;

import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.contracts.Requirements;
import io.aitbc.coordinator.agent.AnAgent;
import io.aitbc.coordinator.agent.Eligibility;
import io.aitbc.coordinator.balance.Candidate;
import io.aitbc.coordinator.balance.LoadBalancingStrategy;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.Random;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** Groups share a pool as long as they have the same suitable agents, whatever they require. */
class PoolsTest {
    private final Pools pools = new Pools(
            (member, group) ->
                    Eligibility.meetsRequirements(member.candidate.agent().registration(), group.requirements, true),
            () -> LoadBalancingStrategy.LEAST_CONNECTIONS.select(new Random(1)),
            () -> new AgedShare(0.1, new Random(1)));
    private final Member one = member("one", "hash", "ocr");
    private final Member two = member("two", "hash", "ocr");

    @Test
    void groupsWithTheSameAgentsShareAPool() {
        TaskGroup hash = joined("hash", one, two);
        TaskGroup ocr = joined("ocr", two, one);
        assertThat(hash.pool).isSameAs(ocr.pool);
        assertThat(one.pools).containsExactly(hash.pool);
    }

    @Test
    void groupsWithDifferentMinimumHealthDoNotShareAPool() {
        TaskGroup hash = joined("hash", one);
        TaskGroup healthy = new TaskGroup(Requirements.capabilities("hash"), new FairShares());
        pools.join(healthy, 0.9, Set.of(one));
        assertThat(healthy.pool).isNotSameAs(hash.pool);
    }

    @Test
    void aNewAgentSuitableForOnlySomeGroupsSplitsThePool() {
        TaskGroup hash = joined("hash", one, two);
        TaskGroup ocr = joined("ocr", one, two);
        TaskGroup both = joined("hash ocr", one, two);
        pools.join(member("three", "hash"));
        assertThat(ids(hash)).containsExactlyInAnyOrder("one", "two", "three");
        assertThat(ids(ocr)).containsExactlyInAnyOrder("one", "two");
        assertThat(ocr.pool).isSameAs(both.pool);
        assertThat(ocr.pool.groups).containsExactlyInAnyOrder(ocr, both);
        assertThat(hash.pool.groups).containsExactly(hash);
    }

    @Test
    void anAgentSuitableForAllGroupsJoinsAndLeavesTheSharedPool() {
        TaskGroup hash = joined("hash", one);
        TaskGroup ocr = joined("ocr", one);
        pools.join(two);
        assertThat(ids(hash)).containsExactlyInAnyOrder("one", "two");
        assertThat(hash.pool).isSameAs(ocr.pool);
        pools.leave(one);
        assertThat(ids(ocr)).containsExactly("two");
        assertThat(one.pools).isEmpty();
        // A group added now finds it, too.
        assertThat(joined("hash ocr", two).pool).isSameAs(hash.pool);
    }

    @Test
    void aPoolWithoutGroupsIsForgotten() {
        TaskGroup hash = joined("hash", one);
        pools.leave(hash);
        assertThat(one.pools).isEmpty();
    }

    private TaskGroup joined(String capabilities, Member... suited) {
        TaskGroup group = new TaskGroup(Requirements.capabilities(capabilities.split(" ")), new FairShares());
        pools.join(group, 0.5, new LinkedHashSet<>(Arrays.asList(suited)));
        return group;
    }

    private static Set<String> ids(TaskGroup group) {
        return group.pool.members().stream()
                .map(member -> member.candidate.id())
                .collect(Collectors.toSet());
    }

    private static Member member(String id, String... capabilities) {
        Member member = new Member(
                new Candidate(AnAgent.named(id).capabilities(capabilities).build()));
        member.score = 1;
        return member;
    }
}
