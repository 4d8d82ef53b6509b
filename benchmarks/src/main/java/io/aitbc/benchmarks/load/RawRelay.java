package io.aitbc.benchmarks.load;

import io.aitbc.benchmarks.cluster.ChildProcess;
import io.aitbc.contracts.Topics;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicLong;
import org.HdrHistogram.Histogram;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.jspecify.annotations.Nullable;

/**
 * The limit of Kafka alone: copies each record from the task topics to an agent's topic, round robin, and reads the results. No registry and
 * no choice; a fence only if one is given. Records grow to the size of an assignment.
 */
final class RawRelay implements AutoCloseable {
    private static final int ASSIGNMENT_BYTES = 560;
    private static final int MAX_PENDING = 2;

    private final Topics topics;
    private final List<String> agents;
    private final Map<String, Object> base;
    private final @Nullable Fence fence;
    private final KafkaProducer<String, byte[]> producer;
    private final Thread relaying = new Thread(this::relay, "relay");
    private final Thread settling = new Thread(this::settle, "results");
    private final AtomicLong settled = new AtomicLong();
    private Histogram latencies = Timestamps.histogram();
    /** Index of the next agent. */
    private int next;

    private volatile boolean paused;
    private volatile boolean closing;

    /** Records that are published once the fence has them. */
    private record Batch(List<ConsumerRecord<String, byte[]>> tasks, CompletableFuture<?> granted) {}

    private RawRelay(
            String bootstrapServers,
            String prefix,
            int agentCount,
            @Nullable Fence fence,
            Map<String, Object> producerSettings) {
        this.fence = fence;
        this.topics = new Topics(prefix);
        this.agents = BareAgents.ids(agentCount);
        this.base = Map.of(
                "bootstrap.servers",
                bootstrapServers,
                "auto.offset.reset",
                "earliest",
                "enable.auto.commit",
                "false",
                "group.protocol",
                "consumer");
        Map<String, Object> config = new HashMap<>(producerSettings);
        config.put("bootstrap.servers", bootstrapServers);
        config.put("acks", "all");
        this.producer = new KafkaProducer<>(config, new StringSerializer(), new ByteArraySerializer());
    }

    /** @param args bootstrap servers, prefix, number of agents, Redis URL for a fence or "bare", then settings of the producer as {@code name=value} */
    public static void main(String[] args) throws IOException {
        Map<String, Object> settings = new HashMap<>();
        Arrays.stream(args).skip(4).map(arg -> arg.split("=", 2)).forEach(pair -> settings.put(pair[0], pair[1]));
        Fence fence = args[3].equals("bare") ? null : new Fence(args[3]);
        try (RawRelay relay = new RawRelay(args[0], args[1], Integer.parseInt(args[2]), fence, settings)) {
            relay.relaying.start();
            relay.settling.start();
            ChildProcess.listen(order -> relay.execute(order.get(0)));
        }
    }

    private Object execute(String order) {
        switch (order) {
            case "pause" -> paused = true;
            case "resume" -> paused = false;
            case "reset" -> reset();
            case "settled" -> {
                return Map.of("settled", settled.get());
            }
            case "latencies" -> {
                return encodedLatencies();
            }
            default -> throw new IllegalArgumentException(order);
        }
        return Map.of();
    }

    private synchronized void reset() {
        latencies = Timestamps.histogram();
        settled.set(0);
    }

    private synchronized Object encodedLatencies() {
        return Map.of("latencies", Timestamps.encode(latencies));
    }

    private KafkaConsumer<String, byte[]> consumer(String group, List<String> from, int maxRecords) {
        Map<String, Object> config = new HashMap<>(base);
        config.put("group.id", topics.prefix() + group);
        config.put("max.poll.records", maxRecords);
        KafkaConsumer<String, byte[]> consumer =
                new KafkaConsumer<>(config, new StringDeserializer(), new ByteArrayDeserializer());
        consumer.subscribe(from);
        return consumer;
    }

    private void relay() {
        Deque<Batch> open = new ArrayDeque<>();
        long nextCommit = System.nanoTime();
        try (KafkaConsumer<String, byte[]> consumer = consumer("relay", topics.tasks(), 2_000)) {
            while (!closing) {
                if (paused) {
                    consumer.pause(consumer.assignment());
                } else {
                    consumer.resume(consumer.paused());
                }
                ConsumerRecords<String, byte[]> polled =
                        consumer.poll(open.isEmpty() ? Duration.ofMillis(100) : Duration.ZERO);
                if (fence == null) {
                    polled.forEach(this::assign);
                } else if (!polled.isEmpty()) {
                    List<ConsumerRecord<String, byte[]>> tasks = list(polled);
                    open.add(new Batch(tasks, fence.grant(tasks)));
                }
                // The previous batch is published while Redis has this one.
                while (open.size() > MAX_PENDING || polled.isEmpty() && !open.isEmpty()) {
                    Batch batch = open.remove();
                    batch.granted.join();
                    batch.tasks.forEach(this::assign);
                }
                if (System.nanoTime() >= nextCommit) {
                    consumer.commitAsync();
                    nextCommit = System.nanoTime() + 200_000_000;
                }
            }
        }
    }

    private void assign(ConsumerRecord<String, byte[]> task) {
        String agent = agents.get(next++ % agents.size());
        producer.send(new ProducerRecord<>(
                topics.assignments(agent),
                task.key(),
                Arrays.copyOf(task.value(), Math.max(ASSIGNMENT_BYTES, task.value().length))));
    }

    private static List<ConsumerRecord<String, byte[]>> list(ConsumerRecords<String, byte[]> records) {
        List<ConsumerRecord<String, byte[]>> list = new ArrayList<>(records.count());
        records.forEach(list::add);
        return list;
    }

    private void settle() {
        try (KafkaConsumer<String, byte[]> consumer = consumer("results", List.of(topics.results()), 2_000)) {
            while (!closing) {
                ConsumerRecords<String, byte[]> records = consumer.poll(Duration.ofMillis(100));
                if (!records.isEmpty()) {
                    if (fence != null) {
                        fence.settle(list(records)).join();
                    }
                    recordLatencies(records);
                    consumer.commitSync();
                }
            }
        }
    }

    private synchronized void recordLatencies(ConsumerRecords<String, byte[]> records) {
        long now = Timestamps.now();
        for (ConsumerRecord<String, byte[]> record : records) {
            Timestamps.record(latencies, now - Timestamps.submittedAt(record.key()));
        }
        settled.addAndGet(records.count());
    }

    @Override
    public void close() {
        closing = true;
        try {
            relaying.join();
            settling.join();
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
        producer.close(Duration.ofSeconds(2));
        if (fence != null) {
            fence.close();
        }
    }
}
