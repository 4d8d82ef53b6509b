package io.aitbc.coordinator.live;

import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.contracts.Json;
import io.aitbc.coordinator.security.Caller;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/** Backpressure of slow clients, controlled by the test. */
class SubscriberTest {
    private static final Instant NOW = Instant.parse("2026-01-01T00:00:00Z");

    private final Channel queues = new Channel("queues");
    private final Channel agents = new Channel("agents");
    private final List<JsonNode> sent = new ArrayList<>();
    private CompletableFuture<Void> taken = new CompletableFuture<>();
    private boolean ended;
    private RuntimeException broken;
    private final Subscriber subscriber = new Subscriber(
            message -> {
                if (broken != null) {
                    throw broken;
                }
                sent.add(Json.MAPPER.readTree(message));
                return taken;
            },
            () -> ended = true,
            Caller.ANYONE);

    @Test
    void aSlowClientGetsOnlyTheNewestState() {
        subscriber.subscribe(queues);
        say(queues, 1);
        for (int i = 2; i <= 1_000; i++) {
            say(queues, i);
        }
        assertThat(sent).hasSize(1);

        take();

        assertThat(sent).extracting(message -> message.get("data").asInt()).containsExactly(1, 1_000);
    }

    @Test
    void aClientWithThePreviousEditionGetsOnlyTheChange() {
        subscriber.subscribe(agents);
        change(agents, 1);
        take();
        change(agents, 2);
        take();
        change(agents, 3);
        change(agents, 4);
        take();

        assertThat(sent)
                .extracting(message -> message.get("kind").asString())
                .containsExactly("whole", "change", "change", "change");
        assertThat(sent).extracting(message -> message.get("data").asInt()).containsExactly(1, -2, -3, -4);
    }

    @Test
    void aClientThatMissedAnEditionGetsTheFullState() {
        subscriber.subscribe(agents);
        change(agents, 1);
        change(agents, 2);
        change(agents, 3);
        take();

        assertThat(sent).extracting(message -> message.get("data").asInt()).containsExactly(1, 3);
    }

    /** A client subscribes while Redis is unavailable: later changes are useless without the full state. */
    @Test
    void aClientThatGotOnlyUnavailableGetsTheFullState() {
        taken.complete(null);
        change(agents, 1);
        agents.unavailable("Redis is away", NOW);
        subscriber.subscribe(agents);
        subscriber.pump();
        change(agents, 2);

        assertThat(sent).extracting(message -> message.get("kind").asString()).containsExactly("unavailable", "whole");
    }

    @Test
    void noTopicDelaysAnother() {
        subscriber.subscribe(queues);
        subscriber.subscribe(agents);
        say(queues, 1);
        say(agents, 1);
        say(queues, 2);
        take();
        say(queues, 3);
        take();

        assertThat(sent)
                .extracting(message -> message.get("topic").asString())
                .containsExactly("queues", "agents", "queues");
    }

    @Test
    void unavailabilityIsSentOnce() {
        subscriber.subscribe(queues);
        taken.complete(null);
        say(queues, 1);
        queues.unavailable("Redis is away", NOW);
        subscriber.pump();
        queues.unavailable("Redis is away", NOW);
        subscriber.pump();
        say(queues, 1);

        assertThat(sent)
                .extracting(message -> message.get("kind").asString())
                .containsExactly("whole", "unavailable", "whole");
    }

    @Test
    void unchangedStateIsNotSentAgain() {
        subscriber.subscribe(queues);
        taken.complete(null);
        say(queues, 1);
        say(queues, 1);

        assertThat(sent).hasSize(1);
    }

    @Test
    void anUnreachableClientIsDropped() {
        subscriber.subscribe(queues);
        say(queues, 1);
        taken.completeExceptionally(new IllegalStateException("broken pipe"));
        say(queues, 2);

        assertThat(ended).isTrue();
        assertThat(sent).hasSize(1);
    }

    @Test
    void aConnectionThatFailsAtOnceIsDropped() {
        broken = new IllegalStateException("no thread is free");
        subscriber.subscribe(queues);
        say(queues, 1);

        assertThat(ended).isTrue();
    }

    @Test
    void aKeepAliveDoesNotReplaceANotice() {
        subscriber.subscribe(queues);
        say(queues, 1);
        subscriber.sendNotice("{\"kind\":\"refused\"}");
        subscriber.sendNoticeIfNone("{\"kind\":\"alive\"}");
        take();

        assertThat(sent).extracting(message -> message.get("kind").asString()).containsExactly("whole", "refused");
    }

    /** If each message were sent from the callback of the one before, the stack depth would be the number of topics. */
    @Test
    void aFastClientWithManyTopicsGetsAll() {
        taken.complete(null);
        List<Channel> many = new ArrayList<>();
        for (int i = 0; i < 20_000; i++) {
            Channel channel = new Channel("tasks/" + i);
            channel.publish(Json.tree(i), NOW);
            subscriber.subscribe(channel);
            many.add(channel);
        }
        subscriber.pump();

        assertThat(sent).hasSize(many.size());
    }

    private void say(Channel channel, int value) {
        channel.publish(Json.tree(value), NOW);
        subscriber.pump();
    }

    private void change(Channel channel, int value) {
        channel.publish(Json.tree(value), Json.tree(-value), NOW);
        subscriber.pump();
    }

    /** Completes the send in progress. */
    private void take() {
        CompletableFuture<Void> before = taken;
        taken = new CompletableFuture<>();
        before.complete(null);
    }
}
