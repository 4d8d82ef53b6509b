package io.aitbc.coordinator.dispatch;

import static io.aitbc.coordinator.agent.AnAgent.NOW;

import io.aitbc.contracts.ControlMessage.QueueCleared;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.TaskStatus;
import io.aitbc.coordinator.agent.AnAgent;
import io.aitbc.coordinator.agent.HealthPolicy;
import io.aitbc.coordinator.assign.Judgement;
import io.aitbc.coordinator.assign.Verdict;
import io.aitbc.coordinator.assign.Verdict.Ruling;
import io.aitbc.coordinator.balance.LoadBalancingStrategy;
import io.aitbc.coordinator.dispatch.OwnedPartition.Id;
import io.aitbc.coordinator.limit.LimitBook;
import io.aitbc.coordinator.match.ATask;
import io.aitbc.coordinator.match.Aging;
import io.aitbc.coordinator.match.Matcher;
import io.aitbc.coordinator.match.Placement;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.match.SlotOffer;
import io.aitbc.coordinator.match.WaitingTask;
import io.aitbc.coordinator.match.Want;
import io.aitbc.coordinator.queue.OffsetLedger;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Deque;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import java.util.function.Supplier;

/**
 * Runs lanes and busy agents in simulated time, with a latency of a millisecond per message, and measures how long tasks wait and which get
 * the agents. No faults occur here; {@link SimulatedCluster} injects them.
 */
final class SimulatedLoad {
    static final Duration AGING_INTERVAL = Duration.ofSeconds(60);

    private static final HealthPolicy HEALTH =
            new HealthPolicy(Duration.ofSeconds(30), Duration.ofHours(300), 0.0, 2, 2);
    private static final Duration LATENCY = Duration.ofMillis(1);
    private static final Duration MAIL_TO_ROUND = Duration.ofNanos(200_000);
    private static final Duration BETWEEN_WANTS = Duration.ofMillis(250);

    private record Event(Instant at, long number, Runnable action) {}

    private final Random random;
    private final Duration taskTime;
    private final PriorityQueue<Event> events =
            new PriorityQueue<>(Comparator.comparing(Event::at).thenComparing(Event::number));
    private final List<SimulatedLane> lanes = new ArrayList<>();
    private final SimulatedStore store = new SimulatedStore();
    private final int agents;
    private long eventCount;
    private Instant now = NOW;

    /** Time from reading to assignment of each task, by priority. */
    final Map<Priority, List<Duration>> waits = new EnumMap<>(Priority.class);

    private final Map<String, Instant> readAt = new HashMap<>();

    /** @param taskTime mean run time of a task, which varies by a fifth in both directions */
    SimulatedLoad(long seed, int lanes, int agents, Duration taskTime) {
        this.random = new Random(seed);
        this.taskTime = taskTime;
        this.agents = agents;
        for (int i = 0; i < agents; i++) {
            store.addAgent("agent-" + i, 1);
        }
        for (int i = 0; i < lanes; i++) {
            this.lanes.add(new SimulatedLane("lane-" + i));
        }
    }

    /** Adds tasks to a lane that were accepted the given time ago. */
    void submit(int lane, Priority priority, int count, Duration waited) {
        for (int i = 0; i < count; i++) {
            lanes.get(lane).accept(priority, waited);
        }
    }

    /** Adds tasks at random intervals with the given mean. */
    void stream(int lane, Priority priority, Duration onAverage) {
        long nanos = (long) (-Math.log(1 - random.nextDouble()) * onAverage.toNanos());
        in(Duration.ofNanos(nanos), () -> {
            lanes.get(lane).accept(priority, Duration.ZERO);
            stream(lane, priority, onAverage);
        });
    }

    void run(Duration time) {
        Instant end = now.plus(time);
        while (!events.isEmpty() && events.peek().at().isBefore(end)) {
            Event event = events.remove();
            now = event.at();
            event.action().run();
        }
        now = end;
    }

    int assigned(Priority priority) {
        return waits.getOrDefault(priority, List.of()).size();
    }

    private void in(Duration time, Runnable action) {
        events.add(new Event(now.plus(time), eventCount++, action));
    }

    private void starts(String taskId, Priority priority, String agentId) {
        waits.computeIfAbsent(priority, any -> new ArrayList<>()).add(Duration.between(readAt.remove(taskId), now));
        in(Duration.ofNanos((long) (taskTime.toNanos() * (0.8 + 0.4 * random.nextDouble()))), () -> {
            store.settle(taskId, 1, agentId, "completed");
            publishHeld(agentId, null);
        });
    }

    private void publishHeld(String agentId, SimulatedLane except) {
        int count = store.agent(agentId).inflight.size();
        for (SimulatedLane lane : lanes) {
            if (lane != except) {
                lane.mail(() -> lane.matcher.agents().updateHeldCount(agentId, count));
            }
        }
    }

    private final class SimulatedLane implements SideEffects {
        private final String id;
        private final Matcher matcher = new Matcher(
                HEALTH,
                new Aging(AGING_INTERVAL, 0.1),
                LoadBalancingStrategy.LEAST_CONNECTIONS,
                new Random(random.nextLong()));
        private final Lane lane = new Lane(matcher, this, 1_000_000, 1_000);
        private final Map<Priority, Deque<WaitingTask>> unread = new EnumMap<>(Priority.class);
        private final Map<Priority, Integer> ends = new EnumMap<>(Priority.class);
        private boolean roundScheduled;
        private boolean wanted;

        SimulatedLane(String id) {
            this.id = id;
            for (Priority priority : Priority.values()) {
                lane.gained(new Id(priority, 0), new OffsetLedger(0), Set.of());
                unread.put(priority, new ArrayDeque<>());
            }
            for (int i = 0; i < agents; i++) {
                matcher.agents()
                        .addOrUpdate(
                                AnAgent.named("agent-" + i).capacity(1).holds(0).build(), now);
            }
            in(Duration.ofMillis(random.nextInt(250)), this::publishWants);
        }

        void accept(Priority priority, Duration waited) {
            int offset = ends.merge(priority, 1, Integer::sum) - 1;
            WaitingTask task = ATask.named(id + "-" + priority + "-" + offset)
                    .priority(priority)
                    .at(0, offset)
                    .since(now.minus(waited))
                    .build();
            readAt.put(task.id(), now);
            unread.get(priority).add(task);
            mail(() -> {});
        }

        /** Delivers a message after the usual latency. */
        void mail(Runnable action) {
            in(LATENCY, () -> {
                action.run();
                if (!roundScheduled) {
                    roundScheduled = true;
                    in(MAIL_TO_ROUND, this::round);
                }
            });
        }

        private void round() {
            roundScheduled = false;
            unread.forEach((priority, tasks) -> {
                while (!tasks.isEmpty() && !lane.isFull(new Id(priority, 0))) {
                    WaitingTask task = tasks.remove();
                    lane.received(task.position());
                    lane.addWaiting(task, now);
                }
            });
            if (lane.round(now)) {
                mail(() -> {});
            }
        }

        private void publishWants() {
            List<Want> wants = matcher.wants(now, 20);
            if (!wants.isEmpty() || wanted) {
                toOthers(other -> other.lane.updateRemoteWants(
                        id, wants, matcher.laneTimes(wants, now), Map.of(), matcher.keptAgents(), now));
            }
            wanted = !wants.isEmpty();
            // Expired wants and unused slots are handled only in rounds.
            mail(() -> {});
            in(BETWEEN_WANTS, this::publishWants);
        }

        private void toOthers(Consumer<SimulatedLane> action) {
            lanes.stream().filter(other -> other != this).forEach(other -> other.mail(() -> action.accept(other)));
        }

        @Override
        public CompletableFuture<Judgement> reserve(List<Placement> placements, LimitBook limits, Instant at) {
            return answered(() -> Judgement.of(placements.stream()
                    .map(placement -> {
                        Verdict verdict = store.judge(placement, at);
                        if (verdict.ruling() == Ruling.GRANTED) {
                            starts(
                                    placement.waiting().id(),
                                    placement.waiting().position().priority(),
                                    verdict.agentId());
                            publishHeld(verdict.agentId(), this);
                        }
                        return verdict;
                    })
                    .toList()));
        }

        private <T> CompletableFuture<T> answered(Supplier<T> action) {
            CompletableFuture<T> answer = new CompletableFuture<>();
            in(LATENCY, () -> {
                T value = action.get();
                mail(() -> answer.complete(value));
            });
            return answer;
        }

        @Override
        public CompletableFuture<List<Boolean>> endWaiting(
                List<WaitingTask> tasks, TaskStatus status, String clearId, LimitBook limits, Instant at) {
            throw new UnsupportedOperationException("nothing ends here");
        }

        @Override
        public CompletableFuture<Void> publish(Verdict verdict) {
            return CompletableFuture.completedFuture(null);
        }

        @Override
        public CompletableFuture<Payloads.Fetched> fetch(List<Position> positions) {
            throw new UnsupportedOperationException("all payloads are in memory here");
        }

        @Override
        public CompletableFuture<Void> failLost(Set<Position> positions) {
            throw new UnsupportedOperationException("nothing is lost here");
        }

        @Override
        public CompletableFuture<Void> append(WaitingTask task) {
            throw new UnsupportedOperationException("no record is old here");
        }

        @Override
        public CompletableFuture<List<Boolean>> recordQueued(List<WaitingTask> tasks) {
            return CompletableFuture.completedFuture(
                    tasks.stream().map(task -> false).toList());
        }

        @Override
        public Map<Id, Long> appendedEnds(Set<Id> partitions) {
            throw new UnsupportedOperationException("nothing is cleared here");
        }

        @Override
        public long position(Id partition) {
            return ends.get(partition.priority());
        }

        @Override
        public void report(QueueCleared cleared) {
            throw new UnsupportedOperationException("nothing is cleared here");
        }

        @Override
        public void offerSlots(List<SlotOffer> places) {
            places.forEach(place -> lanes.stream()
                    .filter(other -> other.id.equals(place.coordinatorId()))
                    .forEach(other -> other.mail(() -> other.lane.acceptOffers(List.of(place.agentId()), now))));
        }
    }
}
