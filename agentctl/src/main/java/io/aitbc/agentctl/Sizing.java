package io.aitbc.agentctl;

import io.aitbc.contracts.Delivery;
import java.time.Duration;
import tools.jackson.databind.PropertyNamingStrategies;
import tools.jackson.databind.annotation.JsonNaming;

/**
 * What an installation needs for a load, by the slopes that {@code docs/scaling.md} measures. A pure function.
 *
 * <pre>{@code
 * Sizing.of(new Sizing.Load(1_000, 200, 100, Delivery.KAFKA, 1_000, 200, Duration.ofSeconds(2), 600_000,
 *         Duration.ofHours(24), Duration.ofDays(7), 3)).redisBytes();
 * }</pre>
 *
 * @param installations how many, side by side, so that none of them fills the one core of its Redis; all other figures are for one of them
 * @param runningTasks attempts at once, for which agents need as much capacity
 * @param coordinators how many, of which one may fail
 * @param coordinatorCores of each coordinator
 * @param heapBytes of each coordinator
 * @param redisCores share of Redis's core in use
 * @param redisBytes data in Redis; it needs twice as much memory while it rewrites its append-only file
 * @param endedBytes of that, the records of tasks that have ended
 * @param brokers how many
 * @param brokerCores of each broker
 * @param brokerDiskBytes of each broker
 * @param writtenBytesPerSecond to the topics, before replication
 * @param partitions of all topics, before replication
 */
@JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
public record Sizing(
        int installations,
        double runningTasks,
        int coordinators,
        int coordinatorCores,
        long heapBytes,
        double redisCores,
        long redisBytes,
        long endedBytes,
        int brokers,
        int brokerCores,
        long brokerDiskBytes,
        double writtenBytesPerSecond,
        int partitions) {

    /** Utilisation of a core up to which latency stays low, and a spike has room. */
    private static final double UTILISATION = 0.6;

    /** The dispatching thread takes half of the time of its coordinator. */
    private static final int MAX_COORDINATOR_CORES = 2;

    private static final int MIN_COORDINATORS = 2;
    private static final int SHARED_TOPICS = 9;
    private static final int SINGLE_PARTITION_TOPICS = 5;
    private static final int MIN_PARTITIONS = 12;

    /** Replicas of partitions on one broker, as Kafka recommends. */
    private static final int MAX_PARTITIONS_PER_BROKER = 4_000;

    private static final int PARTITIONS_PER_COORDINATOR = 4;

    private static final long MIB = 1024 * 1024;
    private static final long REDIS_BASE_BYTES = 10 * MIB;
    private static final long REDIS_BYTES_PER_WAITING_TASK = 200;
    private static final long REDIS_BYTES_PER_RUNNING_TASK = 340;
    /** And its result. */
    private static final long REDIS_BYTES_PER_ENDED_TASK = 260;

    private static final long REDIS_BYTES_PER_AGENT = 3_000;
    private static final long MIN_HEAP_BYTES = 512 * MIB;
    private static final long HEAP_BASE_BYTES = 256 * MIB;
    /** Entries may fill a third of the heap: seven million in each GiB, fewer if they have start or expiry times. */
    private static final long HEAP_BYTES_PER_WAITING_TASK = 160;

    /** The same for agents. */
    private static final long HEAP_BYTES_PER_AGENT = 3 * 4_300;

    /** A task's data are in its record and its assignment, its result in the result and an event. */
    private static final int COPIES = 2;

    /** Everything but data and results: envelopes, keys, other events. Measured at 1,000 tasks/s; larger batches take less. */
    private static final long KAFKA_BYTES_PER_TASK = 1_250;

    /** Processor time per task with delivery Kafka, on a slow core that is still compiling. */
    private enum Cost {
        COORDINATOR(75, 0),
        REDIS(23, 0.0145),
        KAFKA(24, 0.0145);

        /** Under full load, however many agents there are. */
        private static final double MOST_US = 150;

        private final double us;
        private final double usPerAgent;

        /** @param usPerAgent batches are split by agent */
        Cost(double us, double usPerAgent) {
            this.us = us;
            this.usPerAgent = usPerAgent;
        }

        double at(double agents) {
            return Math.min(MOST_US, us + agents * usPerAgent);
        }
    }

    /** Processor time in µs per task over HTTP. */
    private enum HttpCost {
        COORDINATOR(3_200),
        REDIS(230),
        KAFKA(880);

        private final double us;

        HttpCost(double us) {
            this.us = us;
        }
    }

    /**
     * A load.
     *
     * @param tasksPerSecond at the peak, above 0
     * @param averagePerSecond above 0, for what is kept as long as the retentions say
     * @param agents above 0
     * @param taskBytes size of a task
     * @param resultBytes size of a result
     * @param taskTime how long an agent works on a task, on average
     * @param waiting tasks that may wait at the same time
     * @param taskRetention {@code AITBC_SETTLE_TASK_RETENTION}
     * @param topicRetention of topics, such as {@code AITBC_TOPICS_TASK_RETENTION}
     * @param replicas of topics, above 0
     */
    public record Load(
            double tasksPerSecond,
            double averagePerSecond,
            int agents,
            Delivery delivery,
            long taskBytes,
            long resultBytes,
            Duration taskTime,
            long waiting,
            Duration taskRetention,
            Duration topicRetention,
            int replicas) {

        private Load part(int parts) {
            return new Load(
                    tasksPerSecond / parts,
                    averagePerSecond / parts,
                    (agents + parts - 1) / parts,
                    delivery,
                    taskBytes,
                    resultBytes,
                    taskTime,
                    (waiting + parts - 1) / parts,
                    taskRetention,
                    topicRetention,
                    replicas);
        }

        private double cores(Cost cost, HttpCost http) {
            return tasksPerSecond * (delivery.isShared() ? http.us : cost.at(agents)) / 1e6;
        }

        private double redisCores() {
            return cores(Cost.REDIS, HttpCost.REDIS);
        }
    }

    /** Calculates the least that is safe: more of each is never wrong. */
    public static Sizing of(Load load) {
        int installations = 1;
        while (load.part(installations).redisCores() > UTILISATION) {
            installations++;
        }
        return ofOne(load.part(installations), installations);
    }

    private static Sizing ofOne(Load load, int installations) {
        double rate = load.tasksPerSecond;
        double running = rate * load.taskTime.toMillis() / 1e3;
        double coordinatorCores = load.cores(Cost.COORDINATOR, HttpCost.COORDINATOR) / UTILISATION;
        // One of them may fail.
        int coordinators = Math.max(MIN_COORDINATORS, 1 + ceil(coordinatorCores / MAX_COORDINATOR_CORES));
        double ended = load.averagePerSecond
                * load.taskRetention.toSeconds()
                * (REDIS_BYTES_PER_ENDED_TASK + (double) load.resultBytes);
        double bytesPerTask = KAFKA_BYTES_PER_TASK + COPIES * ((double) load.taskBytes + load.resultBytes);
        double brokerCores = load.cores(Cost.KAFKA, HttpCost.KAFKA) * load.replicas / UTILISATION;
        int partitions = Math.max(MIN_PARTITIONS, PARTITIONS_PER_COORDINATOR * coordinators);
        int allPartitions =
                SHARED_TOPICS * partitions + SINGLE_PARTITION_TOPICS + (load.delivery.isShared() ? 0 : load.agents);
        int brokers = Math.max(load.replicas, ceil(allPartitions * (double) load.replicas / MAX_PARTITIONS_PER_BROKER));
        double kept = load.averagePerSecond * bytesPerTask * load.topicRetention.toSeconds();
        return new Sizing(
                installations,
                running,
                coordinators,
                Math.max(1, ceil(coordinatorCores / (coordinators - 1))),
                (long) Math.max(
                        MIN_HEAP_BYTES,
                        HEAP_BASE_BYTES
                                + (double) load.waiting * HEAP_BYTES_PER_WAITING_TASK
                                + (double) load.agents * HEAP_BYTES_PER_AGENT),
                load.redisCores(),
                (long) (REDIS_BASE_BYTES
                        + (double) load.waiting * REDIS_BYTES_PER_WAITING_TASK
                        + running * REDIS_BYTES_PER_RUNNING_TASK
                        + (double) load.agents * REDIS_BYTES_PER_AGENT
                        + ended),
                (long) ended,
                brokers,
                Math.max(1, ceil(brokerCores / brokers)),
                (long) (kept * load.replicas / brokers),
                rate * bytesPerTask,
                allPartitions);
    }

    private static int ceil(double number) {
        return (int) Math.ceil(number);
    }
}
