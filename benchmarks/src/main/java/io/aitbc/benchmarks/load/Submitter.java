package io.aitbc.benchmarks.load;

import io.aitbc.benchmarks.cluster.ChildProcess;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Topics;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Submits tasks over Kafka, as fast as possible or at a rate. */
public final class Submitter implements AutoCloseable {
    /** Size of a task, unless an order says otherwise. */
    public static final int BYTES = 250;

    /** Name prefix of the limits that tasks use. */
    public static final String LIMIT = "load-";

    /** Name prefix of runs that are reported separately. */
    public static final String URGENT = "urgent";

    private final Topics topics;
    private final KafkaProducer<String, byte[]> producer;

    /**
     * A run.
     *
     * @param perSecond 0: as fast as possible
     * @param priority a priority; any other name: all five in turn
     * @param groups number of different memory requirements, which fewer and fewer agents meet; 0: none; negative: one that no agent meets
     * @param keys number of fairness keys, in turn; 0: none
     * @param limits number of limits that each task uses, {@link #LIMIT} and a number
     * @param bytes size of each task
     */
    public record Order(
            String run, int count, double perSecond, String priority, int groups, int keys, int limits, int bytes) {
        public Order(String run, int count, double perSecond, String priority, int groups, int keys, int limits) {
            this(run, count, perSecond, priority, groups, keys, limits, BYTES);
        }

        public Order(String run, int count, double perSecond, String priority, int groups) {
            this(run, count, perSecond, priority, groups, 0, 0);
        }

        static Order of(List<String> words) {
            return new Order(
                    words.get(0),
                    Integer.parseInt(words.get(1)),
                    Double.parseDouble(words.get(2)),
                    words.get(3),
                    Integer.parseInt(words.get(4)),
                    Integer.parseInt(words.get(5)),
                    Integer.parseInt(words.get(6)),
                    Integer.parseInt(words.get(7)));
        }

        Object[] words() {
            return new Object[] {run, count, perSecond, priority, groups, keys, limits, bytes};
        }

        List<Priority> priorities() {
            return Arrays.stream(Priority.values())
                    .filter(one -> one.wireName().equals(priority))
                    .findFirst()
                    .map(List::of)
                    .orElse(List.of(Priority.values()));
        }
    }

    private Submitter(String bootstrapServers, String prefix) {
        topics = new Topics(prefix);
        producer = new KafkaProducer<>(
                Map.of("bootstrap.servers", bootstrapServers, "linger.ms", 1, "batch.size", 128 * 1024),
                new StringSerializer(),
                new ByteArraySerializer());
    }

    public static void main(String[] args) throws IOException {
        try (Submitter submitter = new Submitter(args[0], args[1])) {
            ChildProcess.listen(order -> submitter.submit(Order.of(order)));
        }
    }

    private Object submit(Order order) {
        List<Priority> priorities = order.priorities();
        long start = Timestamps.now();
        for (int i = 0; i < order.count(); i++) {
            long at = Timestamps.now();
            if (order.perSecond() > 0) {
                // Latency counts from the scheduled time, so that a late submission is not hidden.
                long due = start + (long) (i * 1_000_000L / order.perSecond());
                while (at < due) {
                    LockSupport.parkNanos(Math.min(1_000_000, (due - at) * 1_000));
                    at = Timestamps.now();
                }
                at = due;
            }
            String id = Timestamps.taskId(order.run(), i, at);
            producer.send(
                    new ProducerRecord<>(topics.tasks(priorities.get(i % priorities.size())), id, task(id, order, i)));
        }
        producer.flush();
        return Map.of("first", start, "acknowledged", Timestamps.now());
    }

    private static byte[] task(String id, Order order, int number) {
        int groups = order.groups();
        String requirements = groups == 0
                ? ""
                : groups < 0
                        ? ",\"requirements\":{\"capabilities\":[\"of-nobody\"]}"
                        : ",\"requirements\":{\"capabilities\":[\"memory>="
                                + number % groups * BareAgents.MAX_MEMORY / groups + "\"]}";
        String key = order.keys() == 0 ? "" : ",\"fairness_key\":\"key-" + number % order.keys() + "\"";
        String uses = order.limits() == 0
                ? ""
                : IntStream.range(0, order.limits())
                        .mapToObj(i -> "\"" + LIMIT + i + "\":1")
                        .collect(Collectors.joining(",", ",\"uses\":{", "}"));
        String start = "{\"task_id\":\"" + id + "\"" + requirements + key + uses + ",\"task_data\":{\"text\":\"";
        String end = "\"}}";
        return (start + "x".repeat(Math.max(0, order.bytes() - start.length() - end.length())) + end)
                .getBytes(StandardCharsets.UTF_8);
    }

    @Override
    public void close() {
        producer.close();
    }
}
