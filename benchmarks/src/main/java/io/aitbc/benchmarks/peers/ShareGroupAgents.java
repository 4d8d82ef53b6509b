package io.aitbc.benchmarks.peers;

import io.aitbc.benchmarks.cluster.ChildProcess;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.VoidDeserializer;
import org.apache.kafka.common.serialization.VoidSerializer;

/** Agents in a share group. An agent takes tasks, sends their results, and accepts the tasks once the broker has the results. */
final class ShareGroupAgents {
    static final String GROUP = "agents";
    static final String TASKS = "tasks";
    static final String RESULTS = "results";

    private ShareGroupAgents() {}

    /** A producer with the settings of the coordinator's submitters and agents. */
    static KafkaProducer<Void, byte[]> producer(String servers) {
        return new KafkaProducer<>(
                Map.of("bootstrap.servers", servers, "linger.ms", 1, "batch.size", 128 * 1024),
                new VoidSerializer(),
                new ByteArraySerializer());
    }

    /** @param args the broker's address, the number of agents and their capacity */
    public static void main(String[] args) throws IOException {
        try (KafkaProducer<Void, byte[]> results = producer(args[0])) {
            for (int i = 0; i < Integer.parseInt(args[1]); i++) {
                Background.start("agent-" + i, () -> work(args[0], args[2], results));
            }
            ChildProcess.listen(order -> Map.of());
        }
    }

    private static void work(String servers, String capacity, KafkaProducer<Void, byte[]> results) throws Exception {
        Map<String, Object> config = Map.of(
                "bootstrap.servers", servers,
                "group.id", GROUP,
                "share.acknowledgement.mode", "explicit",
                // Idle consumers ask seldom, so that the turns of other peers are not disturbed.
                "fetch.max.wait.ms", 10_000,
                "max.poll.records", capacity);
        try (KafkaShareConsumer<Void, byte[]> tasks =
                new KafkaShareConsumer<>(config, new VoidDeserializer(), new ByteArrayDeserializer())) {
            tasks.subscribe(List.of(TASKS));
            while (true) {
                complete(tasks, tasks.poll(Duration.ofSeconds(1)), results);
            }
        }
    }

    /** The next poll takes the acknowledgements along. */
    private static void complete(
            KafkaShareConsumer<Void, byte[]> tasks,
            ConsumerRecords<Void, byte[]> records,
            KafkaProducer<Void, byte[]> results)
            throws Exception {
        List<Future<?>> sent = new ArrayList<>(records.count());
        for (ConsumerRecord<Void, byte[]> record : records) {
            sent.add(results.send(new ProducerRecord<>(RESULTS, Bodies.result(record.value()))));
        }
        for (Future<?> one : sent) {
            one.get();
        }
        records.forEach(record -> tasks.acknowledge(record, AcknowledgeType.ACCEPT));
    }
}
