package io.aitbc.benchmarks.load;

import io.aitbc.benchmarks.cluster.ChildProcess;
import io.aitbc.contracts.Topics;
import java.io.IOException;
import java.time.Duration;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;

/** A group consumer that only reads, as the relay does: the limit of Kafka alone. */
public final class RawReader {
    private static int groups;

    private RawReader() {}

    /** @param args bootstrap servers; an order is a number of records */
    public static void main(String[] args) throws IOException {
        ChildProcess.listen(order -> Map.of("nanos", read(args[0], Integer.parseInt(order.get(0)))));
    }

    /** Reads all partitions, as a group of its own. */
    private static long read(String bootstrapServers, int records) {
        Map<String, Object> config = Map.of(
                "bootstrap.servers",
                bootstrapServers,
                "auto.offset.reset",
                "earliest",
                "enable.auto.commit",
                "false",
                "group.protocol",
                "consumer",
                "group.id",
                "raw-" + groups++,
                "max.poll.records",
                2_000);
        try (KafkaConsumer<String, byte[]> consumer =
                new KafkaConsumer<>(config, new StringDeserializer(), new ByteArrayDeserializer())) {
            consumer.subscribe(Topics.unprefixed().tasks());
            long start = 0;
            long bytes = 0;
            int read = 0;
            while (read < records) {
                for (ConsumerRecord<String, byte[]> record : consumer.poll(Duration.ofMillis(100))) {
                    start = start == 0 ? System.nanoTime() : start;
                    read++;
                    bytes += record.value().length;
                }
            }
            if (bytes < records) {
                throw new IllegalStateException("the tasks are empty");
            }
            return System.nanoTime() - start;
        }
    }
}
