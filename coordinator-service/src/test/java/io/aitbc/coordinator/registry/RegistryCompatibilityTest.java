package io.aitbc.coordinator.registry;

import static io.aitbc.coordinator.Samples.missing;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Delivery;
import io.aitbc.contracts.Heartbeat;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Location;
import io.aitbc.contracts.Registration;
import io.aitbc.contracts.Resources;
import io.aitbc.coordinator.OverheardRedis;
import io.aitbc.coordinator.Samples;
import io.aitbc.coordinator.agent.Agent;
import io.aitbc.coordinator.agent.HealthPolicy;
import io.aitbc.coordinator.agent.Sender;
import io.aitbc.coordinator.agent.TrackRecord;
import io.aitbc.coordinator.redis.IndexMark;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.redis.Script;
import io.aitbc.coordinator.settle.Settlement;
import io.aitbc.coordinator.taskstate.TaskRecord;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** Agent state shared by coordinators of different versions: hashes in Redis, and notices of changes. */
class RegistryCompatibilityTest {
    private static final Instant NOW = Instant.parse("2026-11-01T12:00:00Z");
    private static final Script SETTLE = Script.loadFencedWithLimits(Settlement.class, "settle");
    private static final Script BEGIN_REMOVAL = Script.load(Registry.class, "begin-removal");
    private static final HealthPolicy HEALTH =
            new HealthPolicy(Duration.ofSeconds(30), Duration.ofSeconds(300), 0.5, 0.98, 0.98);

    private static final Registration PLAIN = Registration.of("agent-1", "worker", List.of(), 10);
    private static final Registration FULL = new Registration(
            "agent-1",
            "worker",
            List.of("hash", "gpu:2"),
            List.of("storage"),
            Json.object().put("http", "http://localhost:1"),
            Json.object().put("owner", "me"),
            List.of("spot"),
            "1.2.3",
            5,
            2.0,
            "eu",
            new Location(50.1, 8.7),
            "chain-1",
            "island-1",
            Resources.NONE,
            Delivery.KAFKA);

    private static final Map<String, Double> LOAD = Map.of("cpu_usage", 0.5, "memory_usage", 0.75);

    /** Agents by the name of their hash in the sample. */
    private static final Map<String, Agent> AGENTS = Map.of(
            "registered",
            new Agent(
                    PLAIN,
                    AgentStatus.ACTIVE,
                    NOW,
                    NOW,
                    Map.of(),
                    TrackRecord.NONE,
                    Sender.UNKNOWN,
                    3,
                    null,
                    0,
                    Map.of()),
            "much seen",
            new Agent(
                    FULL,
                    AgentStatus.BUSY,
                    NOW,
                    NOW.plusSeconds(4),
                    LOAD,
                    new TrackRecord(0.1, 10_000, NOW.plusSeconds(5)),
                    new Sender(Duration.ofMillis(-1_500), "instance-1", "instance-2", NOW.plusSeconds(4)),
                    3,
                    null,
                    0,
                    Map.of()),
            "stale",
            new Agent(
                    PLAIN,
                    AgentStatus.STALE,
                    NOW,
                    NOW,
                    Map.of(),
                    TrackRecord.NONE,
                    Sender.UNKNOWN,
                    3,
                    null,
                    0,
                    Map.of()),
            "leaving",
            new Agent(
                    PLAIN,
                    AgentStatus.INACTIVE,
                    NOW,
                    NOW,
                    Map.of(),
                    TrackRecord.NONE,
                    Sender.UNKNOWN,
                    3,
                    null,
                    0,
                    Map.of()));

    /** The listener calls of a view for each notice. */
    private static final Map<String, String> EXPECTED_CALLS = Map.ofEntries(
            Map.entry("registered", "changed agent-1"),
            Map.entry("heard", "heard agent-1 of 2026-11-01T12:00:01Z, cpu 0.0, response 0.0"),
            Map.entry("heard with load", "heard agent-1 of 2026-11-01T12:00:02Z, cpu 0.5, response 0.0"),
            Map.entry("stale", "changed agent-1"),
            Map.entry("deregistered", "changed agent-1"),
            Map.entry("reserved", "holds {agent-1=1}"),
            Map.entry("settled", "holds {agent-1=0}, heard agent-1 of 2026-11-01T12:00:00Z, cpu 0.0, response 1000.0"),
            Map.entry("given back", "holds {agent-1=0}"),
            Map.entry("reserved elsewhere", "holds {agent-1=0, agent-2=1}"),
            Map.entry("cancelled", "cancelled [task-4]"),
            Map.entry("cancelled at an agent", "cancelled [task-3], holds {agent-2=0}"),
            Map.entry("expired", "holds {agent-1=0}"),
            Map.entry("restored", "holds {agent-1=1}"),
            Map.entry("unpublished", "unpublished [task-1]"),
            Map.entry("rebuilt", "rebuilt, changed agent-1"));

    @TempDir
    private Path folder;

    private OverheardRedis overheard;
    private Redis redis;
    private Registry registry;

    static Stream<Samples> versions() {
        return Samples.versions();
    }

    @BeforeEach
    void start() {
        overheard = new OverheardRedis(folder);
        redis = overheard.redis();
        registry = new Registry(redis, null, HEALTH);
    }

    @AfterEach
    void end() {
        overheard.close();
    }

    @ParameterizedTest
    @MethodSource("versions")
    void agentsAreReadAsTheyWereWritten(Samples version) {
        version.read("agents").forEachEntry((name, hash) -> {
            assertThat(AgentHash.read(fields(hash), 3, Map.of())).as(name).isEqualTo(AGENTS.get(name));
            Map<String, String> newer = fields(hash);
            newer.put("field_of_tomorrow", "f");
            assertThat(AgentHash.read(newer, 3, Map.of())).as(name).isEqualTo(AGENTS.get(name));
        });
    }

    @ParameterizedTest
    @MethodSource("versions")
    void agentsOfAnotherVersionContinue(Samples version) throws InterruptedException {
        JsonNode agents = version.read("agents");

        Heartbeat bare = new Heartbeat("agent-1", null, null, null, null, null);
        for (String known : List.of("registered", "much seen", "stale")) {
            put(agents.get(known));
            assertThat(registry.recordHeartbeats(
                            List.of(new Registry.Received(bare, NOW.plusSeconds(9), true)), NOW.plusSeconds(9)))
                    .as(known)
                    .containsExactly(Registry.HeartbeatOutcome.KNOWN);
            assertThat(registry.find("agent-1").orElseThrow().lastHeartbeat()).isEqualTo(NOW.plusSeconds(9));
        }
        put(agents.get("much seen"));
        Heartbeat rival = new Heartbeat("agent-1", null, null, null, "instance-2", null);
        assertThat(registry.recordHeartbeats(
                        List.of(new Registry.Received(rival, NOW.plusSeconds(9), true)), NOW.plusSeconds(9)))
                .containsExactly(Registry.HeartbeatOutcome.CONTESTED);
        put(agents.get("leaving"));
        Heartbeat back = Heartbeat.of(PLAIN);
        assertThat(registry.recordHeartbeats(
                        List.of(new Registry.Received(back, NOW.plusSeconds(21), true)), NOW.plusSeconds(21)))
                .containsExactly(Registry.HeartbeatOutcome.LEAVING);
    }

    @ParameterizedTest
    @MethodSource("versions")
    void agentsAreWrittenAsBefore(Samples version) throws InterruptedException {
        ObjectNode hashes = Json.object();
        ObjectNode notices = Json.object();
        write(hashes, notices);
        // Each version may compute the digest of a registration differently.
        hashes.forEach(hash -> hash.asObject().put("digest", "d"));
        JsonNode stored = version.read("agents");
        stored.forEach(hash -> hash.asObject().put("digest", "d"));

        assertThat(missing(stored, hashes)).isEmpty();
        assertThat(missing(version.read("notices-of-agents"), notices)).isEmpty();
    }

    @ParameterizedTest
    @MethodSource("versions")
    void noticesAreFollowed(Samples version) {
        follow(version, UnaryOperator.identity());
    }

    @ParameterizedTest
    @MethodSource("versions")
    void additionsOfANewerVersionToNoticesAreIgnored(Samples version) {
        follow(version, Samples::ofANewerVersion);
    }

    /** Its listener may apply a heartbeat late, when the agent has already changed. */
    @Test
    void aHeartbeatDoesNotUndoALaterChange() {
        put(Samples.versions().findFirst().orElseThrow().read("agents").get("registered"));
        redis.sync().sadd(Keys.ACTIVE_AGENTS, "agent-1");
        RecordedCalls listener = new RecordedCalls();
        try (AgentView view = new AgentView(redis, registry, "coordinator-2", listener)) {
            view.start();
            await().until(() -> !listener.lines.isEmpty());
            await().until(() -> {
                say(Json.object().put("seq", 0).set("heard", Json.object().set("agent-1", Json.tree(List.of(1L)))));
                return !listener.heard.isEmpty();
            });
            redis.sync().hset(Keys.agent("agent-1"), "unreached", "1");
            listener.lines.clear();
            say(Json.object().put("seq", 0).set("changed", Json.tree(List.of("agent-1"))));
            await().until(() -> listener.lines.contains("changed agent-1"));

            assertThat(listener.heard.get(0).get())
                    .extracting(Agent::unreached)
                    .containsExactly(Agent.UNREACHED_OVER_KAFKA);
        }
    }

    /** Publishes each notice to a view, with a new sequence number and after a notice of an unknown kind. */
    private void follow(Samples version, UnaryOperator<JsonNode> changed) {
        put(version.read("agents").get("registered"));
        redis.sync().sadd(Keys.ACTIVE_AGENTS, "agent-1");
        RecordedCalls listener = new RecordedCalls();
        try (AgentView view = new AgentView(redis, registry, "coordinator-2", listener)) {
            view.start();
            await().until(() -> !listener.lines.isEmpty());
            ObjectNode notices = version.read("notices-of-agents");
            notices.setAll(version.read("notices-of-tasks"));
            notices.forEachEntry((name, notice) -> await().alias(name)
                    // A view that has just started may reload all agents at any time, and reports that instead.
                    .ignoreExceptions()
                    .until(() -> tells(listener, changed.apply(notice), EXPECTED_CALLS.get(name))));
        }
    }

    private boolean tells(RecordedCalls listener, JsonNode notice, String expected) {
        listener.lines.clear();
        say(Json.object().put("seq", 0).set("moved", Json.tree(List.of("agent-1"))));
        say(notice);
        await().atMost(Duration.ofSeconds(2))
                .untilAsserted(
                        () -> assertThat(String.join(", ", listener.lines)).isEqualTo(expected));
        return true;
    }

    private void say(JsonNode notice) {
        ObjectNode said = notice.asObject();
        if (said.has("seq")) {
            said.put("seq", redis.sync().incr(Keys.AGENT_EVENT_COUNT));
        }
        redis.sync().publish(redis.channel(Keys.AGENT_EVENTS), said.toString());
    }

    /** Records the calls of a view as text. */
    private static final class RecordedCalls implements AgentView.Listener {
        final List<String> lines = new CopyOnWriteArrayList<>();
        final List<Supplier<List<Agent>>> heard = new CopyOnWriteArrayList<>();

        @Override
        public void agentsChanged(List<Agent> agents) {
            agents.forEach(agent -> lines.add("changed " + agent.id()));
        }

        @Override
        public void heartbeats(Supplier<List<Agent>> agents) {
            heard.add(agents);
            agents.get()
                    .forEach(agent -> lines.add("heard " + agent.id() + " of " + agent.lastHeartbeat() + ", cpu "
                            + agent.cpu() + ", response " + agent.track().responseMs()));
        }

        @Override
        public void agentsRemoved(Set<String> agentIds) {
            agentIds.forEach(id -> lines.add("gone " + id));
        }

        @Override
        public void openSlotsChanged(Map<String, Integer> slots) {}

        @Override
        public void heldCountsChanged(Map<String, Integer> counts) {
            lines.add("holds " + new TreeMap<>(counts));
        }

        @Override
        public void cancelled(Set<String> taskIds) {
            lines.add("cancelled " + taskIds);
        }

        @Override
        public void limitsChanged(JsonNode states) {
            lines.add("limits " + states);
        }

        @Override
        public void limitsUnknown() {}

        @Override
        public void unpublished(Set<String> taskIds) {
            lines.add("unpublished " + taskIds);
        }

        @Override
        public void rebuilt() {
            lines.add("rebuilt");
        }
    }

    /** Runs all operations of the current version on an agent. */
    private void write(ObjectNode hashes, ObjectNode notices) throws InterruptedException {
        register(PLAIN, null);
        notices.set("registered", overheard.notice());
        hashes.set("registered", hash());
        beat(1, null, null, null);
        notices.set("heard", overheard.notice());
        beat(2, null, LOAD, null);
        notices.set("heard with load", overheard.notice());
        redis.sync().flushall();

        IndexMark.set(redis.sync(), NOW);
        register(PLAIN, null);
        overheard.notice();
        registry.markStale("agent-1", NOW.plusSeconds(1_000), NOW.plusSeconds(1_000));
        notices.set("stale", overheard.notice());
        hashes.set("stale", hash());
        registry.deregister("agent-1", NOW.plusSeconds(10));
        notices.set("deregistered", overheard.notice());
        redis.sync().del(Keys.LOST_AGENTS);
        BEGIN_REMOVAL.runSync(redis, List.of("agent-1", ms(20), "60000"));
        hashes.set("leaving", hash());
        redis.sync().flushall();

        register(FULL, "instance-1");
        beat(3, null, null, "instance-2");
        beat(4, AgentStatus.BUSY, LOAD, "instance-1");
        IndexMark.set(redis.sync(), NOW);
        redis.sync().hset(Keys.inflight("agent-1"), "task-9", "1 1793534400000 1793535000000 -");
        SETTLE.runSync(
                redis, List.of(ms(5), Script.pack(List.of("task-9", TaskRecord.live(1), "agent-1", "failed", ""))));
        hashes.set("much seen", hash());
    }

    private void register(Registration registration, String instance) {
        Heartbeat heartbeat =
                new Heartbeat("agent-1", null, null, instance == null ? null : NOW, instance, registration);
        registry.runHeartbeatScript(
                List.of(new Registry.Received(heartbeat, NOW, true)), Registry.Source.TOPIC, true, NOW);
    }

    private void beat(int second, AgentStatus status, Map<String, Double> load, String instance)
            throws InterruptedException {
        Instant at = NOW.plusSeconds(second);
        Heartbeat heartbeat =
                new Heartbeat("agent-1", status, load, instance == null ? null : at.minusMillis(1_500), instance, null);
        registry.recordHeartbeats(List.of(new Registry.Received(heartbeat, at, true)), at);
    }

    private JsonNode hash() {
        return Json.tree(new TreeMap<>(redis.sync().hgetall(Keys.agent("agent-1"))));
    }

    private void put(JsonNode hash) {
        redis.sync().flushall();
        redis.sync().hset(Keys.agent("agent-1"), fields(hash));
    }

    private static Map<String, String> fields(JsonNode hash) {
        Map<String, String> fields = new HashMap<>();
        hash.forEachEntry((field, value) -> fields.put(field, value.asString()));
        return fields;
    }

    private static String ms(int second) {
        return String.valueOf(NOW.plusSeconds(second).toEpochMilli());
    }
}
