package io.aitbc.coordinator.dispatch;

import io.aitbc.contracts.Json;
import io.aitbc.coordinator.background.Part;
import io.aitbc.coordinator.background.Recurring;
import io.aitbc.coordinator.match.Want;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.lettuce.core.RedisException;
import io.lettuce.core.pubsub.RedisPubSubAdapter;
import io.lettuce.core.pubsub.StatefulRedisPubSubConnection;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Tells the other coordinators, a few times a second, which tasks wait here for agents that are full, and hears theirs: so that an
 * agent that becomes free goes to the most urgent task, whichever lane it waits in. Says nothing while capacity is not short.
 */
public final class WantsExchange implements Part {
    private static final Logger log = LoggerFactory.getLogger(WantsExchange.class);
    private static final Duration EVERY = Duration.ofMillis(250);
    private static final int MOST = 20;

    private final String coordinatorId;
    private final Dispatcher dispatcher;
    private final Redis redis;
    private final Clock clock;
    private final Recurring exchanging = new Recurring("wants", EVERY, this::exchange, this::unsubscribe);
    private @Nullable StatefulRedisPubSubConnection<String, String> subscription;

    /** What goes over the channel. */
    record Message(String coordinator, List<Want> wants) {
        Message {
            if (coordinator == null || wants == null || wants.stream().anyMatch(Objects::isNull)) {
                throw new IllegalArgumentException("coordinator and wants are required");
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
        exchanging.start();
    }

    @Override
    public void close() {
        exchanging.close();
    }

    @Override
    public List<String> troubles() {
        return exchanging.troubles();
    }

    private void exchange() {
        subscribe();
        dispatcher.tellLane(this::tell);
    }

    private void unsubscribe() {
        if (subscription != null) {
            subscription.closeAsync();
        }
    }

    private void subscribe() {
        if (subscription == null) {
            StatefulRedisPubSubConnection<String, String> opened = redis.openPubSub();
            opened.addListener(new RedisPubSubAdapter<>() {
                @Override
                public void message(String channel, String text) {
                    hear(text);
                }
            });
            try {
                opened.sync().subscribe(redis.channel(Keys.WANTS));
                subscription = opened;
            } finally {
                if (subscription == null) {
                    opened.closeAsync();
                }
            }
        }
    }

    private void tell(Lane lane) {
        List<Want> wants = lane.matcher().wants(clock.instant(), MOST);
        if (!wants.isEmpty()) {
            try {
                redis.async().publish(redis.channel(Keys.WANTS), Json.text(new Message(coordinatorId, wants)));
            } catch (RedisException e) {
                log.atDebug().log("Wants not told: {}", e.toString());
            }
        }
    }

    private void hear(String text) {
        try {
            Message message = Json.read(text, Message.class);
            if (!message.coordinator().equals(coordinatorId)) {
                dispatcher.tellLane(lane -> lane.heard(message.coordinator(), message.wants(), clock.instant()));
            }
        } catch (Json.MalformedMessageException e) {
            log.atDebug().log("Wants not understood: {}", e.getMessage());
        }
    }
}
