package io.aitbc.coordinator.kafka;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import java.io.Closeable;
import java.time.Duration;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.config.ConfigException;
import org.junit.jupiter.api.Test;

class LazyClientTest {
    private final AtomicInteger tries = new AtomicInteger();
    private final AtomicBoolean resolves = new AtomicBoolean();
    private final AtomicBoolean closed = new AtomicBoolean();

    private interface Client extends Closeable {
        String ask(String question);

        @Override
        void close();
    }

    private final Client client = LazyClient.of(Client.class, () -> {
        tries.incrementAndGet();
        if (!resolves.get()) {
            throw new KafkaException("not constructed", new ConfigException("no name resolves"));
        }
        return new Client() {
            @Override
            public String ask(String question) {
                if (question.isEmpty()) {
                    throw new IllegalArgumentException("asked nothing");
                }
                return question + ": yes";
            }

            @Override
            public void close() {
                closed.set(true);
            }
        };
    });

    @Test
    void eachCallFailsUntilTheClientCanBeConstructed() {
        assertThatThrownBy(() -> client.ask("there?"))
                .isInstanceOf(KafkaException.class)
                .hasMessage("no name resolves");
        assertThatThrownBy(() -> client.ask("there?")).isInstanceOf(KafkaException.class);
        assertThat(tries).as("a name is not looked up for each call").hasValue(1);

        resolves.set(true);

        String answer = await().atMost(Duration.ofSeconds(90))
                .ignoreExceptions()
                .until(() -> client.ask("there?"), Objects::nonNull);
        assertThat(answer).isEqualTo("there?: yes");
        assertThat(client.ask("still there?")).isEqualTo("still there?: yes");
        assertThat(tries).hasValue(2);
        assertThatThrownBy(() -> client.ask(""))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("asked nothing");
    }

    @Test
    void closingDoesNotConstructTheClient() {
        resolves.set(true);
        client.close();
        assertThat(tries).hasValue(0);

        client.ask("there?");
        client.close();

        assertThat(closed).isTrue();
    }
}
