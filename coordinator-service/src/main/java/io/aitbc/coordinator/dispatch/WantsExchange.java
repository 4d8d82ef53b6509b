package io.aitbc.coordinator.dispatch;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import io.aitbc.contracts.Json;
import io.aitbc.coordinator.background.BackgroundService;
import io.aitbc.coordinator.background.PeriodicJob;
import io.aitbc.coordinator.background.Problem;
import io.aitbc.coordinator.match.KeptAgent;
import io.aitbc.coordinator.match.LaneTime;
import io.aitbc.coordinator.match.SlotOffer;
import io.aitbc.coordinator.match.Want;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.lettuce.core.RedisException;
import io.lettuce.core.pubsub.RedisPubSubAdapter;
import io.lettuce.core.pubsub.StatefulRedisPubSubConnection;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;

/**
 * Exchanges wants with other coordinators, a few times a second: the tasks that wait here for full agents. An agent that becomes free thus
 * goes to the most urgent task, whichever lane it waits in. Slots yielded to aged tasks elsewhere are announced immediately, since nobody
 * uses them until then. Sends nothing while no task waits for full agents or for limits.
 */
public final class WantsExchange implements BackgroundService {
    private static final Logger log = LoggerFactory.getLogger(WantsExchange.class);
    private static final Duration INTERVAL = Duration.ofMillis(250);
    private static final int MAX_WANTS = 20;

    private final String coordinatorId;
    private final Dispatcher dispatcher;
    private final Redis redis;
    private final Clock clock;
    private final PeriodicJob exchanger = new PeriodicJob("wants", INTERVAL, this::exchange, this::unsubscribe);
    /** Whether the last message had any wants; used by the lane's thread only. */
    private boolean hadWants;

    private @Nullable StatefulRedisPubSubConnection<String, String> subscription;

    /**
     * Message format of the channel.
     *
     * @param times absent from an earlier version, see {@link #laneTimes}
     * @param limits the level of the most urgent task that each limit keeps back; absent if there is none
     * @param keptAgents the agents that are kept free for its tasks; absent if there is none
     */
    record Message(
            @JsonProperty("coordinator") String coordinator,
            @JsonProperty("wants") List<Want> wants,

            @JsonProperty("times") @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable
            JsonNode times,

            @JsonProperty("limits") @JsonInclude(JsonInclude.Include.NON_EMPTY)
            Map<String, Integer> limits,

            @JsonProperty("kept_agents") @JsonInclude(JsonInclude.Include.NON_EMPTY)
            List<KeptAgent> keptAgents) {
        Message {
            if (coordinator == null || wants == null || wants.stream().anyMatch(Objects::isNull)) {
                throw new IllegalArgumentException("coordinator and wants are required");
            }
            limits = limits == null ? Map.of() : limits;
            keptAgents = keptAgents == null ? List.of() : List.copyOf(keptAgents);
        }

        /** How far the lane has come. What another version reports in another way is left out. */
        List<LaneTime> laneTimes() {
            List<LaneTime> readable = new ArrayList<>();
            if (times != null) {
                for (JsonNode one : times) {
                    try {
                        readable.add(Objects.requireNonNull(Json.MAPPER.treeToValue(one, LaneTime.class)));
                    } catch (JacksonException | NullPointerException e) {
                        log.atDebug().log("Unreadable time of a lane: {}", e.toString());
                    }
                }
            }
            return readable;
        }
    }

    /** Free slots, one on each named agent, for the aged tasks of one coordinator. */
    record SlotOffersMessage(
            @JsonProperty("coordinator") String coordinator,
            @JsonProperty("left_to") String leftTo,
            @JsonProperty("agents") List<String> agents) {
        SlotOffersMessage {
            if (coordinator == null
                    || leftTo == null
                    || agents == null
                    || agents.stream().anyMatch(Objects::isNull)) {
                throw new IllegalArgumentException("coordinator, left_to and agents are required");
            }
        }
    }

    WantsExchange(String coordinatorId, Dispatcher dispatcher, Redis redis, Clock clock) {
        this.coordinatorId = coordinatorId;
        this.dispatcher = dispatcher;
        this.redis = redis;
        this.clock = clock;
    }

    @Override
    public void start() {
        exchanger.start();
    }

    @Override
    public void close() {
        exchanger.close();
    }

    @Override
    public List<Problem> problems() {
        return exchanger.problems();
    }

    private void exchange() {
        subscribe();
        dispatcher.postToLane(this::publishWants);
    }

    private void unsubscribe() {
        if (subscription != null) {
            subscription.closeAsync();
        }
    }

    private void subscribe() {
        if (subscription == null) {
            subscription = redis.subscribe(
                    new RedisPubSubAdapter<>() {
                        @Override
                        public void message(String channel, String text) {
                            if (channel.equals(redis.channel(Keys.WANTS))) {
                                onWants(text);
                            } else {
                                onSlotOffers(text);
                            }
                        }
                    },
                    redis.channel(Keys.WANTS),
                    redis.channel(Keys.SLOT_OFFERS));
        }
    }

    private void publishWants(Lane lane) {
        List<Want> wants = lane.matcher().wants(clock.instant(), MAX_WANTS);
        Map<String, Integer> limits = lane.matcher().limits().mostUrgent();
        List<KeptAgent> kept = lane.matcher().keptAgents();
        boolean hasWants = !wants.isEmpty() || !limits.isEmpty() || !kept.isEmpty();
        if (hasWants || hadWants) {
            // The end of wants is announced once; otherwise other lanes would keep agents free until the wants expire.
            publish(
                    Keys.WANTS,
                    new Message(
                            coordinatorId,
                            wants,
                            Json.tree(lane.matcher().laneTimes(wants, clock.instant())),
                            limits,
                            kept));
        }
        hadWants = hasWants;
    }

    /** Announces the slots that other coordinators may use. */
    void publishSlotOffers(List<SlotOffer> offers) {
        Map<String, List<String>> agents = new LinkedHashMap<>();
        offers.forEach(offer -> agents.computeIfAbsent(offer.coordinatorId(), id -> new ArrayList<>())
                .add(offer.agentId()));
        agents.forEach((to, ids) -> publish(Keys.SLOT_OFFERS, new SlotOffersMessage(coordinatorId, to, ids)));
    }

    private void publish(String channel, Object message) {
        try {
            redis.async().publish(redis.channel(channel), Json.text(message));
        } catch (RedisException e) {
            log.atDebug().log("Could not publish to {}: {}", channel, e.toString());
        }
    }

    private void onWants(String text) {
        try {
            Message message = Json.read(text, Message.class);
            if (!message.coordinator().equals(coordinatorId)) {
                dispatcher.postToLane(lane -> lane.updateRemoteWants(
                        message.coordinator(),
                        message.wants(),
                        message.laneTimes(),
                        message.limits(),
                        message.keptAgents(),
                        clock.instant()));
            }
        } catch (Json.MalformedMessageException e) {
            log.atDebug().log("Malformed wants: {}", e.getMessage());
        }
    }

    private void onSlotOffers(String text) {
        try {
            SlotOffersMessage message = Json.read(text, SlotOffersMessage.class);
            if (message.leftTo().equals(coordinatorId)) {
                dispatcher.postToLane(lane -> lane.acceptOffers(message.agents(), clock.instant()));
            }
        } catch (Json.MalformedMessageException e) {
            log.atDebug().log("Malformed slot offers: {}", e.getMessage());
        }
    }
}
