package io.aitbc.coordinator.dispatch;

import static io.aitbc.coordinator.Samples.missing;
import static io.aitbc.coordinator.Samples.ofANewerVersion;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.aitbc.contracts.ControlMessage;
import io.aitbc.contracts.ControlMessage.PauseQueue;
import io.aitbc.contracts.ControlMessage.SwitchStrategy;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Location;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Resources;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.Samples;
import io.aitbc.coordinator.balance.LoadBalancingStrategy;
import io.aitbc.coordinator.match.Want;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.localstack.LocalRedis;
import io.aitbc.localstack.LocalStack;
import io.lettuce.core.RedisClient;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.common.TopicPartition;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Messages between coordinators of different versions: wants, slot offers, lane statistics, and the control topic. */
class DispatchCompatibilityTest {
    private static final Instant NOW = Instant.parse("2026-11-01T12:00:00Z");

    private static final WantsExchange.Message WANTS = new WantsExchange.Message(
            "coordinator-1",
            List.of(
                    new Want(Requirements.NONE, 0),
                    new Want(
                            new Requirements(
                                    "worker",
                                    List.of("gpu>=2"),
                                    List.of("storage"),
                                    List.of("spot"),
                                    0.7,
                                    "eu",
                                    new Location(50.1, 8.7),
                                    "agent-1",
                                    "key-1",
                                    null,
                                    Resources.NONE,
                                    Map.of()),
                            4)),
            null,
            Map.of(),
            List.of());

    private static final WantsExchange.Message AGED_WANTS = new WantsExchange.Message(
            "coordinator-1",
            List.of(new Want(Requirements.capabilities("gpu"), 4, new Want.Aged(NOW.minusSeconds(300), 12))),
            null,
            Map.of(),
            List.of());

    private static final WantsExchange.SlotOffersMessage PLACES = new WantsExchange.SlotOffersMessage(
            "coordinator-1", "coordinator-2", List.of("agent-1", "agent-1", "agent-2"));

    private static final Map<String, LaneStats> FIGURES = Map.of(
            "idle",
                    new LaneStats(
                            NOW, 0, 0, null, Map.of(), Map.of(), Map.of(), Map.of(), null, List.of(), List.of(),
                            List.of(), false),
            "busy",
                    new LaneStats(
                            NOW,
                            12,
                            4_000,
                            Priority.HIGH,
                            Map.of(Priority.URGENT, NOW.minusSeconds(1), Priority.LOW, NOW.minusSeconds(90)),
                            Map.of(Priority.URGENT, 10.5),
                            Map.of(Priority.URGENT, 9.25, Priority.LOW, 100.0),
                            Map.of(),
                            null,
                            List.of(),
                            List.of(),
                            List.of(),
                            false));

    static Stream<Samples> versions() {
        return Samples.versions();
    }

    @ParameterizedTest
    @MethodSource("versions")
    void wantsAreReadAndWrittenAsBefore(Samples version) {
        ObjectNode stored = version.read("wants");

        assertThat(Json.read(stored, WantsExchange.Message.class)).isEqualTo(WANTS);
        assertThat(missing(stored, Json.tree(WANTS))).isEmpty();
    }

    @ParameterizedTest
    @MethodSource("versions")
    void wantsOfAgedTasksAreReadAndWrittenAsBefore(Samples version) {
        ObjectNode stored = version.read("wants-aged");

        assertThat(Json.read(stored, WantsExchange.Message.class)).isEqualTo(AGED_WANTS);
        assertThat(missing(stored, Json.tree(AGED_WANTS))).isEmpty();
    }

    @ParameterizedTest
    @MethodSource("versions")
    void slotOffersAreReadAndWrittenAsBefore(Samples version) {
        ObjectNode stored = version.read("places-left");

        assertThat(Json.read(stored, WantsExchange.SlotOffersMessage.class)).isEqualTo(PLACES);
        assertThat(Json.read(ofANewerVersion(stored), WantsExchange.SlotOffersMessage.class))
                .isEqualTo(PLACES);
        assertThat(missing(stored, Json.tree(PLACES))).isEmpty();
    }

    @ParameterizedTest
    @MethodSource("versions")
    void wantsOfANewerVersionAreRead(Samples version) {
        ObjectNode newer = ofANewerVersion(version.read("wants"));
        ArrayNode wants = newer.putArray("wants");
        version.read("wants").get("wants").forEach(want -> wants.add(ofANewerVersion(want)));

        assertThat(Json.read(newer, WantsExchange.Message.class)).isEqualTo(WANTS);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{}",
                "{\"coordinator\":\"c\"}",
                "{\"coordinator\":\"c\",\"wants\":[null]}",
                "{\"coordinator\":\"c\",\"wants\":[{\"requirements\":{},\"level\":5}]}",
                "{\"coordinator\":\"c\",\"wants\":[{\"requirements\":{},\"level\":4,\"aged\":{\"tasks\":1}}]}",
                "{\"coordinator\":\"c\",\"wants\":[{\"requirements\":{\"capabilities\":[\">=of"
                        + " tomorrow\"]},\"level\":1}]}"
            })
    void invalidWantsDoNotReachTheLane(String text) {
        assertThatThrownBy(() -> Json.read(text, WantsExchange.Message.class))
                .isInstanceOf(Json.MalformedMessageException.class);
    }

    @ParameterizedTest
    @MethodSource("versions")
    void statisticsAreReadAndWrittenAsBefore(Samples version) {
        version.read("figures").forEachEntry((name, stored) -> {
            LaneStats figures = FIGURES.get(name);
            assertThat(Json.read(stored, LaneStats.class)).isEqualTo(figures);
            assertThat(Json.read(ofANewerVersion(stored), LaneStats.class)).isEqualTo(figures);
            assertThat(missing(stored, Json.tree(figures))).isEmpty();
        });
    }

    @Test
    void invalidStatisticsDoNotHideThoseOfOthers(@TempDir Path folder) {
        RedisClient client;
        try (LocalRedis server = LocalRedis.start(folder, LocalStack.freePort())) {
            client = RedisClient.create(server.url());
            try (Redis redis = new Redis(client, 0)) {
                FIGURES.forEach((id, figures) -> redis.sync().hset(Keys.COORDINATORS, id, Json.text(figures)));
                redis.sync()
                        .hset(
                                Keys.COORDINATORS,
                                "of-tomorrow",
                                Json.text(FIGURES.get("busy")).replace("\"urgent\"", "\"priority_of_tomorrow\""));

                assertThat(new LaneStatsReporter("busy", null, redis, Clock.fixed(NOW, ZoneOffset.UTC)).all())
                        .isEqualTo(FIGURES);
            }
            client.shutdown();
        }
    }

    @Test
    void anInvalidControlMessageDoesNotHideThoseBehindIt() {
        PauseQueue pause = new PauseQueue("command-1", Priority.LOW, true, NOW);
        List<ControlMessage> followed = new ArrayList<>();
        ControlTopic topic = new ControlTopic(
                null,
                null,
                null,
                Topics.unprefixed(),
                (message, offset) -> {
                    if (message instanceof SwitchStrategy command) {
                        LoadBalancingStrategy.parse(command.strategy());
                    }
                    followed.add(message);
                },
                () -> {},
                Clock.systemUTC());

        topic.handle(records(
                "{\"type\":\"kind_of_tomorrow\",\"priority\":\"low\"}",
                "{\"type\":\"switch_strategy\",\"strategy\":\"strategy_of_tomorrow\"}",
                ofANewerVersion(Json.tree(pause)).toString()));

        assertThat(followed).containsExactly(pause);
    }

    private static ConsumerRecords<byte[], byte[]> records(String... values) {
        TopicPartition partition = new TopicPartition(Topics.unprefixed().control(), 0);
        List<ConsumerRecord<byte[], byte[]>> records = IntStream.range(0, values.length)
                .mapToObj(i -> new ConsumerRecord<>(
                        partition.topic(), 0, i, new byte[0], values[i].getBytes(StandardCharsets.UTF_8)))
                .toList();
        return new ConsumerRecords<>(Map.of(partition, records), Map.of());
    }
}
