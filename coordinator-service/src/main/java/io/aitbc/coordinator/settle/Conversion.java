package io.aitbc.coordinator.settle;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Json;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.taskstate.TaskRecord;
import io.aitbc.coordinator.taskstate.TaskState;
import io.lettuce.core.KeyScanArgs;
import io.lettuce.core.KeyScanCursor;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Converts the keys of version 0.1 in Redis, once, while all coordinators of that version are stopped: tasks, which were hashes, and the
 * entries of what agents hold, which were JSON. Until it has ended, the scripts of this version fail. If it is interrupted, it is repeated:
 * what has been converted stays.
 */
final class Conversion {
    private static final Logger log = LoggerFactory.getLogger(Conversion.class);
    private static final int SCAN_SIZE = 1_000;
    private static final Duration QUARANTINE_TTL = Duration.ofDays(7);
    /** List of version 0.1: completed tasks, by time. */
    private static final String COMPLETED = "tasks:completed";

    private final Redis redis;

    Conversion(Redis redis) {
        this.redis = redis;
    }

    /** @param lock held by the caller */
    void run(String lock, Instant now) {
        log.info("Converting the data of version 0.1 in Redis: coordinators of that version must be stopped");
        int[] tasks = {0};
        scan(Keys.task("*"), keys -> tasks[0] += convertTasks(keys));
        scan(Keys.inflight("*"), keys -> keys.forEach(this::convertHeld));
        redis.sync().unlink(COMPLETED);
        redis.sync().set(Keys.INDEX_COMPLETE, Keys.FORMAT + now.toEpochMilli());
        log.atInfo().addKeyValue("tasks", tasks[0]).log("Converted the data of version 0.1 in Redis");
    }

    private interface Step {
        void take(List<String> keys);
    }

    /** In pages, and only of hashes: what has been converted is a text. */
    private void scan(String pattern, Step step) {
        KeyScanArgs hashes = KeyScanArgs.Builder.type("hash").match(pattern).limit(SCAN_SIZE);
        for (KeyScanCursor<String> scan = redis.sync().scan(hashes);
                ;
                scan = redis.sync().scan(scan, hashes)) {
            step.take(scan.getKeys());
            if (scan.isFinished()) {
                return;
            }
        }
    }

    private int convertTasks(List<String> keys) {
        Map<String, String> records = new HashMap<>();
        List<String> ended = new ArrayList<>();
        for (String key : keys) {
            String taskId = key.substring(Keys.task("").length());
            String record = convert(redis.sync().hgetall(key));
            TaskState state = record == null ? null : TaskState.read(taskId, record);
            if (record == null || state == null) {
                // As the scripts would, but they fail until this has ended.
                String aside = Keys.QUARANTINE_PREFIX + key;
                redis.sync().rename(key, aside);
                redis.sync().expire(aside, QUARANTINE_TTL);
                log.atWarn().addKeyValue("key", key).log("Not converted, and set aside: it cannot be read");
                continue;
            }
            records.put(key, record);
            if (state.status().hasEnded()) {
                ended.add(Assignment.id(taskId, state.attempt()));
            }
        }
        if (!records.isEmpty()) {
            redis.sync().mset(records);
        }
        if (!ended.isEmpty()) {
            // From now on: when they ended is not known by the clock of Redis.
            redis.sync().rpush(Keys.ENDED, redis.sync().time().get(0) + " " + String.join(" ", ended));
        }
        return records.size();
    }

    /** Null if it cannot be read. */
    private static @Nullable String convert(Map<String, String> hash) {
        TaskState state = TaskState.read(hash, TaskState.corrupt(hash));
        try {
            return state == null ? null : TaskRecord.converted(state);
        } catch (RuntimeException e) {
            return null;
        }
    }

    private void convertHeld(String key) {
        record Entry(
                @JsonProperty("attempt") int attempt,
                @JsonProperty("assigned_at") @Nullable Instant assignedAt,
                @JsonProperty("deadline") @Nullable Instant deadline,
                @JsonProperty("origin") @Nullable String origin) {}
        Map<String, String> converted = new HashMap<>();
        redis.sync().hgetall(key).forEach((taskId, json) -> {
            if (!json.startsWith("{")) {
                return;
            }
            try {
                Entry entry = Json.read(json, Entry.class);
                if (entry.assignedAt() != null && entry.deadline() != null) {
                    converted.put(
                            taskId,
                            TaskRecord.inflightEntry(
                                    entry.attempt(), entry.assignedAt(), entry.deadline(), entry.origin()));
                }
            } catch (Json.MalformedMessageException e) {
                // Recovery examines it.
                log.atDebug().addKeyValue("task_id", taskId).log("Not converted: {}", e.getMessage());
            }
        });
        if (!converted.isEmpty()) {
            redis.sync().hset(key, converted);
        }
    }
}
