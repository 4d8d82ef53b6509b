package io.aitbc.benchmarks.peers;

import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.VoidDeserializer;

/** Submits tasks to {@link ShareGroupAgents} and reads their results. */
final class ShareGroupSubmitter {
    private ShareGroupSubmitter() {}

    /** @param args the broker's address */
    public static void main(String[] args) throws IOException {
        try (KafkaProducer<Void, byte[]> tasks = ShareGroupAgents.producer(args[0])) {
            Floods floods = new Floods();
            Background.start("results", () -> read(args[0], floods));
            floods.listen((from, to) -> {
                for (int i = from; i < to; i++) {
                    tasks.send(new ProducerRecord<>(ShareGroupAgents.TASKS, Bodies.task(i)));
                }
                tasks.flush();
            });
        }
    }

    private static void read(String servers, Floods floods) {
        Map<String, Object> config = Map.of(
                "bootstrap.servers", servers,
                "group.id", "submitter",
                "group.protocol", "consumer",
                "auto.offset.reset", "earliest",
                "max.poll.records", 5_000);
        try (KafkaConsumer<Void, byte[]> results =
                new KafkaConsumer<>(config, new VoidDeserializer(), new ByteArrayDeserializer())) {
            results.subscribe(List.of(ShareGroupAgents.RESULTS));
            while (true) {
                results.poll(Duration.ofSeconds(1)).forEach(record -> floods.received(record.value()));
            }
        }
    }
}
