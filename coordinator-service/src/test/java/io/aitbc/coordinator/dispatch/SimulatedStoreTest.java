package io.aitbc.coordinator.dispatch;

import static io.aitbc.coordinator.agent.AnAgent.NOW;
import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Limit;
import io.aitbc.contracts.TaskStatus;
import io.aitbc.coordinator.assign.Judgement;
import io.aitbc.coordinator.assign.Reservations;
import io.aitbc.coordinator.assign.Verdict;
import io.aitbc.coordinator.limit.AgentResource;
import io.aitbc.coordinator.limit.LimitBook;
import io.aitbc.coordinator.match.ATask;
import io.aitbc.coordinator.match.Placement;
import io.aitbc.coordinator.match.WaitingTask;
import io.aitbc.coordinator.redis.IndexMark;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.redis.Script;
import io.aitbc.coordinator.settle.Settlement;
import io.aitbc.coordinator.taskstate.TaskRecord;
import io.aitbc.localstack.LocalStack;
import io.lettuce.core.RedisClient;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Sends the same requests to the scripts in a real Redis and to the simulated store, and compares the answers. */
class SimulatedStoreTest {
    private static final int DATABASE = 12;
    private static final String PULLING = "c";
    private static final List<String> AGENTS = List.of("a", "b", PULLING);
    private static final Script SETTLE = Script.loadFencedWithLimits(Settlement.class, "settle");
    private static final Script FENCE = Script.loadFenced(Settlement.class, "fence");
    private static final Script RELEASE = Script.loadWithLimits(Settlement.class, "release");
    private static final Script CANCEL = Script.loadFencedWithLimits(Reservations.class, "cancel");

    private static final LimitBook LIMITS = new LimitBook(
            "topic 7", Map.of("places", new Limit(5L, null, null, null), "models/*", new Limit(2L, null, null, null)));

    private static RedisClient client;
    private static Redis redis;

    private final SimulatedStore store = new SimulatedStore();
    private final Reservations reservations = new Reservations(redis, "me");
    private final Random random = new Random(5);

    @BeforeAll
    static void connect() {
        client = RedisClient.create(LocalStack.shared().redisUrl() + "/" + DATABASE);
        redis = new Redis(client, DATABASE);
        redis.sync().flushdb();
        IndexMark.set(redis.sync(), NOW);
    }

    @AfterAll
    static void disconnect() {
        redis.close();
        client.shutdown();
    }

    @Test
    void theSimulatedStoreAgreesWithTheScripts() {
        for (String agent : AGENTS) {
            int capacity = 1 + random.nextInt(3);
            store.addAgent(agent, capacity).resources = ATask.resources("gpu 1.5", "mem/gb 7");
            redis.sync()
                    .hset(
                            Keys.agent(agent),
                            Map.of(
                                    "status",
                                    "active",
                                    "capacity",
                                    String.valueOf(capacity),
                                    "resources",
                                    Json.text(store.agent(agent).resources)));
        }
        redis.sync()
                .hset(
                        Keys.agent(PULLING),
                        Map.of("delivery", "pull", "open_until", String.valueOf(NOW.toEpochMilli() + 1)));
        claim(2);
        store.limits = LIMITS;
        redis.sync().set("limits:version", LIMITS.version());
        Map<String, Integer> asked = new TreeMap<>();
        for (int i = 0; i < 6_000; i++) {
            // New tasks are added all the time, because each ends sooner or later.
            int newest = 10 + i / 10;
            asked.merge(ask(newest), 1, Integer::sum);
            for (String agent : AGENTS) {
                assertThat(new TreeSet<>(redis.sync().hkeys(Keys.inflight(agent))))
                        .as("held by %s after step %d", agent, i)
                        .isEqualTo(store.agent(agent).inflight);
            }
            store.heldUnits.forEach((limit, held) -> {
                assertThat(new TreeSet<>(redis.sync().hkeys(Keys.held(limit)))).isEqualTo(held.keySet());
                String used = redis.sync().hget("limit:" + limit, "used");
                assertThat(used == null ? 0 : Long.parseLong(used))
                        .as("used of %s after step %d", limit, asked.size())
                        .isEqualTo(store.limitState(limit).used());
            });
            assertThat(redis.sync().hget(Keys.agent(PULLING), "open_slots"))
                    .as("open slots after step %d", i)
                    .isEqualTo(String.valueOf(store.agent(PULLING).openSlots));
        }
        assertThat(asked.keySet())
                .contains(
                        "GRANTED",
                        "LIVE",
                        "DUPLICATE",
                        "ENDED",
                        "WAS_HELD",
                        "CANCELLED",
                        "EXPIRED",
                        "FULL",
                        "UNAVAILABLE",
                        "LIMITED",
                        "OUTDATED",
                        "without resource",
                        "completed",
                        "settled before",
                        "late",
                        "give back")
                .contains("fenced", "released", "before", "stands", "ENDED_BEFORE", "unknown", "queued", "assigned");
    }

    /** Two coordinators do not know of each other's grants: the script is what judges. By the clock of Redis, so not in the simulated store. */
    @Test
    void ratesAreJudgedWhereAttemptsAreGranted() {
        addAgent("rated");
        LimitBook book = book("rated", new Limit(null, new Limit.Rate(1L, 1000.0, 2L), null, null));
        redis.sync().set("limits:since", "1000");

        assertThat(rulings("rated", book, "r1", "r2", "r3")).containsExactly("GRANTED", "GRANTED", "LIMITED");
        assertThat(rulings("rated", book, "r4")).containsExactly("LIMITED");
    }

    /** An earlier attempt of the task used another limit, before its requirements were changed by an operator. */
    @Test
    void unitsOfAnEarlierAttemptAreFreeOnceTheNextIsGranted() {
        addAgent("earlier");
        LimitBook book = book("earlier", new Limit(5L, null, null, null));
        WaitingTask first = ATask.named("e1").uses("earlier", 3).build();
        WaitingTask second = ATask.named("e1").build();
        assertThat(ruling(new Placement(first, "earlier"), book)).isEqualTo("GRANTED");

        assertThat(ruling(
                        new Placement(
                                new WaitingTask(
                                        second.task().attempt(2, null),
                                        second.position(),
                                        second.waitingSince(),
                                        second.bytes()),
                                "earlier"),
                        book))
                .isEqualTo("GRANTED");
        assertThat(redis.sync().hlen(Keys.held("earlier"))).isZero();
        assertThat(redis.sync().exists("limit:earlier")).isZero();
    }

    private static void addAgent(String id) {
        redis.sync().hset(Keys.agent(id), Map.of("status", "active", "capacity", "10"));
    }

    private static LimitBook book(String name, Limit limit) {
        LimitBook book = new LimitBook("topic 8", Map.of(name, limit));
        redis.sync().set("limits:version", book.version());
        return book;
    }

    private List<String> rulings(String agent, LimitBook book, String... taskIds) {
        List<Placement> placements = Stream.of(taskIds)
                .map(id -> new Placement(ATask.named(id).uses(agent, 1).build(), agent))
                .toList();
        return reservations.reserve(placements, book, NOW).join().verdicts().stream()
                .map(verdict -> verdict.ruling().name())
                .toList();
    }

    private String ruling(Placement placement, LimitBook book) {
        return reservations
                .reserve(List.of(placement), book, NOW)
                .join()
                .verdicts()
                .get(0)
                .ruling()
                .name();
    }

    private String ask(int newest) {
        String taskId = "t" + (newest - random.nextInt(10));
        int attempt = 1 + random.nextInt(4);
        String agent = AGENTS.get(random.nextInt(AGENTS.size()));
        return switch (random.nextInt(8)) {
            case 0, 1, 2 -> reserve(newest);
            case 3 -> {
                WaitingTask task = waiting(taskId, attempt);
                Reservations.Ending ending = reservations
                        .endWaiting(List.of(task), TaskStatus.EXPIRED, "", LIMITS, NOW)
                        .join()
                        .get(0);
                String expected = store.endWaiting(taskId, attempt, "expired");
                assertThat(ending)
                        .isEqualTo(
                                switch (expected) {
                                    case "ended", "stands" -> Reservations.Ending.ENDED;
                                    case "before" -> Reservations.Ending.ENDED_BEFORE;
                                    default -> Reservations.Ending.LIVE;
                                });
                yield expected.equals("stands") ? expected : ending.name();
            }
            case 4, 5 -> {
                SimulatedStore.State live = store.task(taskId);
                boolean rightly = live.isAssigned() && random.nextInt(4) > 0;
                int of = rightly ? live.attempt : attempt;
                String by = rightly ? live.agentId : agent;
                String outcome = random.nextInt(3) > 0 ? "completed" : "failed";
                Object letter = SETTLE.runSync(
                                redis,
                                List.of(ms(), Script.pack(List.of(taskId, TaskRecord.live(of), by, outcome, "\n\n"))))
                        .get(0);
                String settled = store.settle(taskId, of, by, outcome);
                assertThat(letter).isEqualTo(settled.substring(0, 1));
                if (settled.equals("give back") && release(taskId, of, by).equals("fenced")) {
                    yield "fenced";
                }
                yield settled;
            }
            case 6 -> release(taskId, attempt, agent);
            default -> {
                if (random.nextInt(3) == 0) {
                    claim(random.nextInt(3));
                    yield "claim";
                }
                if (random.nextInt(4) > 0) {
                    boolean active = random.nextBoolean();
                    store.agent(agent).active = active;
                    redis.sync().hset(Keys.agent(agent), "status", active ? "active" : "busy");
                    yield "status";
                }
                List<String> held = List.copyOf(store.agent(agent).inflight);
                String cancelled = held.isEmpty() || random.nextBoolean() ? taskId : held.get(0);
                Object before =
                        CANCEL.runSync(redis, List.of(cancelled, ms(), "")).get(0);
                assertThat(store.cancel(cancelled)).isEqualTo(before);
                yield (String) before;
            }
        };
    }

    private void claim(int slots) {
        store.agent(PULLING).openSlots = slots;
        redis.sync().hset(Keys.agent(PULLING), "open_slots", String.valueOf(slots));
    }

    private String release(String taskId, int attempt, String agent) {
        int next = random.nextInt(3) == 0 ? 0 : attempt + 1;
        if (next == 0 && random.nextInt(4) > 0) {
            Object fenced = FENCE.runSync(redis, List.of(taskId, String.valueOf(attempt), agent))
                    .get(0);
            String expected = store.fence(taskId, attempt, agent);
            assertThat(fenced).isEqualTo(expected.equals("fenced") ? "1" : "0");
            if (random.nextBoolean()) {
                return expected;
            }
        }
        WaitingTask retry = waiting(taskId, Math.max(1, next));
        Object released = RELEASE.runSync(
                        redis,
                        List.of(
                                ms(),
                                taskId,
                                String.valueOf(attempt),
                                agent,
                                "\"why\"",
                                next == 0 ? "" : TaskRecord.queued(retry.task(), retry.position()),
                                ""))
                .get(0);
        String expected = store.release(taskId, attempt, agent, next);
        assertThat(released).isEqualTo(expected.equals("released") ? "1" : "0");
        return expected;
    }

    private String reserve(int newest) {
        List<Placement> placements = new ArrayList<>();
        IntStream.range(0, 1 + random.nextInt(4)).forEach(i -> {
            String agent = random.nextInt(10) == 0 ? "" : AGENTS.get(random.nextInt(AGENTS.size()));
            placements.add(new Placement(waiting("t" + (newest - random.nextInt(10)), 1 + random.nextInt(4)), agent));
        });
        // An outdated version is refused.
        LimitBook basis = random.nextInt(10) == 0 ? LimitBook.EMPTY : LIMITS;
        Judgement judgement = reservations.reserve(placements, basis, NOW).join();
        List<Verdict> verdicts = judgement.verdicts();
        Map<String, Integer> held = new TreeMap<>();
        for (Verdict verdict : verdicts) {
            Verdict expected = store.judge(verdict.placement(), basis.version(), NOW);
            assertThat(verdict.ruling()).as("%s", verdict).isEqualTo(expected.ruling());
            assertThat(verdict.agentId()).isEqualTo(expected.agentId());
            if (verdict.ruling() == Verdict.Ruling.LIMITED) {
                assertThat(verdict.why()).isEqualTo(expected.why());
                assertThat(judgement.limits()).containsKey(verdict.why());
            }
            held.put(verdict.placement().agentId(), verdict.held());
        }
        held.remove("");
        held.forEach((agent, count) ->
                assertThat(count).isEqualTo(store.agent(agent).inflight.size()));
        return AgentResource.isName(verdicts.get(0).why())
                ? "without resource"
                : verdicts.get(0).ruling().name();
    }

    private WaitingTask waiting(String taskId, int attempt) {
        // Occasionally a duplicate record of the same task.
        ATask described = ATask.named(taskId).at(0, random.nextInt(4) == 0 ? 1 : 0);
        int kind = Math.floorMod(taskId.hashCode(), 6);
        WaitingTask task = (kind == 0
                        ? described
                        : kind == 1
                                ? described.uses("models/x", 1)
                                : kind < 4
                                        ? described.uses("places", kind)
                                        : described.uses("places", 1).takes("gpu 0.001", "mem/gb " + (kind - 1)))
                .build();
        return new WaitingTask(task.task().attempt(attempt, null), task.position(), task.waitingSince(), task.bytes());
    }

    private static String ms() {
        return String.valueOf(NOW.toEpochMilli());
    }
}
