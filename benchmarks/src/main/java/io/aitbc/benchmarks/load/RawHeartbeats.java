package io.aitbc.benchmarks.load;

import io.aitbc.benchmarks.cluster.Cluster;
import io.lettuce.core.RedisClient;
import io.lettuce.core.RedisFuture;
import io.lettuce.core.api.StatefulRedisConnection;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * The minimum cost of heartbeats: bare clients that read the topic and write each value to a hash of its agent. No JSON, registry, health or
 * notification.
 */
public final class RawHeartbeats {
    /** File for the processor time used since the first record. */
    public static final String CPU_MS = "raw-cpu-ms";

    private RawHeartbeats() {}

    /** @param args bootstrap servers, Redis URL, number of records after which it ends */
    public static void main(String[] args) {
        long count = Long.parseLong(args[2]);
        try (RedisClient client = RedisClient.create(args[1]);
                StatefulRedisConnection<String, String> redis = client.connect();
                KafkaConsumer<String, String> consumer = new KafkaConsumer<>(
                        Map.of("bootstrap.servers", args[0], "auto.offset.reset", "earliest"),
                        new StringDeserializer(),
                        new StringDeserializer())) {
            List<TopicPartition> partitions = IntStream.range(
                            0, consumer.partitionsFor("agents.heartbeat").size())
                    .mapToObj(i -> new TopicPartition("agents.heartbeat", i))
                    .toList();
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            ConsumerRecords<String, String> records = consumer.poll(Duration.ofSeconds(30));
            long before = cpuMs();
            for (long done = 0; done < count; records = consumer.poll(Duration.ofMillis(200))) {
                List<RedisFuture<Long>> written = new ArrayList<>();
                for (ConsumerRecord<String, String> record : records) {
                    written.add(redis.async().hset("raw:" + record.key(), Map.of("heartbeat", record.value())));
                }
                for (RedisFuture<Long> one : written) {
                    one.toCompletableFuture().join();
                }
                done += written.size();
            }
            redis.sync().set(CPU_MS, String.valueOf(cpuMs() - before));
        }
    }

    private static long cpuMs() {
        return Cluster.cpu(ProcessHandle.current()).toMillis();
    }
}
