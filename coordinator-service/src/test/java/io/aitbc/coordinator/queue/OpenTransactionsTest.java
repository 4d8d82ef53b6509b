package io.aitbc.coordinator.queue;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.kafka.CoordinatorId;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.localstack.LocalStack;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.time.Clock;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ForwardingAdmin;
import org.apache.kafka.clients.admin.ListTransactionsOptions;
import org.apache.kafka.clients.admin.ListTransactionsResult;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.serialization.StringSerializer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;
import org.springframework.kafka.core.DefaultKafkaConsumerFactory;
import org.springframework.kafka.core.DefaultKafkaProducerFactory;

/** Failed lookups are retried, and no transaction is aborted because a lookup failed. */
class OpenTransactionsTest {
    private static final Duration LONG = Duration.ofSeconds(90);
    private static final Duration AT_ONCE = Duration.ofMillis(1);

    private final Map<String, Object> servers =
            Map.of("bootstrap.servers", LocalStack.shared().bootstrapServers());
    private final Map<String, Object> consumerConfig = new ConcurrentHashMap<>(servers);
    private final KafkaClients clients = new KafkaClients(
            new DefaultKafkaConsumerFactory<>(servers) {
                @Override
                public Map<String, Object> getConfigurationProperties() {
                    return consumerConfig;
                }
            },
            new DefaultKafkaProducerFactory<>(servers),
            new CoordinatorId("test"),
            new SimpleMeterRegistry());
    private Topics topics;
    private KafkaProducer<String, String> hanging;

    @BeforeEach
    void open(TestInfo test) throws Exception {
        topics = new Topics(
                "open-" + (test.getTestMethod().orElseThrow().getName().hashCode() & 0xFFFF) + ".");
        try (Admin admin = Admin.create(servers)) {
            admin.createTopics(Stream.concat(topics.tasks().stream(), Stream.of(topics.results()))
                            .map(name -> new NewTopic(name, Optional.of(1), Optional.empty()))
                            .toList())
                    .all()
                    .get();
        }
        Map<String, Object> config = new HashMap<>(servers);
        config.put(ProducerConfig.TRANSACTIONAL_ID_CONFIG, topics.prefix() + "hanging");
        hanging = new KafkaProducer<>(config, new StringSerializer(), new StringSerializer());
        hanging.initTransactions();
        hanging.beginTransaction();
        hanging.send(new ProducerRecord<>(topics.results(), "key", "value")).get();
    }

    @AfterEach
    void close() {
        hanging.close(Duration.ZERO);
    }

    @Test
    void aFirstRecordThatCouldNotBeReadIsReadLater() {
        // The broker delays fetches, waiting for more bytes than there are.
        consumerConfig.putAll(Map.of("fetch.min.bytes", 50_000_000, "fetch.max.wait.ms", 4_000));
        try (Admin admin = Admin.create(servers);
                OpenTransactions transactions = transactions(admin, Duration.ZERO)) {
            transactions.start();
            await().atMost(LONG)
                    .until(() -> found(transactions)
                            .map(open -> open.producerId() != null && open.since() == null)
                            .orElse(false));

            consumerConfig.put("fetch.min.bytes", 1);

            await().atMost(LONG)
                    .until(() -> found(transactions)
                            .map(open -> open.since() != null)
                            .orElse(false));
        }
    }

    @Test
    void whileTheProducerCannotBeLookedUpNothingIsAborted() {
        LookUps admin = new LookUps(servers);
        try (admin;
                OpenTransactions transactions = transactions(admin, AT_ONCE)) {
            transactions.start();
            await().atMost(LONG).until(() -> admin.count.get() >= 4);
            assertThat(found(transactions)).get().matches(open -> open.transactionalId() == null);

            admin.answers = true;

            await().atMost(LONG).until(() -> found(transactions).isEmpty());
            assertThatThrownBy(hanging::commitTransaction).isInstanceOf(ProducerFencedException.class);
        }
    }

    private OpenTransactions transactions(Admin admin, Duration resultTimeout) {
        return new OpenTransactions(
                admin, clients, topics, resultTimeout, new SimpleMeterRegistry(), Clock.systemUTC());
    }

    private Optional<OpenTransactions.OpenTransaction> found(OpenTransactions transactions) {
        return transactions.of(topics.results()).stream().findFirst();
    }

    /** Asks a broker that does not exist at first. */
    private static final class LookUps extends ForwardingAdmin {
        private final Admin unreachable = Admin.create(Map.of("bootstrap.servers", "127.0.0.1:1"));
        private final AtomicInteger count = new AtomicInteger();
        private volatile boolean answers;

        LookUps(Map<String, Object> servers) {
            super(servers);
        }

        @Override
        public ListTransactionsResult listTransactions(ListTransactionsOptions options) {
            count.incrementAndGet();
            return answers ? super.listTransactions(options) : unreachable.listTransactions(options.timeoutMs(200));
        }

        @Override
        public void close(Duration timeout) {
            unreachable.close(timeout);
            super.close(timeout);
        }
    }
}
