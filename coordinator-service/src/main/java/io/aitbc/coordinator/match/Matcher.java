package io.aitbc.coordinator.match;

import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Resources;
import io.aitbc.contracts.Task;
import io.aitbc.coordinator.agent.HealthPolicy;
import io.aitbc.coordinator.balance.Candidate;
import io.aitbc.coordinator.balance.LoadBalancingStrategy;
import io.aitbc.coordinator.balance.Selection;
import io.aitbc.coordinator.limit.AgentResource;
import io.aitbc.coordinator.limit.LimitState;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.random.RandomGenerator;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Places waiting tasks on agents. The eligible task of the highest priority is next, on the agent that the strategy selects. Within a priority,
 * fairness keys take turns. If an aged task of lower priority, here or at another coordinator, could take the same agent, the choice is contended;
 * a share of contended choices goes to aged tasks. A blocked group of tasks costs nothing until a relevant agent
 * changes.
 */
public final class Matcher {
    /** How long a slot is yielded to another coordinator; if unused, it becomes available here again. */
    static final Duration YIELD_DURATION = Duration.ofSeconds(1);
    /** The same for a lane that need not be notified: it knows that the slot is free. */
    private static final Duration FAIR_YIELD_DURATION = Duration.ofMillis(250);

    private final Aging aging;
    private final FairShares shares = new FairShares();
    private final Agents agents;
    private final Backlog backlog;
    private final Limits limits;

    private final KeptAgents kept;
    private final LocalWants localWants;
    private final RemoteWants remoteWants;
    private Set<Priority> paused = Set.of();
    /** Slots yielded to other coordinators in the last round. */
    private final List<SlotOffer> slotOffers = new ArrayList<>();
    /** When yielded slots are reclaimed. */
    private final PriorityQueue<Yielded> yieldedUntil = new PriorityQueue<>(Comparator.comparing(Yielded::until));
    /** Agents on which other coordinators yielded a slot to this one's aged tasks, and until when. */
    private final List<Offer> offers = new ArrayList<>();
    /** Pools whose groups had aged tasks at the start of the round. */
    private final List<Pool> withAged = new ArrayList<>();

    /** Groups whose aged tasks are passed over in this round. */
    private final List<TaskGroup> passedOver = new ArrayList<>();

    /** Pools whose agents are left free in this round for a task whose payload has been requested. */
    private final Set<Pool> withheld = new HashSet<>();

    /** The time of the current round. */
    private Instant now = Instant.EPOCH;

    private final Predicate<BacklogEntry> isAged = this::isAged;
    private final Predicate<BacklogEntry> hasWaitedLong = this::hasWaitedLong;
    /** Of the groups with open agents, in the current round. */
    private final Heads heads = new Heads(head -> head.queue().share, head -> next(head.group()));

    /** Whether another lane wants the agent that was chosen last, for the same priority. */
    private boolean isContended;
    /** Positions of placements in the aged share that have not been answered. */
    private final Set<Position> placedAged = new HashSet<>();
    /** The same of placements on agents that another lane wants. */
    private final Set<Position> placedContended = new HashSet<>();

    private record Yielded(Member member, Instant until) {}

    private record Offer(String agentId, Instant until) {}

    /** A matcher without a bound on memory. */
    public Matcher(HealthPolicy health, Aging aging, LoadBalancingStrategy strategy, RandomGenerator random) {
        this(health, aging, strategy, random, Long.MAX_VALUE);
    }

    /** @param payloadMemory heap bytes for the payloads of waiting tasks */
    public Matcher(
            HealthPolicy health,
            Aging aging,
            LoadBalancingStrategy strategy,
            RandomGenerator random,
            long payloadMemory) {
        this.aging = aging;
        this.agents = new Agents(health, aging, strategy, random);
        this.backlog = new Backlog(agents::open, agents::close, shares, payloadMemory);
        this.limits = backlog.limits();
        this.kept = new KeptAgents(aging.share());
        this.localWants = new LocalWants(backlog, agents, aging);
        this.remoteWants = new RemoteWants(agents);
    }

    public Backlog backlog() {
        return backlog;
    }

    /** What limits keep back. */
    public Limits limits() {
        return limits;
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
        if (shares.resetLate()) {
            backlog.groups().forEach(TaskGroup::replaceAll);
        }
        limits.begin(now);
        if (agents.haveResources() && kept.isDue(now)) {
            keepAgents();
        }
        for (TaskGroup group : limits.runnable()) {
            heads.add(next(group));
            recordAged(group);
        }
        List<Placement> placements = new ArrayList<>();
        useOffers(placements, limit);
        while (placements.size() < limit) {
            TaskGroup.Head head = heads.poll();
            if (head == null) {
                break;
            }
            if (!head.hasPayload()) {
                head.group().hasUnplaced = true;
                if (!backlog.isUnreachable(head.entry()) && head.group().awaitsPayload(head, now)) {
                    // Agents must not be taken by less urgent tasks meanwhile.
                    withheld.add(head.group().pool);
                } else {
                    backlog.passOver(head);
                    heads.add(next(head.group()));
                }
                continue;
            }
            if (!head.group().gates.isEmpty() && !admits(head)) {
                continue;
            }
            Candidate chosen = choose(head);
            head.group().hasUnplaced = chosen == null;
            if (chosen == null) {
                continue;
            }
            Member member = agents.of(chosen);
            if (!member.isKeptFor(head.group())
                    && (yieldToLaneBehind(head, member) || giveToAged(head, member, placements))) {
                heads.add(head);
            } else {
                if (isContended) {
                    shares.lanes(head.level()).placed();
                    placedContended.add(head.entry().position());
                }
                shares.charge(head.level(), head.queue(), head.task().task());
                place(head, member, placements);
                heads.add(next(head.group()));
            }
        }
        heads.clear();
        withAged.forEach(Pool::forgetAged);
        withAged.clear();
        withheld.clear();
        limits.end();
        passedOver.forEach(group -> group.isAgedPassedOver = false);
        passedOver.clear();
        return placements;
    }

    /** Whether limits allow the next head to start. If others may be before it, all are put in turn again. */
    private boolean admits(TaskGroup.Head head) {
        switch (limits.admit(head)) {
            case ADMITTED -> {
                return true;
            }
            case COMPARE -> {
                heads.add(head);
                limits.takeReleased().forEach(group -> heads.add(next(group)));
            }
            case IMPOSSIBLE -> {
                takeOut(head);
                heads.add(next(head.group()));
            }
            case KEPT_BACK -> {
                // Its group comes again when units are left.
            }
        }
        return false;
    }

    private void takeOut(TaskGroup.Head head) {
        backlog.take(head);
        limits.addImpossible(head.entry());
    }

    private boolean isAged(BacklogEntry entry) {
        return aging.isAged(entry, now);
    }

    private boolean hasWaitedLong(BacklogEntry entry) {
        return aging.hasWaitedLong(entry, now);
    }

    private TaskGroup.@Nullable Head next(TaskGroup group) {
        boolean isOpen = !group.pool.open.isEmpty();
        group.hasUnplaced = !isOpen && !group.isEmpty();
        return isOpen ? group.nextHead(paused) : null;
    }

    private void place(TaskGroup.Head head, Member member, List<Placement> placements) {
        Map<String, Long> uses = head.group().gates.isEmpty() ? Map.of() : limits.uses(head.task());
        limits.placed(uses);
        Placement placement = new Placement(head.task(), member.candidate.id(), uses);
        placements.add(placement);
        backlog.take(head);
        head.group().pool.open.chosen(member.candidate);
        member.candidate.placed(placement.resources());
        member.reorder();
    }

    /** If another lane that wants the agent for the same priority is behind this one, leaves it a slot. */
    private boolean yieldToLaneBehind(TaskGroup.Head head, Member member) {
        LaneBalance lanes = shares.lanes(head.level());
        isContended = false;
        for (LaneBalance.Other other : lanes.others()) {
            if (remoteWants.isWantedBy(other.coordinatorId, head.level(), member)) {
                isContended = true;
                if (lanes.isBehind(other)) {
                    other.yielded();
                    yieldSlot(member, now.plus(FAIR_YIELD_DURATION));
                    return true;
                }
            }
        }
        return false;
    }

    private void placeAged(TaskGroup.Head head, Member member, List<Placement> placements) {
        shares.chargeAged(head.queue(), head.task().task());
        placedAged.add(head.entry().position());
        place(head, member, placements);
    }

    /** If aged tasks compete for the chosen agent and this choice is theirs, gives it to the one that has waited longest. */
    private boolean giveToAged(TaskGroup.Head head, Member member, List<Placement> placements) {
        TaskGroup.Head here = withAged.isEmpty() ? null : nextAdmittedAged(head.level(), member);
        RemoteWants.Aged elsewhere = remoteWants.longestAged(head.level(), member);
        if (here != null && !here.hasPayload()) {
            // Not counted: it competes once its payload is there.
            return false;
        }
        if (here == null && elsewhere == null || !head.group().pool.agedShare.nextGoesToAged()) {
            return false;
        }
        if (here != null
                && (elsewhere == null
                        || !elsewhere.since().isBefore(here.entry().waitingSince()))) {
            placeAged(here, member, placements);
        } else if (elsewhere != null) {
            yieldSlot(member, elsewhere);
        }
        return true;
    }

    /** The next aged task that could start as far as limits are concerned. Others are passed over in this round; they have a turn of their own. */
    private TaskGroup.@Nullable Head nextAdmittedAged(int level, Member member) {
        TaskGroup.Head next = nextAged(level, member);
        while (next != null && next.hasPayload() && !limits.couldStart(next)) {
            next.group().isAgedPassedOver = true;
            passedOver.add(next.group());
            next = nextAged(level, member);
        }
        return next;
    }

    private TaskGroup.@Nullable Head nextAged(int level, Member member) {
        TaskGroup.Head longest = null;
        for (Pool pool : member.pools) {
            TaskGroup.Head head = pool.canTake(member) ? pool.nextAged(level, member) : null;
            if (head != null && (longest == null || TaskGroup.Head.BY_AGED_TURN.compare(head, longest) < 0)) {
                longest = head;
            }
        }
        return longest;
    }

    private void recordAged(TaskGroup group) {
        if (group.isEmpty()) {
            return;
        }
        if (group.pool.open.isEmpty()) {
            return;
        }
        List<TaskGroup.Head> aged = group.aged(isAged, paused);
        if (!aged.isEmpty()) {
            aged.forEach(head -> group.pool.recordAged(head, isAged));
            withAged.add(group.pool);
        }
    }

    /** Keeps agents free for tasks that have waited long for resources, as others that take less use each bit that becomes free. */
    private void keepAgents() {
        Set<Resources> taken = new HashSet<>();
        backlog.groups().forEach(group -> taken.add(group.requirements.resources()));
        remoteWants.addResources(taken);
        Map<TaskGroup, BlockedGroup> waiting = new HashMap<>();
        for (TaskGroup group : limits.runnable()) {
            boolean waits = !group.requirements.resources().isEmpty() && !group.isEmpty();
            BlockedGroup blocked = waits ? group.blocked(paused, hasWaitedLong) : null;
            if (blocked != null && Limits.room(group, now) > 0) {
                waiting.put(group, blocked);
            }
        }
        Map<TaskGroup, Integer> byWait = new LinkedHashMap<>();
        waiting.entrySet().stream()
                .sorted(Map.Entry.comparingByValue(Comparator.comparing(BlockedGroup::oldest)))
                .forEach(entry -> byWait.put(entry.getKey(), entry.getValue().tasks()));
        Map<Resources, Boolean> overtaken = new HashMap<>();
        kept.update(
                byWait,
                group -> group.pool.open.isEmpty()
                        && overtaken.computeIfAbsent(
                                group.requirements.resources(), needed -> isOvertaken(needed, taken)),
                now);
    }

    /** Whether tasks that take less of the same resources have come here of late, or wait in another lane. */
    private static boolean isOvertaken(Resources needed, Set<Resources> taken) {
        return taken.stream().anyMatch(other -> other.overlap(needed) && !other.cover(needed));
    }

    /** The agents that are kept free here for tasks that have waited long for resources. */
    public List<KeptAgent> keptAgents() {
        return kept.list();
    }

    /** Applies which agents other lanes keep free. */
    public void setKeptElsewhere(Collection<KeptAgent> agents, Instant at) {
        kept.setElsewhere(agents, this.agents::get, at);
    }

    // Between coordinators

    /** Reserves a slot for a task that waits at another coordinator. */
    private void yieldSlot(Member member, RemoteWants.Aged to) {
        to.slots--;
        yieldSlot(member, now.plus(YIELD_DURATION));
        slotOffers.add(new SlotOffer(to.coordinatorId, member.candidate.id()));
    }

    private void yieldSlot(Member member, Instant until) {
        member.yieldSlot(until);
        yieldedUntil.add(new Yielded(member, until));
        member.reorder();
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
            TaskGroup.Head aged = nextAdmittedAged(-1, member);
            if (aged != null && !aged.hasPayload()) {
                return false;
            }
            if (aged != null) {
                placeAged(aged, member, placements);
            }
            return true;
        });
    }

    /** The strategy's next agent, except those that must be left to others. */
    private @Nullable Candidate choose(TaskGroup.Head head) {
        Selection open = head.group().pool.open;
        Task task = head.task().task();
        List<Candidate> passedOver = new ArrayList<>(0);
        Candidate rejecter = null;
        Candidate chosen = open.next(task);
        while (chosen != null) {
            // Avoid the agent that rejected the task, if there is another.
            if (chosen.id().equals(task.rejectedBy())) {
                rejecter = chosen;
            } else if (isFree(chosen, head)) {
                break;
            }
            passedOver.add(chosen);
            open.remove(chosen);
            chosen = open.next(task);
        }
        passedOver.forEach(open::put);
        return chosen == null && rejecter != null && isFree(rejecter, head) ? rejecter : chosen;
    }

    /** Whether an agent need not be left to a more urgent task. */
    private boolean isFree(Candidate candidate, TaskGroup.Head head) {
        Member member = agents.of(candidate);
        return (member.isKeptFor(head.group()) || !remoteWants.isWantedByMoreUrgent(member, head.level()))
                && (withheld.isEmpty() || member.pools.stream().noneMatch(withheld::contains));
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
     * Applies how far other lanes have come that lack agents. One that is behind is left agents that it wants.
     *
     * @param elsewhere times by coordinator
     */
    public void setLaneTimes(Map<String, List<LaneTime>> elsewhere, Instant now) {
        for (int level = 0; level < Priority.values().length; level++) {
            Map<String, LaneTime> ofLevel = new TreeMap<>();
            for (Map.Entry<String, List<LaneTime>> lane : elsewhere.entrySet()) {
                for (LaneTime time : lane.getValue()) {
                    if (time.level() == level) {
                        ofLevel.put(lane.getKey(), time);
                    }
                }
            }
            shares.lanes(level).setOthers(ofLevel, now);
        }
    }

    /** How far this lane has come, for the priorities of these wants. */
    public List<LaneTime> laneTimes(List<Want> wants, Instant now) {
        List<LaneTime> times = new ArrayList<>();
        for (int level : wants.stream().map(Want::level).collect(Collectors.toCollection(TreeSet::new))) {
            Set<FairClock.Share> competing = new HashSet<>();
            for (TaskGroup group : limits.runnable()) {
                if (LocalWants.lacksAgents(group, now) && remoteWants.competes(group.pool, level)) {
                    group.addShares(level, competing);
                }
            }
            times.add(shares.lanes(level).report(level, competing, now));
        }
        return times;
    }

    /**
     * The local demand for agents that are full or left to others: at most {@code limit} groups of tasks, the most urgent first,
     * and as many aged ones, the longest waiting first.
     */
    public List<Want> wants(Instant now, int limit) {
        return localWants.list(paused, now, limit);
    }

    /**
     * The groups of waiting tasks for which no agent is free, those with the most tasks first. Groups in paused queues are left out, and tasks that
     * limits keep back.
     */
    public List<BlockedGroup> blocked(int limit) {
        backlog.tidy();
        PriorityQueue<BlockedGroup> largest = new PriorityQueue<>(Comparator.comparingInt(BlockedGroup::tasks));
        for (TaskGroup group : backlog.groups()) {
            BlockedGroup blocked = group.pool.open.isEmpty() && group.keptBackBy == null ? group.blocked(paused) : null;
            long room = blocked == null ? 0 : Limits.room(group, now);
            if (blocked != null && room > 0) {
                // What limits keep back would not start if there were more agents.
                largest.add(new BlockedGroup(
                        blocked.requirements(), (int) Math.min(room, blocked.tasks()), blocked.oldest()));
                if (largest.size() > limit) {
                    largest.poll();
                }
            }
        }
        return largest.stream()
                .sorted(Comparator.comparingInt(BlockedGroup::tasks).reversed())
                .toList();
    }

    /**
     * The fairness keys with the most waiting tasks, none if no task has a key. The cost is linear in the number of keys.
     *
     * @param limit how many at most
     */
    public List<WaitingKey> waitingKeys(int limit) {
        backlog.tidy();
        Map<String, WaitingKey> keys = new HashMap<>();
        backlog.groups().forEach(group -> group.addKeys(keys));
        if (keys.size() == 1 && keys.containsKey("")) {
            return List.of();
        }
        Comparator<WaitingKey> order =
                Comparator.comparingInt(WaitingKey::tasks).reversed().thenComparing(WaitingKey::key);
        PriorityQueue<WaitingKey> most = new PriorityQueue<>(order.reversed());
        for (WaitingKey key : keys.values()) {
            most.add(key);
            if (most.size() > limit) {
                most.poll();
            }
        }
        return most.stream().sorted(order).toList();
    }

    /**
     * The limits that keep most tasks back.
     *
     * @param most how many at most
     */
    public List<WaitingLimit> waitingLimits(int most, Instant now) {
        backlog.tidy();
        return limits.waiting(most, now);
    }

    /** The number of fairness keys, by priority and in the aged share, of which something is remembered. */
    int rememberedKeys() {
        return shares.size() + shares.queues();
    }

    /** Replaces the weights of fairness keys that operators have set; they take precedence over those of tasks. */
    public void setWeights(Map<String, Double> weights) {
        Set<String> changed = shares.setWeights(weights);
        backlog.groups().forEach(group -> changed.forEach(group::replace));
    }

    /** Stops placing tasks of these queues, and resumes all others. */
    public void pause(Set<Priority> queues) {
        paused = Set.copyOf(queues);
    }

    /**
     * Applies the registry's answer to a placement.
     *
     * @param held the number of assignments its agent now holds
     * @param granted whether this placement is one of them
     */
    public void answered(Placement placement, int held, boolean granted) {
        Member member = granted ? agents.get(placement.agentId()) : null;
        if (member != null) {
            kept.granted(member, placement.waiting(), now);
        }
        answered(placement, candidate -> candidate.placementAnswered(placement.resources(), held, granted));
    }

    /** Applies the registry's refusal of a placement because the agent is full. */
    public void refused(Placement placement, int held) {
        answered(placement, candidate -> candidate.placementRefused(placement.resources(), held));
    }

    private void answered(Placement placement, Consumer<Candidate> answer) {
        forgetCharge(placement);
        limits.answered(placement.uses());
        Member member = agents.get(placement.agentId());
        if (member != null) {
            int heldBefore = member.candidate.held();
            int yieldedBefore = member.candidate.yieldedSlots();
            boolean hadRoom = member.candidate.hasRoom();
            answer.accept(member.candidate);
            // Usually the count matches the expectation, and the order stays.
            if (member.candidate.held() != heldBefore
                    || member.candidate.yieldedSlots() != yieldedBefore
                    || member.candidate.hasRoom() != hadRoom
                    || !placement.resources().isEmpty()) {
                member.reorder();
            }
        }
    }

    /** Applies what Redis says about limits and resources of agents. */
    public void updateLimits(Map<String, LimitState> states) {
        Map<String, LimitState> others = new LinkedHashMap<>();
        states.forEach((name, state) -> {
            if (AgentResource.isName(name)) {
                agents.updateResourceInUse(AgentResource.named(name), state.used());
            } else {
                others.put(name, state);
            }
        });
        limits.update(others);
    }

    /** Notes that the registry refused a placement because of a limit, or for want of a resource of the agent, as {@link #updateLimits updated} before. */
    public void refused(Placement placement, String name, Instant at) {
        if (AgentResource.isName(name)) {
            Member member = agents.get(placement.agentId());
            if (member != null) {
                member.candidate.resourceRefused(
                        AgentResource.named(name).resource(), placement.held().getOrDefault(name, 0L));
                member.reorder();
            }
        } else {
            limits.refused(name, placement.uses().getOrDefault(name, 1L), at);
        }
    }

    /** Takes back what a key was charged for a placement that took no slot, before it is {@link #answered}. */
    public void refund(Placement placement) {
        WaitingTask task = placement.waiting();
        int level = task.position().priority().ordinal();
        if (placedContended.remove(task.position())) {
            shares.lanes(level).refused();
        }
        boolean wasAged = placedAged.remove(task.position());
        if (!placement.agentId().isEmpty()) {
            shares.refund(level, task.task(), wasAged);
            backlog.replace(task);
        }
    }

    private void forgetCharge(Placement placement) {
        if (!placedAged.isEmpty() || !placedContended.isEmpty()) {
            placedAged.remove(placement.waiting().position());
            placedContended.remove(placement.waiting().position());
        }
    }

    /** Stops counting a placement whose answer was lost; whether it was granted is unknown. */
    public void answerLost(Placement placement) {
        forgetCharge(placement);
        limits.answered(placement.uses());
        Member member = agents.get(placement.agentId());
        if (member != null) {
            member.candidate.placementAnswered(placement.resources());
            member.reorder();
        }
    }

    /** Discards all outstanding placements: the registry's latest counts apply. */
    public void forgetPlacements() {
        placedAged.clear();
        placedContended.clear();
        limits.forgetPlacements();
        for (Member member : agents.all()) {
            member.candidate.forgetPlacements();
            member.reorder();
        }
    }
}
