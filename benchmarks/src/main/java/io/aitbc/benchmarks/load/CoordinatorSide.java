package io.aitbc.benchmarks.load;

import io.aitbc.benchmarks.cluster.Cluster;
import io.aitbc.contracts.Priority;
import io.aitbc.coordinator.taskstate.TaskState;
import io.lettuce.core.LettuceFutures;
import io.lettuce.core.RedisClient;
import io.lettuce.core.RedisFuture;
import io.lettuce.core.ScanArgs;
import io.lettuce.core.ScanIterator;
import io.lettuce.core.api.StatefulRedisConnection;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.HdrHistogram.Histogram;

/** The coordinator with its Redis. */
public final class CoordinatorSide extends Side {
    private static final int BATCH = 10_000;

    private final Cluster cluster;
    private final RedisClient client;
    private final StatefulRedisConnection<String, String> redis;
    private long settledBefore;

    public CoordinatorSide(Cluster cluster, int agentCount, int capacity) {
        super(cluster, "", agentCount, capacity);
        this.cluster = cluster;
        client = RedisClient.create(cluster.redisUrl());
        redis = client.connect();
        agents.ask("register");
        Cluster.await("all agents", Duration.ofMinutes(10), () -> redis.sync().scard("agents:active") == agentCount);
    }

    /** Lets agents complete their tasks from now on. */
    public CoordinatorSide working() {
        agents.ask("work");
        return this;
    }

    /** Lets agents hold their tasks without completing them from now on. */
    public void resting() {
        agents.ask("rest");
    }

    public StatefulRedisConnection<String, String> redis() {
        return redis;
    }

    /** Memory that Redis uses for its data. */
    public long redisBytes() {
        return redis.sync()
                .info("memory")
                .lines()
                .filter(line -> line.startsWith("used_memory:"))
                .mapToLong(line -> Long.parseLong(line.substring(line.indexOf(':') + 1)))
                .findFirst()
                .orElseThrow();
    }

    @Override
    long settled() {
        return settledTotal() - settledBefore;
    }

    private long settledTotal() {
        String count = redis.sync().hget("stats:tasks", "completed");
        return count == null ? 0 : Long.parseLong(count);
    }

    @Override
    public void reset() {
        settledBefore = settledTotal();
        agents.ask("reset");
    }

    @Override
    public void pause() {
        queues("pause");
    }

    /** Awaits a backlog of this size. */
    public void fill(String run, int count) {
        pause();
        Cluster.pause(Duration.ofSeconds(3));
        fillBacklog(new Submitter.Order(run, (int) (count - waiting("low")), 0, "low", 0));
        // Tasks held before are settled by now, and do not count.
        reset();
    }

    /** The backlog of a priority. */
    public long waiting(String priority) {
        return cluster.get("/tasks/queues").path("queue_sizes").path(priority).asLong();
    }

    /** Drains the backlog until this many tasks are settled. */
    public void release(int count) {
        resume();
        awaitSettled(count);
    }

    @Override
    public void resume() {
        queues("resume");
    }

    private void queues(String what) {
        for (Priority priority : Priority.values()) {
            cluster.post("/tasks/queues/" + priority.wireName() + "/" + what, "");
        }
    }

    /** The settling time of a batch of results is taken before the call to Redis, so one round trip to Redis is not counted. In whole ms. */
    @Override
    public Histogram untilSettled(String run) {
        Histogram latencies = Timestamps.histogram();
        Map<String, RedisFuture<String>> asked = new HashMap<>();
        ScanIterator<String> keys = ScanIterator.scan(
                redis.sync(), ScanArgs.Builder.matches("task:" + run + "-*").limit(1_000));
        while (keys.hasNext()) {
            String key = keys.next();
            asked.put(key, redis.async().get(key));
            if (asked.size() == BATCH) {
                recordLatencies(asked, latencies);
            }
        }
        recordLatencies(asked, latencies);
        return latencies;
    }

    private static void recordLatencies(Map<String, RedisFuture<String>> asked, Histogram latencies) {
        LettuceFutures.awaitAll(1, TimeUnit.MINUTES, asked.values().toArray(RedisFuture[]::new));
        asked.forEach((key, record) -> {
            TaskState task = TaskState.read(key, record.toCompletableFuture().join());
            Instant finished = Instant.parse(task.fields().get("finished_at"));
            Timestamps.record(latencies, Timestamps.of(finished) - Timestamps.submittedAt(key));
        });
        asked.clear();
    }

    @Override
    Map<String, Duration> between() {
        Map<String, Duration> between = new LinkedHashMap<>();
        between.put("coordinator", cluster.coordinatorCpu());
        between.put("Redis", cluster.redisCpu());
        return between;
    }

    @Override
    public void close() {
        super.close();
        redis.close();
        client.shutdown();
    }
}
