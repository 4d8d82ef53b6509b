package io.aitbc.coordinator.live;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonUnwrapped;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.coordinator.Coordinator;
import io.aitbc.coordinator.api.Figures;
import io.aitbc.coordinator.dispatch.ClusterControl;
import io.aitbc.coordinator.dispatch.CoordinatorId;
import io.aitbc.coordinator.dispatch.FiguresReport;
import io.aitbc.coordinator.dispatch.LaneFigures;
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
import java.util.concurrent.ExecutionException;
import org.jspecify.annotations.Nullable;
import org.springframework.stereotype.Component;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * A recent snapshot of the whole cluster, and its history over the last quarter of an hour. One thread updates it; any thread may read it.
 */
@Component
public final class ClusterNow {
    private static final Duration REMEMBER_EVERY = Duration.ofSeconds(5);
    private static final int REMEMBERED = 180;
    private static final Duration KNOWN_FOR = Duration.ofSeconds(20);

    private final Figures figures;
    private final ClusterControl control;
    private final FiguresReport report;
    private final Coordinator coordinator;
    private final String coordinatorId;
    private final Redis redis;
    private final Clock clock;
    private final Deque<Point> points = new ArrayDeque<>();
    private volatile @Nullable Seen newest;
    private Instant nextPoint = Instant.EPOCH;
    private boolean remembered;
    private volatile @Nullable Boolean kafkaAnswers;
    private volatile @Nullable Boolean redisAnswers;

    ClusterNow(
            Figures figures,
            ClusterControl control,
            FiguresReport report,
            Coordinator coordinator,
            CoordinatorId coordinatorId,
            Redis redis,
            Clock clock) {
        this.redis = redis;
        this.figures = figures;
        this.control = control;
        this.report = report;
        this.coordinator = coordinator;
        this.coordinatorId = coordinatorId.text();
        this.clock = clock;
    }

    /** A snapshot. */
    public record Seen(
            Instant at, Map<Priority, Queue> queues, Figures.Tasks tasks, Map<String, LaneFigures> coordinators) {}

    /** A queue, and whether it is paused. */
    public record Queue(
            @JsonUnwrapped Figures.Queue figures,
            @JsonProperty("paused") boolean paused) {}

    /** A point of the history, with the total numbers of completed and failed tasks at that time. */
    private record Point(
            @JsonProperty("at") Instant at,
            @JsonProperty("size") Map<Priority, @Nullable Long> size,
            @JsonProperty("received_per_second") double received,
            @JsonProperty("assigned_per_second") double assigned,
            @JsonProperty("completed") long completed,
            @JsonProperty("failed") long failed) {}

    /** The latest snapshot; null if there is none or it is too old. */
    public @Nullable Seen newest() {
        Seen seen = newest;
        return seen == null || seen.at().plus(KNOWN_FOR).isBefore(clock.instant()) ? null : seen;
    }

    /** Whether Kafka answered the last request, and accepted and returned a record; null before the first one. */
    public @Nullable Boolean kafkaAnswers() {
        return kafkaAnswers;
    }

    /** Whether Redis answered the last request, and accepted a write. */
    public @Nullable Boolean redisAnswers() {
        return redisAnswers;
    }

    boolean isStarted() {
        return coordinator.isStarted();
    }

    /** The latest snapshot, however old. */
    public @Nullable Seen last() {
        return newest;
    }

    /**
     * Takes a snapshot if one is due.
     *
     * @param watched whether anybody subscribes, so that one is due every second
     * @return whether there is a new snapshot
     */
    boolean look(boolean watched) throws InterruptedException {
        Instant now = clock.instant();
        // The next point lies too far ahead if the clock was set back.
        boolean due = !now.isBefore(nextPoint) || now.plus(REMEMBER_EVERY).isBefore(nextPoint);
        if (!watched && !due) {
            return false;
        }
        Map<Priority, Queue> queues = new EnumMap<>(Priority.class);
        Figures.Tasks tasks = null;
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
        figures.queues(sizes, now)
                .forEach((priority, queue) -> queues.put(
                        priority, new Queue(queue, control.pausedQueues().contains(priority))));
        newest = new Seen(now, queues, tasks, report.all());
        remembered = due;
        if (due) {
            nextPoint = now.plus(REMEMBER_EVERY);
            remember(newest);
        }
        return true;
    }

    private Figures.Tasks tasks() throws InterruptedException {
        try {
            Figures.Tasks tasks = figures.tasks(false);
            redisAnswers = takesWrites();
            return tasks;
        } catch (RuntimeException e) {
            redisAnswers = false;
            throw e;
        }
    }

    /** Checked separately: readable data is shown even if Redis rejects writes. */
    private boolean takesWrites() {
        try {
            redis.proveWritable();
            return true;
        } catch (RedisException e) {
            return false;
        }
    }

    private boolean takesRecords() throws InterruptedException {
        try {
            control.prove().get();
            return true;
        } catch (ExecutionException e) {
            return false;
        }
    }

    private Map<Priority, @Nullable Long> sizes() throws InterruptedException {
        try {
            Map<Priority, @Nullable Long> sizes = figures.queueSizes();
            kafkaAnswers = !coordinator.isStarted() || takesRecords();
            return sizes;
        } catch (RuntimeException e) {
            kafkaAnswers = false;
            throw e;
        }
    }

    private void remember(Seen seen) {
        Map<Priority, @Nullable Long> sizes = new EnumMap<>(Priority.class);
        double received = 0;
        double assigned = 0;
        for (Map.Entry<Priority, Queue> queue : seen.queues().entrySet()) {
            sizes.put(queue.getKey(), queue.getValue().figures().size());
            received += queue.getValue().figures().receivedPerSecond();
            assigned += queue.getValue().figures().assignedPerSecond();
        }
        points.addLast(new Point(
                seen.at(),
                sizes,
                received,
                assigned,
                seen.tasks().completed(),
                seen.tasks().failed()));
        if (points.size() > REMEMBERED) {
            points.removeFirst();
        }
    }

    JsonNode queues() {
        return Json.object().set("queues", Json.tree(newest.queues()));
    }

    JsonNode stats() {
        ObjectNode stats = Json.object();
        ObjectNode tasks = (ObjectNode) Json.tree(newest.tasks());
        // One entry per agent: available in the topic of agents.
        ObjectNode balance = ((ObjectNode) tasks.remove("load_balancer_stats")).without("agent_weights");
        stats.set("tasks", tasks);
        stats.set("load_balancer", balance);
        stats.set("coordinators", Json.tree(newest.coordinators()));
        stats.put("told_by", coordinatorId);
        return stats;
    }

    JsonNode history() {
        return history(points);
    }

    /** The points added by the last snapshot; null if it added none. */
    @Nullable
    JsonNode newInHistory() {
        return remembered ? history(List.of(points.getLast())) : null;
    }

    private static JsonNode history(Iterable<Point> points) {
        return Json.object().set("points", Json.tree(points));
    }
}
