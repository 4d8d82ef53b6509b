package io.aitbc.coordinator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.contracts.Json;
import io.aitbc.localstack.LocalStack;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;
import tools.jackson.databind.JsonNode;

/** Effects of transactional producers on queues: markers and aborted records are not tasks, and a hanging transaction is reported. */
class TransactionsTest {
    private static final Duration LONG = Duration.ofSeconds(90);

    private static RunningCoordinator coordinator;

    @BeforeAll
    static void start() {
        coordinator = RunningCoordinator.start(LocalStack.shared(), "transactions.", 14);
    }

    @AfterAll
    static void end() {
        coordinator.close();
    }

    /** Each queue is idle afterwards: no later record moves the position past the last marker. */
    @Test
    void abortedRecordsAndTransactionMarkersAreNotCounted() {
        coordinator.post("/tasks/queues/critical/pause", "");
        try (KafkaProducer<String, String> producer = transactional("sizes")) {
            for (int i = 0; i < 6; i++) {
                producer.beginTransaction();
                for (int j = 0; j < 20; j++) {
                    send(producer, "tasks.critical", (i % 2 == 0 ? "kept-" : "aborted-") + i + "-" + j, "transactions");
                }
                if (i % 2 == 0) {
                    producer.commitTransaction();
                } else {
                    producer.abortTransaction();
                }
            }
        }

        await().atMost(LONG).untilAsserted(() -> assertThat(size("critical")).isEqualTo(60));
        assertThat(front("critical")).hasSize(60).allMatch(id -> id.startsWith("kept-"));

        coordinator.register("transactions-agent", 100, "transactions");
        coordinator.post("/tasks/queues/critical/resume", "");
        coordinator.awaitRecords("assignments.transactions-agent", 60);
        await().atMost(LONG).untilAsserted(() -> assertThat(size("critical")).isZero());
        assertThat(front("critical")).isEmpty();
        coordinator.register("transactions-agent", 100);
    }

    /** Records behind an open transaction are accepted, but unreadable until the broker aborts it. */
    @Test
    void tasksBehindAnOpenTransactionAreReportedAndClearedWithTheQueue() {
        try (KafkaProducer<String, String> producer = transactional("hangs")) {
            producer.beginTransaction();
            for (int partition = 0; partition < 3; partition++) {
                send(producer, "tasks.urgent", partition, "open-" + partition, "of-nobody");
            }
            producer.flush();
            List<String> behind = IntStream.range(0, 6)
                    .mapToObj(
                            i -> coordinator.submit(
                                    "{\"task_id\":\"behind-" + i
                                            + "\",\"task_data\":{},\"priority\":\"urgent\",\"requirements\":{\"capabilities\":[\"behind\"]}}"))
                    .toList();

            assertThat(size("urgent")).isEqualTo(9);
            assertThat(front("urgent")).containsAll(behind);
            String open = await().atMost(LONG)
                    .until(
                            () -> explain("behind-3").path("explanation").asString(""),
                            text -> text.contains("open transaction"));
            long producerId = explain("behind-3")
                    .at("/waiting/open_transaction/producer_id")
                    .asLong(-1);
            assertThat(open).contains("producer " + producerId + " (transactional id transactions.hangs)");
            assertThat(explain("behind-3").at("/waiting/place_in_queue").asInt())
                    .isGreaterThan(1);
            await().atMost(LONG).untilAsserted(() -> {
                JsonNode queue = coordinator.get("/tasks/queues/stats").body().at("/queues/urgent");
                assertThat(queue.get("oldest_age_seconds").asDouble(0)).isPositive();
                assertThat(queue.get("held_back").asInt()).isEqualTo(9);
                assertThat(queue.get("held_back_by").asString()).contains("producer " + producerId);
                assertThat(samples("cluster_transaction_open_seconds"))
                        .anySatisfy(sample -> assertThat(sample)
                                .contains("producer_id=\"" + producerId + "\"")
                                .contains("topic=\"transactions.tasks.urgent\"")
                                .contains("transactional_id=\"transactions.hangs\""));
            });

            JsonNode cleared =
                    coordinator.post("/tasks/queues/urgent/clear", "").body();

            assertThat(cleared.get("cleared_count").asInt()).isZero();
            assertThat(cleared.get("held_back_count").asInt()).isEqualTo(9);
            assertThat(cleared.get("message").asString())
                    .isEqualTo("Cleared 0 tasks from the urgent queue; 9 more are held back by an open transaction "
                            + "and will be cancelled when it ends");
            coordinator.submit(
                    "{\"task_id\":\"after\",\"task_data\":{},\"priority\":\"urgent\",\"requirements\":{\"capabilities\":[\"behind\"]}}");
            coordinator.register("behind-agent", 100, "behind");

            producer.abortTransaction();

            coordinator.awaitTask("after", "assigned");
            behind.forEach(id -> coordinator.awaitTask(id, "cancelled"));
            assertThat(coordinator.get("/tasks/open-1").code()).isEqualTo(404);
            await().atMost(LONG).untilAsserted(() -> assertThat(size("urgent")).isZero());
            assertThat(coordinator.awaitRecords("assignments.behind-agent", 1))
                    .extracting(assignment -> assignment.get("task_id").asString())
                    .containsExactly("after");
            await().atMost(LONG)
                    .untilAsserted(
                            () -> assertThat(samples("cluster_transaction_open_seconds"))
                                    .containsExactly(
                                            "cluster_transaction_open_seconds{producer_id=\"\",topic=\"\",transactional_id=\"\"} 0.0"));
        }
    }

    /** Readable tasks are cleared and counted at once, although a transaction is open behind them. */
    @Test
    void aClearCountsTheTasksBeforeAnOpenTransaction() {
        for (int i = 0; i < 4; i++) {
            coordinator.submit(
                    "{\"task_data\":{},\"priority\":\"low\",\"requirements\":{\"capabilities\":[\"of-nobody\"]}}");
        }
        try (KafkaProducer<String, String> producer = transactional("later")) {
            producer.beginTransaction();
            send(producer, "tasks.low", 1, "committed-later", "of-nobody");
            producer.flush();

            JsonNode cleared = coordinator.post("/tasks/queues/low/clear", "").body();

            assertThat(cleared.get("cleared_count").asInt()).isEqualTo(4);
            assertThat(cleared.get("held_back_count").asInt()).isEqualTo(1);
            producer.commitTransaction();
            coordinator.awaitTask("committed-later", "cancelled");
            await().atMost(LONG).untilAsserted(() -> assertThat(size("low")).isZero());
        }
    }

    @Test
    void anAbortedDeadLetterIsNotListed() {
        try (KafkaProducer<String, String> producer = transactional("letters")) {
            for (String end : List.of("kept", "aborted", "open")) {
                producer.beginTransaction();
                producer.send(
                        new ProducerRecord<>("transactions.tasks.dead-letter", end, "{\"task_id\":\"" + end + "\"}"));
                producer.flush();
                if (end.equals("kept")) {
                    producer.commitTransaction();
                } else if (end.equals("aborted")) {
                    producer.abortTransaction();
                }
            }
            coordinator.publish("tasks.dead-letter", "behind", "{\"task_id\":\"behind\"}");

            List<String> letters = letters(50);

            // A hanging transaction hides no other letters; the outcome of its own records is still unknown.
            assertThat(letters).startsWith("behind").contains("kept").doesNotContain("aborted");
            assertThat(letters(2)).hasSize(2);
            producer.abortTransaction();
            await().atMost(LONG).untilAsserted(() -> assertThat(letters(2)).containsExactly("behind", "kept"));
        }
    }

    /** Otherwise, startup would wait half a minute for a message that never arrives. */
    @Test
    @ExtendWith(OutputCaptureExtension.class)
    void aTransactionAtTheEndOfTheControlTopicDoesNotDelayStartup(CapturedOutput output) {
        try (KafkaProducer<String, String> producer = transactional("control")) {
            producer.beginTransaction();
            producer.send(new ProducerRecord<>("transactions.coordinator.control", "odd", "{}"));
            producer.commitTransaction();
        }

        try (RunningCoordinator another = RunningCoordinator.start(LocalStack.shared(), "transactions.", 14)) {
            assertThat(another.get("/health").code()).isEqualTo(200);
        }

        assertThat(output.getOut()).doesNotContain("Earlier records have not been read yet");
    }

    private static List<String> letters(int limit) {
        return coordinator
                .get("/tasks/dead-letter?limit=" + limit)
                .body()
                .get("dead_letters")
                .valueStream()
                .map(letter -> letter.get("task_id").asString())
                .toList();
    }

    private static List<String> samples(String name) {
        return coordinator
                .text("/metrics")
                .lines()
                .filter(line -> line.startsWith(name))
                .toList();
    }

    private static JsonNode explain(String taskId) {
        return coordinator.get("/tasks/" + taskId + "/explain").body();
    }

    private static int size(String queue) {
        return coordinator
                .get("/tasks/queues")
                .body()
                .at("/queue_sizes/" + queue)
                .asInt(-1);
    }

    private static Set<String> front(String queue) {
        Set<String> ids = new TreeSet<>();
        coordinator
                .get("/tasks/queues/" + queue + "?limit=100")
                .body()
                .get("tasks")
                .forEach(task -> ids.add(task.get("task_id").asString()));
        return ids;
    }

    private static Future<?> send(KafkaProducer<String, String> producer, String topic, String id, String capability) {
        return producer.send(new ProducerRecord<>("transactions." + topic, id, task(id, capability)));
    }

    private static void send(
            KafkaProducer<String, String> producer, String topic, int partition, String id, String capability) {
        producer.send(new ProducerRecord<>("transactions." + topic, partition, id, task(id, capability)));
    }

    private static String task(String id, String capability) {
        return Json.text(Map.of(
                "task_id", id, "task_data", Map.of(), "requirements", Map.of("capabilities", List.of(capability))));
    }

    private static KafkaProducer<String, String> transactional(String id) {
        KafkaProducer<String, String> producer = new KafkaProducer<>(
                Map.of(
                        ProducerConfig.BOOTSTRAP_SERVERS_CONFIG,
                        LocalStack.shared().bootstrapServers(),
                        ProducerConfig.TRANSACTIONAL_ID_CONFIG,
                        "transactions." + id),
                new StringSerializer(),
                new StringSerializer());
        producer.initTransactions();
        return producer;
    }
}
