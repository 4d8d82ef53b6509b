package io.aitbc.benchmarks.measure;

import io.aitbc.benchmarks.cluster.Cluster;
import io.aitbc.benchmarks.load.RawHeartbeats;
import io.aitbc.benchmarks.report.Report;
import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Delivery;
import io.aitbc.contracts.Heartbeat;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Location;
import io.aitbc.contracts.Registration;
import io.aitbc.contracts.Resources;
import io.lettuce.core.RedisClient;
import io.lettuce.core.api.StatefulRedisConnection;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringSerializer;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Cost of registered agents and their heartbeats. */
@Command(name = "registry", description = "Cost of agents: heartbeats, memory, lookup.")
public final class RegistryBenchmark extends Benchmark {
    private static final Duration TIMEOUT = Duration.ofMinutes(5);
    private static final Duration HEARTBEAT_EVERY = Duration.ofSeconds(10);
    /** Pause after the burst, for JIT compilation and garbage collection. */
    private static final Duration SETTLE = Duration.ofSeconds(20);

    private static final int FINDS = 2_000;
    private static final int CHANGES = 100;

    @Option(names = "--agents", split = ",", defaultValue = "100,1000,10000", description = "Numbers of agents")
    private List<Integer> sizes = List.of();

    @Option(names = "--seconds", defaultValue = "40", description = "Seconds of heartbeats at their normal rate")
    private int seconds;

    @Option(names = "--burst", defaultValue = "200000", description = "Heartbeats sent as fast as possible")
    private int burst;

    @Override
    List<Report> measure() {
        Report report = new Report(
                "Registry: each agent sends a heartbeat with its registration every 10 s",
                "agents",
                "all registered after",
                "coordinator, % of a core: idle, with heartbeats",
                "Redis, % of a core",
                "heartbeats/s per core",
                "bare clients",
                "ratio",
                "Redis, bytes/agent",
                "coordinator, bytes/agent",
                "lookup: p50, p99",
                "HGETALL: p50",
                "visible in the live view: p50, p99");
        sizes.forEach(agents -> measure(agents, report));
        return List.of(report);
    }

    private void measure(int agents, Report report) {
        // Agents must not lose health during the idle measurement: changes of health cost time.
        try (Cluster cluster = new Cluster("--aitbc.registry.heartbeat-interval=150s");
                RedisClient client = RedisClient.create(cluster.redisUrl());
                StatefulRedisConnection<String, String> redis = client.connect();
                KafkaProducer<String, byte[]> producer = new KafkaProducer<>(
                        Map.of("bootstrap.servers", cluster.bootstrapServers(), "linger.ms", 5),
                        new StringSerializer(),
                        new ByteArraySerializer())) {
            long redisBefore = usedMemory(redis);
            long heapBefore = cluster.coordinatorHeapBytes();

            long start = System.nanoTime();
            for (int i = 0; i < agents; i++) {
                sendHeartbeat(producer, i, 0);
            }
            Cluster.await("all agents", TIMEOUT, () -> redis.sync().scard("agents:active") == agents);
            Duration registered = Duration.ofNanos(System.nanoTime() - start);
            print("%d agents registered", agents);

            long redisBytes = (usedMemory(redis) - redisBefore) / agents;
            long heapBytes = (cluster.coordinatorHeapBytes() - heapBefore) / agents;

            // First, as a warm-up for the normal rate.
            double perCore = burst(cluster, redis, producer, agents);
            double raw = raw(cluster, redis, agents + (long) burst);
            print("%.0f heartbeats/s per core, bare clients %.0f", perCore, raw);

            Cluster.pause(SETTLE);
            Usage idle = usage(cluster, () -> Cluster.pause(Duration.ofSeconds(seconds)));
            // A warm-up: rare calls are compiled late.
            sendSteadily(producer, agents);
            Usage beating = usage(cluster, () -> sendSteadily(producer, agents));
            print("idle %s, beating %s", idle, beating);

            long[] finds = times(FINDS, i -> cluster.get("/agents/" + id(i * 7919 % agents)));
            long[] hashes = times(FINDS, i -> redis.sync().hgetall("agent:" + id(i * 7919 % agents)));
            long[] changes =
                    times(CHANGES, i -> change(cluster, id(0), i % 2 == 0 ? "busy" : "active", agents - 1 + i % 2));

            report.row(
                    agents,
                    text("%.1f s", registered.toMillis() / 1_000.0),
                    text("%.1f, %.1f", idle.coordinator, beating.coordinator),
                    text("%.1f, %.1f", idle.redis, beating.redis),
                    text("%.0f", perCore),
                    text("%.0f", raw),
                    text("%.2f", perCore / raw),
                    redisBytes,
                    heapBytes,
                    text("%.2f, %.2f ms", ms(finds, 0.5), ms(finds, 0.99)),
                    text("%.2f ms", ms(hashes, 0.5)),
                    text("%.1f, %.1f ms", ms(changes, 0.5), ms(changes, 0.99)));
        }
    }

    /** CPU usage in percent of one core. */
    private record Usage(double coordinator, double redis) {}

    private static Usage usage(Cluster cluster, Runnable meanwhile) {
        Duration coordinatorBefore = cluster.coordinatorCpu();
        Duration redisBefore = cluster.redisCpu();
        long start = System.nanoTime();
        meanwhile.run();
        double seconds = (System.nanoTime() - start) / 1e9;
        return new Usage(
                cluster.coordinatorCpu().minus(coordinatorBefore).toMillis() / 10.0 / seconds,
                cluster.redisCpu().minus(redisBefore).toMillis() / 10.0 / seconds);
    }

    private int heartbeatRounds() {
        return (int) (seconds / HEARTBEAT_EVERY.toSeconds());
    }

    /** Heartbeats of all agents in turn, evenly over the heartbeat interval. */
    private void sendSteadily(KafkaProducer<String, byte[]> producer, int agents) {
        long start = System.nanoTime();
        for (int round = 0; round < heartbeatRounds(); round++) {
            for (int i = 0; i < agents; i++) {
                long due = start
                        + HEARTBEAT_EVERY.toNanos() * round
                        + (long) (HEARTBEAT_EVERY.toNanos() * ((double) i / agents));
                long early = due - System.nanoTime();
                if (early > 1_000_000) {
                    Cluster.pause(Duration.ofNanos(early));
                }
                sendHeartbeat(producer, i, round + 1);
            }
        }
        long left = start + HEARTBEAT_EVERY.toNanos() * heartbeatRounds() - System.nanoTime();
        Cluster.pause(Duration.ofNanos(Math.max(0, left)));
    }

    /** Heartbeats per second of the coordinator's processor time, sent as fast as possible. */
    private double burst(
            Cluster cluster,
            StatefulRedisConnection<String, String> redis,
            KafkaProducer<String, byte[]> producer,
            int agents) {
        Duration before = cluster.coordinatorCpu();
        for (int i = 0; i < burst; i++) {
            sendHeartbeat(producer, i % agents, 1_000 + i / agents);
        }
        // The latest heartbeat of the last agent.
        int last = (burst - 1) % agents;
        String marker = "\"round\":" + (double) (1_000 + (burst - 1) / agents);
        Cluster.await("all heartbeats", TIMEOUT, () -> {
            String metrics = redis.sync().hget("agent:" + id(last), "load_metrics");
            return metrics != null && metrics.contains(marker);
        });
        Cluster.pause(Duration.ofSeconds(1));
        return burst / (cluster.coordinatorCpu().minus(before).toMillis() / 1_000.0);
    }

    private static double raw(Cluster cluster, StatefulRedisConnection<String, String> redis, long count) {
        Cluster.run(RawHeartbeats.class, cluster.bootstrapServers(), cluster.redisUrl(), "" + count);
        return count / (Long.parseLong(redis.sync().get(RawHeartbeats.CPU_MS)) / 1_000.0);
    }

    /** Awaits that the coordinator's live view shows it. */
    private static void change(Cluster cluster, String agentId, String status, int active) {
        cluster.put("/agents/" + agentId + "/status", "{\"status\":\"" + status + "\"}");
        Cluster.await(
                "the view",
                TIMEOUT,
                () -> cluster.get("/load-balancer/stats")
                                .at("/stats/active_agents")
                                .asInt()
                        == active);
    }

    private interface Step {
        void run(int number);
    }

    private static long[] times(int count, Step step) {
        long[] nanos = new long[count];
        for (int i = 0; i < count; i++) {
            long start = System.nanoTime();
            step.run(i);
            nanos[i] = System.nanoTime() - start;
        }
        Arrays.sort(nanos);
        return nanos;
    }

    private static double ms(long[] sortedNanos, double share) {
        return sortedNanos[(int) (share * (sortedNanos.length - 1))] / 1e6;
    }

    private static void sendHeartbeat(KafkaProducer<String, byte[]> producer, int number, int round) {
        String id = id(number);
        Registration registration = new Registration(
                id,
                "worker",
                List.of("echo", "hash", "http", "sleep", "gpu:2"),
                List.of("text", "image"),
                Json.object().put("http", "http://10.0.0.7:8080"),
                Json.object().put("owner", "team-a").put("zone", "b"),
                List.of("spot", "amd64"),
                "2.1.0",
                16,
                1.0,
                "eu-west",
                new Location(52.37, 4.89),
                null,
                null,
                Resources.NONE,
                Delivery.KAFKA);
        Map<String, Double> load = Map.of(
                "cpu_usage", 0.31, "memory_usage", 0.42, "active_tasks", 3.0, "capacity_usage", 0.2, "round", (double)
                        round);
        Heartbeat heartbeat = new Heartbeat(
                id, round == 0 ? AgentStatus.ACTIVE : null, load, Instant.now(), "process-1", registration);
        producer.send(new ProducerRecord<>("agents.heartbeat", id, Json.bytes(heartbeat)));
    }

    private static String id(int number) {
        return "worker-" + number;
    }

    private static long usedMemory(StatefulRedisConnection<String, String> redis) {
        return redis.sync()
                .info("memory")
                .lines()
                .filter(line -> line.startsWith("used_memory:"))
                .mapToLong(line ->
                        Long.parseLong(line.substring("used_memory:".length()).trim()))
                .findFirst()
                .orElseThrow();
    }

    private static void print(String format, Object... values) {
        System.out.println(text(format, values));
    }

    private static String text(String format, Object... values) {
        return String.format(Locale.ROOT, format, values);
    }
}
