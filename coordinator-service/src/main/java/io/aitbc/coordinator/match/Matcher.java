package io.aitbc.coordinator.match;

import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Registration;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Task;
import io.aitbc.coordinator.agent.Agent;
import io.aitbc.coordinator.agent.Eligibility;
import io.aitbc.coordinator.agent.Health;
import io.aitbc.coordinator.agent.HealthPolicy;
import io.aitbc.coordinator.balance.Candidate;
import io.aitbc.coordinator.balance.LoadBalancingStrategy;
import io.aitbc.coordinator.balance.Selection;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.Deque;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.PriorityQueue;
import java.util.Set;
import java.util.function.Predicate;
import java.util.random.RandomGenerator;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Places waiting tasks on agents. The eligible task of the highest priority is always next, on the agent that the strategy
 * selects. If an aged task of lower priority, here or at another coordinator, could take the same agent, the choice is contended;
 * a share of contended choices goes to the task aged longest. A blocked group of tasks costs nothing until a relevant agent
 * changes.
 */
public final class Matcher {
    /** Re-evaluation interval while an agent's health changes with time. */
    private static final Duration REEVALUATION_INTERVAL = Duration.ofSeconds(1);

    /** How long a slot is yielded to another coordinator; if unused, it becomes available here again. */
    static final Duration YIELD_DURATION = Duration.ofMillis(250);

    private final HealthPolicy health;
    private final Aging aging;
    private final RandomGenerator random;
    private final Pools pools = new Pools(this::suits, this::newSelection, this::newShare);
    private final Backlog backlog = new Backlog(this::open, pools::leave);
    private final Map<String, Member> members = new HashMap<>();
    /** Scheduled re-evaluations of agents whose health changes with time alone. */
    private final PriorityQueue<Reevaluation> reevaluations =
            new PriorityQueue<>(Comparator.comparing(Reevaluation::at));

    private LoadBalancingStrategy strategy;
    private Set<Priority> paused = Set.of();
    private List<Want> remoteWants = List.of();
    /** Wants of aged tasks at other coordinators, the longest waiting first. */
    private final List<RemoteAgedWant> remoteAgedWants = new ArrayList<>();
    /** Slots yielded to other coordinators in the last round. */
    private final List<SlotOffer> slotOffers = new ArrayList<>();
    /** When yielded slots are reclaimed. */
    private final Deque<Reevaluation> yieldedUntil = new ArrayDeque<>();
    /** Agents on which other coordinators yielded a slot to this one's aged tasks, and until when. */
    private final List<Offer> offers = new ArrayList<>();
    /** Pools whose groups had aged tasks at the start of the round. */
    private final List<Pool> withAged = new ArrayList<>();

    /** The time of the latest call, for groups opened between rounds. */
    private Instant now = Instant.EPOCH;

    private record Reevaluation(Instant at, Member member) {}

    private record Offer(String agentId, Instant until) {}

    private static final class RemoteAgedWant {
        final String coordinatorId;
        final Want want;
        /** How many more slots may be yielded to it before its next report. */
        int places;

        RemoteAgedWant(String coordinatorId, Want want) {
            this.coordinatorId = coordinatorId;
            this.want = want;
            this.places = want.aged().tasks();
        }

        Instant since() {
            return want.aged().since();
        }
    }

    public Matcher(HealthPolicy health, Aging aging, LoadBalancingStrategy strategy, RandomGenerator random) {
        this.health = health;
        this.aging = aging;
        this.strategy = strategy;
        this.random = random;
    }

    public Backlog backlog() {
        return backlog;
    }

    public LoadBalancingStrategy strategy() {
        return strategy;
    }

    /** The number of known agents, whatever their state. */
    public int agentCount() {
        return members.size();
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
            Member member = members.get(chosen.id());
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
        reorder(member);
        placements.add(new Placement(turn.head(), member.candidate.id()));
    }

    /** If aged tasks compete for the chosen agent and this choice is theirs, gives it to the one that has waited longest. */
    private boolean goesToAged(TaskGroup.Turn turn, Member member, List<Placement> placements) {
        TaskGroup.Turn here = withAged.isEmpty() ? null : longestAged(turn.level(), member);
        RemoteAgedWant elsewhere = remoteAgedWants.isEmpty() ? null : longestRemoteAged(turn.level(), member);
        if (here == null && elsewhere == null || !turn.group().pool.agedShare.countIsForAged()) {
            return false;
        }
        if (elsewhere == null
                || here != null && !elsewhere.since().isBefore(here.head().waitingSince())) {
            place(here, member, placements);
        } else {
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

    private @Nullable RemoteAgedWant longestRemoteAged(int level, Member member) {
        for (RemoteAgedWant one : remoteAgedWants) {
            if (one.want.level() > level && one.places > 0 && couldTake(member, one.want)) {
                return one;
            }
        }
        return null;
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
    private void yieldSlot(Member member, RemoteAgedWant to) {
        to.places--;
        Instant until = now.plus(YIELD_DURATION);
        member.yieldSlot(until);
        yieldedUntil.add(new Reevaluation(until, member));
        reorder(member);
        slotOffers.add(new SlotOffer(to.coordinatorId, member.candidate.id()));
    }

    private void reclaimSlots() {
        // If the clock was set back, slots must not stay reserved until it catches up.
        Predicate<Instant> isOver = until -> !until.isAfter(now) || until.isAfter(now.plus(YIELD_DURATION));
        while (!yieldedUntil.isEmpty() && isOver.test(yieldedUntil.peek().at())) {
            Member member = yieldedUntil.remove().member();
            member.reclaimSlots(isOver);
            reorder(member);
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
            Member member = members.get(offer.agentId());
            if (placements.size() == limit || member == null || !member.candidate.hasRoom()) {
                // The news of the free slot may arrive after the offer.
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
            } else if (!isWantedMore(chosen, turn.level())) {
                break;
            }
            passedOver.add(chosen);
            open.remove(chosen);
            chosen = open.next(task);
        }
        passedOver.forEach(open::put);
        return chosen == null && rejecter != null && !isWantedMore(rejecter, turn.level()) ? rejecter : chosen;
    }

    private boolean isWantedMore(Candidate candidate, int level) {
        for (Want want : remoteWants) {
            if (want.level() < level && couldTake(members.get(candidate.id()), want)) {
                return true;
            }
        }
        return false;
    }

    private boolean couldTake(Member member, Want want) {
        return Eligibility.meetsRequirements(
                        member.candidate.agent().registration(), want.requirements(), !strategy.prefersRegion())
                && isFit(member, want.requirements());
    }

    /**
     * Takes in the demand of other lanes for agents that are full. Once these agents have capacity, they are left to tasks of
     * higher priority, and the aged share to aged tasks.
     *
     * @param elsewhere wants by coordinator
     */
    public void setRemoteWants(Map<String, List<Want>> elsewhere) {
        remoteWants = elsewhere.values().stream().flatMap(List::stream).toList();
        remoteAgedWants.clear();
        elsewhere.forEach((coordinatorId, wants) -> wants.stream()
                .filter(want -> want.aged() != null)
                .forEach(want -> remoteAgedWants.add(new RemoteAgedWant(coordinatorId, want))));
        remoteAgedWants.sort(Comparator.comparing(RemoteAgedWant::since).thenComparing(one -> one.coordinatorId));
    }

    /**
     * The local demand for agents that are full or left to others: at most {@code limit} groups of tasks, the most urgent first,
     * and as many aged ones, the longest waiting first.
     */
    public List<Want> wants(Instant now, int limit) {
        Stream<Want> aged = backlog.groups().stream()
                .filter(group -> lacksAgents(group) && !group.pool.members().isEmpty())
                .flatMap(group -> group.aged(aging, now, paused).stream())
                .sorted(TaskGroup.Turn.BY_WAITING)
                .limit(limit)
                .map(turn -> want(turn, now));
        return Stream.concat(mostUrgentWants(now, limit).stream(), aged)
                .distinct()
                .toList();
    }

    /**
     * Also true if an agent was open but not all tasks got one: under high throughput an agent is open most of the time, though
     * never long enough for all that wait.
     */
    private static boolean lacksAgents(TaskGroup group) {
        return !group.isEmpty() && (group.pool.open.isEmpty() || group.hasUnplaced);
    }

    private Want want(TaskGroup.Turn turn, Instant now) {
        boolean isAged = aging.isAged(turn.head(), now);
        return new Want(
                turn.group().requirements,
                turn.level(),
                isAged ? new Want.Aged(turn.head().waitingSince(), turn.group().most(turn.level())) : null);
    }

    private List<Want> mostUrgentWants(Instant now, int limit) {
        Set<TaskGroup> blocked = backlog.groups().stream()
                .filter(Matcher::lacksAgents)
                .collect(Collectors.toCollection(LinkedHashSet::new));
        if (blocked.isEmpty()) {
            return List.of();
        }
        // Groups for which an agent has become free since the last round keep their claim until the next one.
        Set<TaskGroup> wanting = blocked.stream()
                .filter(group -> !group.pool.open.isEmpty())
                .collect(Collectors.toCollection(LinkedHashSet::new));
        for (Member member : members.values()) {
            if (!member.candidate.hasRoom()) {
                for (Pool pool : member.pools) {
                    for (TaskGroup group : pool.groups) {
                        if (blocked.contains(group)) {
                            wanting.add(group);
                        }
                    }
                }
            }
        }
        return wanting.stream()
                .map(group -> group.turn(paused))
                .filter(Objects::nonNull)
                .map(turn -> want(turn, now))
                .sorted(Comparator.comparingInt(Want::level))
                .limit(limit)
                .toList();
    }

    /** Stops placing tasks of these queues, and resumes all others. */
    public void pause(Set<Priority> queues) {
        paused = Set.copyOf(queues);
    }

    /** Applies the registry's answer to a placement: the number of assignments its agent now holds. */
    public void answered(Placement placement, int held) {
        Member member = members.get(placement.agentId());
        if (member != null) {
            int before = member.candidate.held();
            int leftBefore = member.candidate.yieldedSlots();
            member.candidate.answered(held);
            // Usually the count matches the expectation, and the order stays.
            if (member.candidate.held() != before || member.candidate.yieldedSlots() != leftBefore) {
                reorder(member);
            }
        }
    }

    /** Discards a placement that could not be sent to the registry. */
    public void unanswered(Placement placement) {
        Member member = members.get(placement.agentId());
        if (member != null) {
            member.candidate.answered();
            reorder(member);
        }
    }

    /** Discards all outstanding placements: the registry's latest counts apply. */
    public void forgetPlacements() {
        for (Member member : members.values()) {
            member.candidate.forgetPlacements();
            reorder(member);
        }
    }

    /** Adds an agent, or updates a changed one. */
    public void agentChanged(Agent agent, Instant now) {
        this.now = now;
        Member member = members.get(agent.id());
        if (member == null) {
            member = new Member(new Candidate(agent));
            members.put(agent.id(), member);
            pools.join(member);
        } else {
            Agent before = member.candidate.agent();
            member.candidate.update(agent);
            kindMayHaveChanged(member, before);
        }
        evaluate(member);
    }

    /** Updates an agent after a heartbeat, except its count of assignments; adds it if unknown. */
    public void agentHeard(Agent agent, Instant now) {
        this.now = now;
        Member member = members.get(agent.id());
        if (member == null) {
            agentChanged(agent, now);
        } else {
            Agent before = member.candidate.agent();
            member.candidate.updateState(agent);
            kindMayHaveChanged(member, before);
            evaluate(member);
        }
    }

    public void agentGone(String agentId) {
        Member member = members.remove(agentId);
        if (member != null) {
            pools.leave(member);
        }
    }

    /** Applies a new count of the assignments an agent holds. */
    public void agentHolds(String agentId, int count) {
        Member member = members.get(agentId);
        if (member != null) {
            member.candidate.counted(count);
            reorder(member);
        }
    }

    /** Re-evaluates the agents whose health may have changed with time alone. */
    public void timePassed(Instant now) {
        this.now = now;
        while (!reevaluations.isEmpty() && !reevaluations.peek().at().isAfter(now)) {
            Reevaluation reevaluation = reevaluations.poll();
            Member member = reevaluation.member();
            if (member.nextEvaluation.equals(reevaluation.at()) && members.get(member.candidate.id()) == member) {
                member.nextEvaluation = Instant.MAX;
                evaluate(member);
            }
        }
    }

    private void evaluate(Member member) {
        Agent agent = member.candidate.agent();
        member.score = Eligibility.isAvailable(agent, health)
                ? Health.of(agent, now, health).score()
                : -1;
        reorder(member);
        Instant stableUntil = Health.stableUntil(agent, now, health);
        Instant at = stableUntil.isAfter(now) ? stableUntil : now.plus(REEVALUATION_INTERVAL);
        if (at.isBefore(member.nextEvaluation)) {
            member.nextEvaluation = at;
            reevaluations.add(new Reevaluation(at, member));
        }
    }

    private boolean isFit(Member member, Requirements requirements) {
        return member.score >= Eligibility.minHealth(requirements, health);
    }

    public void switchStrategy(LoadBalancingStrategy strategy) {
        this.strategy = strategy;
        pools.clear();
        backlog.groups().forEach(this::findPool);
    }

    private TaskGroup open(Requirements requirements) {
        TaskGroup group = new TaskGroup(requirements);
        findPool(group);
        return group;
    }

    private void findPool(TaskGroup group) {
        Set<Member> suited = new LinkedHashSet<>();
        String onlyAgent = group.requirements.agentId();
        Collection<Member> asked = onlyAgent == null
                ? members.values()
                : members.containsKey(onlyAgent) ? List.of(members.get(onlyAgent)) : List.of();
        for (Member member : asked) {
            if (suits(member, group)) {
                suited.add(member);
            }
        }
        pools.join(group, Eligibility.minHealth(group.requirements, health), suited);
    }

    private boolean suits(Member member, TaskGroup group) {
        return Eligibility.meetsRequirements(
                member.candidate.agent().registration(), group.requirements, !strategy.prefersRegion());
    }

    private Selection newSelection() {
        return strategy.select(random);
    }

    private void kindMayHaveChanged(Member member, Agent before) {
        Registration is = member.candidate.agent().registration();
        if (is != before.registration() && !is.equals(before.registration())) {
            pools.leave(member);
            pools.join(member);
        }
    }

    private AgedShare newShare() {
        return new AgedShare(aging.share(), random);
    }

    private static void reorder(Member member) {
        for (Pool pool : member.pools) {
            pool.place(member);
        }
    }
}
