package io.aitbc.coordinator.redis;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.localstack.LocalRedis;
import io.aitbc.localstack.LocalStack;
import io.aitbc.localstack.ManagedProcess;
import io.lettuce.core.RedisChannelHandler;
import io.lettuce.core.RedisClient;
import io.lettuce.core.RedisConnectionStateListener;
import io.lettuce.core.protocol.CommandType;
import io.lettuce.core.protocol.RedisCommand;
import io.lettuce.core.pubsub.RedisPubSubAdapter;
import io.lettuce.core.pubsub.StatefulRedisPubSubConnection;
import io.lettuce.core.resource.ClientResources;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.netty.channel.embedded.EmbeddedChannel;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class HungConnectionTest {
    private static final Duration LONG = Duration.ofSeconds(60);
    private static final Pattern PINGS = Pattern.compile("cmdstat_ping:calls=(\\d+)");

    @Test
    void aPingIsSentOnSilenceAndHasFiveSeconds() {
        EmbeddedChannel channel = new EmbeddedChannel();
        channel.freezeTime();
        channel.pipeline().addFirst(new HungConnectionHandler());

        advance(channel, 2_400);
        assertThat(channel.<Object>readOutbound()).isNull();
        advance(channel, 200);
        assertThat(channel.<RedisCommand<?, ?, ?>>readOutbound().getType()).isEqualTo(CommandType.PING);

        advance(channel, 4_800);
        assertThat(channel.isOpen()).isTrue();
        channel.writeInbound("+PONG");
        advance(channel, 2_400);
        assertThat(channel.<Object>readOutbound()).isNull();
        advance(channel, 200);
        assertThat(channel.<RedisCommand<?, ?, ?>>readOutbound().getType()).isEqualTo(CommandType.PING);

        advance(channel, 5_200);
        assertThat(channel.isOpen()).isFalse();
    }

    private static void advance(EmbeddedChannel channel, long ms) {
        // In steps, as an event loop sees time pass.
        for (long passed = 0; passed < ms; passed += 100) {
            channel.advanceTimeBy(100, TimeUnit.MILLISECONDS);
            channel.runScheduledPendingTasks();
        }
    }

    /** A subscription, on which nothing else is sent. */
    @Test
    void itIsKeptWhileItAnswersAndReplacedOnceItDoesNot(@TempDir Path folder) {
        RedisConfiguration configuration = new RedisConfiguration();
        try (LocalRedis server = LocalRedis.start(folder, LocalStack.freePort())) {
            ManagedProcess process = new ManagedProcess("redis", start -> server.process());
            ClientResources resources = configuration.redisClientResources(new SimpleMeterRegistry());
            Queue<String> received = new ConcurrentLinkedQueue<>();
            AtomicBoolean closed = new AtomicBoolean();
            try (RedisClient other = RedisClient.create(server.url());
                    RedisClient client =
                            configuration.redisClient(new RedisSettings(server.url(), "", "", "", ""), resources)) {
                StatefulRedisPubSubConnection<String, String> subscription = new Redis(client, 0)
                        .subscribe(
                                new RedisPubSubAdapter<>() {
                                    @Override
                                    public void message(String channel, String message) {
                                        received.add(message);
                                    }
                                },
                                "news");
                subscription.addListener(new RedisConnectionStateListener() {
                    @Override
                    public void onRedisDisconnected(RedisChannelHandler<?, ?> connection) {
                        closed.set(true);
                    }
                });
                var publisher = other.connect().sync();
                await().atMost(LONG).until(() -> pings(publisher.info("commandstats")) >= 2);
                assertThat(closed).isFalse();

                process.pause();
                await().atMost(LONG).untilTrue(closed);
                process.resume();

                await().atMost(LONG).ignoreExceptions().until(() -> publisher.publish("news", "again") == 1);
                await().atMost(LONG).until(() -> received.contains("again"));
            } finally {
                process.resume();
                resources.shutdown();
            }
        }
    }

    private static int pings(String commandStats) {
        Matcher pings = PINGS.matcher(commandStats);
        return pings.find() ? Integer.parseInt(pings.group(1)) : 0;
    }
}
