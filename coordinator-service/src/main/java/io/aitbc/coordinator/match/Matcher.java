package io.aitbc.coordinator.match;

import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Task;
import io.aitbc.coordinator.agent.HealthPolicy;
import io.aitbc.coordinator.balance.Candidate;
import io.aitbc.coordinator.balance.LoadBalancingStrategy;
import io.aitbc.coordinator.balance.Selection;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.Set;
import java.util.function.Predicate;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/**
 * Places waiting tasks on agents. The eligible task of the highest priority is next, on the agent that the strategy selects. If
 * an aged task of lower priority, here or at another coordinator, could take the same agent, the choice is contended;
 * a share of contended choices goes to the task aged longest. A blocked group of tasks costs nothing until a relevant agent
 * changes.
 */
public final class Matcher {
    /** How long a slot is yielded to another coordinator; if unused, it becomes available here again. */
    static final Duration YIELD_DURATION = Duration.ofMillis(250);

    private final Aging aging;
    private final Agents agents;
    private final Backlog backlog;
    private final LocalWants localWants;
    private final RemoteWants remoteWants;
    private Set<Priority> paused = Set.of();
    /** Slots yielded to other coordinators in the last round. */
    private final List<SlotOffer> slotOffers = new ArrayList<>();
    /** When yielded slots are reclaimed. */
    private final Deque<Yielded> yieldedUntil = new ArrayDeque<>();
    /** Agents on which other coordinators yielded a slot to this one's aged tasks, and until when. */
    private final List<Offer> offers = new ArrayList<>();
    /** Pools whose groups had aged tasks at the start of the round. */
    private final List<Pool> withAged = new ArrayList<>();

    /** The time of the current round. */
    private Instant now = Instant.EPOCH;

    private record Yielded(Member member, Instant until) {}

    private record Offer(String agentId, Instant until) {}

    public Matcher(HealthPolicy health, Aging aging, LoadBalancingStrategy strategy, RandomGenerator random) {
        this.aging = aging;
        this.agents = new Agents(health, aging, strategy, random);
        this.backlog = new Backlog(agents::open, agents::close);
        this.localWants = new LocalWants(backlog, agents, aging);
        this.remoteWants = new RemoteWants(agents);
    }

    public Backlog backlog() {
        return backlog;
    }

    public Agents agents() {
        return agents;
    }

    public LoadBalancingStrategy strategy() {
        return agents.strategy();
    }

    public void switchStrategy(LoadBalancingStrategy strategy) {
        agents.switchStrategy(strategy, backlog.groups());
    }

    /** Places at most {@code limit} tasks. Each placement counts against its agent until {@link #answered}. */
    public List<Placement> match(Instant now, int limit) {
        this.now = now;
        slotOffers.clear();
        backlog.admitDue(now);
        reclaimSlots();
        PriorityQueue<TaskGroup.Turn> turns = new PriorityQueue<>();
        for (TaskGroup group : backlog.groups()) {
            addTurn(group, turns);
            recordAged(group);
        }
        List<Placement> placements = new ArrayList<>();
        useOffers(placements, limit);
        while (placements.size() < limit && !turns.isEmpty()) {
            TaskGroup.Turn turn = turns.poll();
            if (!turn.isCurrent()) {
                // Its head was already placed as an aged task.
                addTurn(turn.group(), turns);
                continue;
            }
            Candidate chosen = choose(turn);
            turn.group().hasUnplaced = chosen == null;
            if (chosen == null) {
                continue;
            }
            Member member = agents.of(chosen);
            if (goesToAged(turn, member, placements)) {
                turns.add(turn);
            } else {
                place(turn, member, placements);
                addTurn(turn.group(), turns);
            }
        }
        withAged.forEach(Pool::forgetAged);
        withAged.clear();
        return placements;
    }

    private void addTurn(TaskGroup group, PriorityQueue<TaskGroup.Turn> turns) {
        boolean isReady = group.isReady(now);
        TaskGroup.Turn turn = isReady ? group.turn(paused) : null;
        if (turn != null) {
            turns.add(turn);
        }
        group.hasUnplaced = !isReady && !group.isEmpty();
    }

    private void place(TaskGroup.Turn turn, Member member, List<Placement> placements) {
        backlog.take(turn);
        turn.group().pool.open.chosen(member.candidate);
        member.candidate.placed();
        member.reorder();
        placements.add(new Placement(turn.head(), member.candidate.id()));
    }

    /** If aged tasks compete for the chosen agent and this choice is theirs, gives it to the one that has waited longest. */
    private boolean goesToAged(TaskGroup.Turn turn, Member member, List<Placement> placements) {
        TaskGroup.Turn here = withAged.isEmpty() ? null : longestAged(turn.level(), member);
        RemoteWants.Aged elsewhere = remoteWants.longestAged(turn.level(), member);
        if (here == null && elsewhere == null || !turn.group().pool.agedShare.countIsForAged()) {
            return false;
        }
        if (here != null
                && (elsewhere == null || !elsewhere.since().isBefore(here.head().waitingSince()))) {
            place(here, member, placements);
        } else if (elsewhere != null) {
            yieldSlot(member, elsewhere);
        }
        return true;
    }

    private TaskGroup.@Nullable Turn longestAged(int level, Member member) {
        TaskGroup.Turn longest = null;
        for (Pool pool : member.pools) {
            TaskGroup.Turn turn =
                    pool.isOpenTo(member) ? pool.longestAged(level, member, task -> aging.isAged(task, now)) : null;
            if (turn != null && (longest == null || TaskGroup.Turn.BY_WAITING.compare(turn, longest) < 0)) {
                longest = turn;
            }
        }
        return longest;
    }

    private void recordAged(TaskGroup group) {
        if (group.pool.open.isEmpty() || group.isEmpty()) {
            return;
        }
        List<TaskGroup.Turn> aged = group.aged(aging, now, paused);
        if (!aged.isEmpty()) {
            aged.forEach(group.pool::recordAged);
            withAged.add(group.pool);
        }
    }

    // Between coordinators

    /** Reserves a slot for a task that waits at another coordinator. */
    private void yieldSlot(Member member, RemoteWants.Aged to) {
        to.slots--;
        Instant until = now.plus(YIELD_DURATION);
        member.yieldSlot(until);
        yieldedUntil.add(new Yielded(member, until));
        member.reorder();
        slotOffers.add(new SlotOffer(to.coordinatorId, member.candidate.id()));
    }

    private void reclaimSlots() {
        // If the clock was set back, slots must not stay reserved until it catches up.
        Predicate<Instant> isOver = until -> !until.isAfter(now) || until.isAfter(now.plus(YIELD_DURATION));
        while (!yieldedUntil.isEmpty() && isOver.test(yieldedUntil.peek().until())) {
            Member member = yieldedUntil.remove().member();
            member.reclaimSlots(isOver);
            member.reorder();
        }
    }

    /** Slots yielded to aged tasks at other coordinators in the last round. Those coordinators must be notified at once. */
    public List<SlotOffer> slotOffers() {
        return List.copyOf(slotOffers);
    }

    /** Records that another coordinator yielded a slot on each of these agents to the aged tasks here. */
    public void acceptOffers(Collection<String> agentIds, Instant at) {
        agentIds.forEach(id -> offers.add(new Offer(id, at.plus(YIELD_DURATION))));
    }

    /** Places aged tasks in slots that others yielded, regardless of other demand for these agents. */
    private void useOffers(List<Placement> placements, int limit) {
        offers.removeIf(offer -> {
            if (!offer.until().isAfter(now) || offer.until().isAfter(now.plus(YIELD_DURATION))) {
                return true;
            }
            Member member = agents.get(offer.agentId());
            if (placements.size() == limit || member == null || !member.candidate.hasRoom()) {
                // The notice of the free slot may arrive after the offer.
                return false;
            }
            TaskGroup.Turn aged = longestAged(-1, member);
            if (aged != null) {
                place(aged, member, placements);
            }
            return true;
        });
    }

    /** The strategy's next agent, except those that must be left to others. */
    private @Nullable Candidate choose(TaskGroup.Turn turn) {
        Selection open = turn.group().pool.open;
        Task task = turn.head().task();
        List<Candidate> passedOver = new ArrayList<>(0);
        Candidate rejecter = null;
        Candidate chosen = open.next(task);
        while (chosen != null) {
            // Avoid the agent that rejected the task, if there is another.
            if (chosen.id().equals(task.rejectedBy())) {
                rejecter = chosen;
            } else if (!remoteWants.isWantedMore(agents.of(chosen), turn.level())) {
                break;
            }
            passedOver.add(chosen);
            open.remove(chosen);
            chosen = open.next(task);
        }
        passedOver.forEach(open::put);
        return chosen == null && rejecter != null && !remoteWants.isWantedMore(agents.of(rejecter), turn.level())
                ? rejecter
                : chosen;
    }

    /**
     * Applies the demand of other lanes for agents that are full. Once these agents have capacity, they are left to tasks of
     * higher priority, and the aged share to aged tasks.
     *
     * @param elsewhere wants by coordinator
     */
    public void setRemoteWants(Map<String, List<Want>> elsewhere) {
        remoteWants.set(elsewhere);
    }

    /**
     * The local demand for agents that are full or left to others: at most {@code limit} groups of tasks, the most urgent first,
     * and as many aged ones, the longest waiting first.
     */
    public List<Want> wants(Instant now, int limit) {
        return localWants.list(paused, now, limit);
    }

    /** Stops placing tasks of these queues, and resumes all others. */
    public void pause(Set<Priority> queues) {
        paused = Set.copyOf(queues);
    }

    /** Applies the registry's answer to a placement: the number of assignments its agent now holds. */
    public void answered(Placement placement, int held) {
        Member member = agents.get(placement.agentId());
        if (member != null) {
            int before = member.candidate.held();
            int leftBefore = member.candidate.yieldedSlots();
            member.candidate.answered(held);
            // Usually the count matches the expectation, and the order stays.
            if (member.candidate.held() != before || member.candidate.yieldedSlots() != leftBefore) {
                member.reorder();
            }
        }
    }

    /** Discards a placement that could not be sent to the registry. */
    public void unanswered(Placement placement) {
        Member member = agents.get(placement.agentId());
        if (member != null) {
            member.candidate.answered();
            member.reorder();
        }
    }

    /** Discards all outstanding placements: the registry's latest counts apply. */
    public void forgetPlacements() {
        for (Member member : agents.all()) {
            member.candidate.forgetPlacements();
            member.reorder();
        }
    }
}
