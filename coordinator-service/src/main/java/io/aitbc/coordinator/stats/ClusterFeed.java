package io.aitbc.coordinator.stats;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonUnwrapped;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.coordinator.dispatch.ClusterControl;
import io.aitbc.coordinator.dispatch.LaneStats;
import io.aitbc.coordinator.dispatch.LaneStatsReporter;
import io.aitbc.coordinator.kafka.CoordinatorId;
import io.aitbc.coordinator.redis.Redis;
import io.lettuce.core.RedisException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ExecutionException;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * A recent snapshot of the whole cluster, and its history over the last quarter of an hour. One thread updates it; any thread may read it.
 */
public final class ClusterFeed {
    private static final Duration HISTORY_INTERVAL = Duration.ofSeconds(5);
    /** All agents are read for it. */
    private static final Duration RUNNING_INTERVAL = Duration.ofSeconds(10);

    private static final int MAX_HISTORY_POINTS = 180;
    private static final Duration MAX_AGE = Duration.ofSeconds(20);

    private final ClusterStats clusterStats;
    private final ClusterControl control;
    private final LaneStatsReporter report;
    private final BooleanSupplier started;
    private final String coordinatorId;
    private final Redis redis;
    private final Clock clock;
    private final Deque<Point> points = new ArrayDeque<>();
    private volatile @Nullable Snapshot newest;
    private Instant nextPoint = Instant.EPOCH;
    private boolean historyExtended;
    private long running;
    private Instant nextRunning = Instant.EPOCH;
    private volatile @Nullable Boolean kafkaAnswers;
    private volatile @Nullable Boolean redisAnswers;

    /** @param started whether Kafka and Redis are available and all threads run */
    public ClusterFeed(
            ClusterStats clusterStats,
            ClusterControl control,
            LaneStatsReporter report,
            BooleanSupplier started,
            CoordinatorId coordinatorId,
            Redis redis,
            Clock clock) {
        this.redis = redis;
        this.clusterStats = clusterStats;
        this.control = control;
        this.report = report;
        this.started = started;
        this.coordinatorId = coordinatorId.text();
        this.clock = clock;
    }

    /**
     * A snapshot.
     *
     * @param running how many tasks agents held at most {@link #RUNNING_INTERVAL} before
     */
    public record Snapshot(
            Instant at,
            Map<Priority, Queue> queues,
            ClusterStats.Tasks tasks,
            long running,
            Map<String, LaneStats> coordinators) {}

    /** A queue, and whether it is paused. */
    public record Queue(
            @JsonUnwrapped ClusterStats.Queue stats,
            @JsonProperty("paused") boolean paused) {}

    /** A point of the history, with the total numbers of tasks that ended until then, and of completed and failed ones. */
    private record Point(
            @JsonProperty("at") Instant at,
            @JsonProperty("size") Map<Priority, @Nullable Long> size,
            @JsonProperty("received_per_second") double received,
            @JsonProperty("assigned_per_second") double assigned,
            @JsonProperty("running") long running,
            @JsonProperty("ended") long ended,
            @JsonProperty("completed") long completed,
            @JsonProperty("failed") long failed) {}

    /** The latest snapshot; null if there is none or it is too old. */
    public @Nullable Snapshot newest() {
        Snapshot snapshot = newest;
        return snapshot == null || snapshot.at().plus(MAX_AGE).isBefore(clock.instant()) ? null : snapshot;
    }

    /** Whether Kafka answered the last request, and accepted and returned a record; null before the first one. */
    public @Nullable Boolean kafkaAnswers() {
        return kafkaAnswers;
    }

    /** Whether Redis answered the last request, and accepted a write. */
    public @Nullable Boolean redisAnswers() {
        return redisAnswers;
    }

    public boolean isStarted() {
        return started.getAsBoolean();
    }

    /** The latest snapshot, however old. */
    public @Nullable Snapshot last() {
        return newest;
    }

    /**
     * Takes a snapshot if one is due.
     *
     * @param watched whether anybody subscribes, so that one is due every second
     * @return whether there is a new snapshot
     */
    public boolean refresh(boolean watched) throws InterruptedException {
        Instant now = clock.instant();
        // The next point lies too far ahead if the clock was set back.
        boolean due = !now.isBefore(nextPoint) || now.plus(HISTORY_INTERVAL).isBefore(nextPoint);
        if (!watched && !due) {
            return false;
        }
        Map<Priority, Queue> queues = new EnumMap<>(Priority.class);
        ClusterStats.Tasks tasks = null;
        RuntimeException failure = null;
        try {
            tasks = tasks();
        } catch (RuntimeException e) {
            // Kafka is checked all the same.
            failure = e;
        }
        Map<Priority, @Nullable Long> sizes = sizes();
        if (failure != null) {
            throw failure;
        }
        clusterStats
                .queues(sizes, now)
                .forEach((priority, queue) -> queues.put(
                        priority, new Queue(queue, control.pausedQueues().contains(priority))));
        if (!now.isBefore(nextRunning) || now.plus(RUNNING_INTERVAL).isBefore(nextRunning)) {
            running = clusterStats.running();
            nextRunning = now.plus(RUNNING_INTERVAL);
        }
        newest = new Snapshot(now, queues, Objects.requireNonNull(tasks), running, report.all());
        historyExtended = due;
        if (due) {
            nextPoint = now.plus(HISTORY_INTERVAL);
            addToHistory(newest);
        }
        return true;
    }

    private ClusterStats.Tasks tasks() throws InterruptedException {
        try {
            ClusterStats.Tasks tasks = clusterStats.tasks(false);
            redisAnswers = isRedisWritable();
            return tasks;
        } catch (RuntimeException e) {
            redisAnswers = false;
            throw e;
        }
    }

    /** Checked separately: readable data is shown even if Redis rejects writes. */
    private boolean isRedisWritable() {
        try {
            redis.checkWritable();
            return true;
        } catch (RedisException e) {
            return false;
        }
    }

    private boolean isKafkaWritable() throws InterruptedException {
        try {
            control.probe().get();
            return true;
        } catch (ExecutionException e) {
            return false;
        }
    }

    private Map<Priority, @Nullable Long> sizes() throws InterruptedException {
        try {
            Map<Priority, @Nullable Long> sizes = clusterStats.queueSizes();
            kafkaAnswers = !started.getAsBoolean() || isKafkaWritable();
            return sizes;
        } catch (RuntimeException e) {
            kafkaAnswers = false;
            throw e;
        }
    }

    private void addToHistory(Snapshot snapshot) {
        Map<Priority, @Nullable Long> sizes = new EnumMap<>(Priority.class);
        double received = 0;
        double assigned = 0;
        for (Map.Entry<Priority, Queue> queue : snapshot.queues().entrySet()) {
            sizes.put(queue.getKey(), queue.getValue().stats().size());
            received += queue.getValue().stats().receivedPerSecond();
            assigned += queue.getValue().stats().assignedPerSecond();
        }
        points.addLast(new Point(
                snapshot.at(),
                sizes,
                received,
                assigned,
                snapshot.running(),
                snapshot.tasks().completed()
                        + snapshot.tasks().failed()
                        + snapshot.tasks().cancelled()
                        + snapshot.tasks().expired(),
                snapshot.tasks().completed(),
                snapshot.tasks().failed()));
        if (points.size() > MAX_HISTORY_POINTS) {
            points.removeFirst();
        }
    }

    private Snapshot current() {
        return Objects.requireNonNull(newest, "no snapshot yet");
    }

    public JsonNode queues() {
        return Json.object().set("queues", Json.tree(current().queues()));
    }

    public JsonNode stats() {
        ObjectNode stats = Json.object();
        Snapshot snapshot = current();
        ObjectNode tasks = (ObjectNode) Json.tree(snapshot.tasks());
        // Omitted: it has an entry per agent, and the topic "agents" has them.
        ObjectNode balance = ((ObjectNode) tasks.remove("load_balancer_stats")).without("weights_by_agent");
        stats.set("tasks", tasks);
        stats.set("load_balancer", balance);
        ObjectNode coordinators = stats.putObject("coordinators");
        snapshot.coordinators().forEach((id, lane) -> coordinators.set(id, Json.tree(lane.withoutDetails())));
        stats.put("told_by", coordinatorId);
        return stats;
    }

    public JsonNode history() {
        return history(points);
    }

    /** The points added by the last snapshot; null if it added none. */
    @Nullable
    public JsonNode latestHistory() {
        return historyExtended ? history(List.of(points.getLast())) : null;
    }

    private static JsonNode history(Iterable<Point> points) {
        return Json.object().set("points", Json.tree(points));
    }
}
