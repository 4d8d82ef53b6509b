package io.aitbc.coordinator.settle;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.aitbc.contracts.Json;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.redis.Script;
import io.aitbc.coordinator.taskstate.TaskRecord;
import io.aitbc.coordinator.taskstate.TaskState;
import io.lettuce.core.KeyScanArgs;
import io.lettuce.core.KeyScanCursor;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
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

    private static final Script CONVERT_TASKS = Script.loadForConversion(Conversion.class, "convert-tasks");
    private static final Script CONVERT_HELD = Script.loadForConversion(Conversion.class, "convert-held");
    /** Bounds a call, as results may be large. */
    private static final int MAX_CHARS = 4 * 1024 * 1024;

    private final Redis redis;
    private final Attempts attempts;

    Conversion(Redis redis, Attempts attempts) {
        this.redis = redis;
        this.attempts = attempts;
    }

    /** @param lock held by the caller; without it, nothing is written */
    void run(String lock, Instant now) {
        log.info("Converting the data of version 0.1 in Redis: coordinators of that version must be stopped");
        int[] tasks = {0};
        scan(Keys.task("*"), keys -> tasks[0] += convertTasks(lock, keys));
        scan(Keys.inflight("*"), keys -> keys.forEach(key -> convertHeld(lock, key)));
        redis.sync().unlink(COMPLETED);
        attempts.markIndexComplete(lock, now);
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

    private int convertTasks(String lock, List<String> keys) {
        int converted = 0;
        int chars = 0;
        List<String> arguments = new ArrayList<>(List.of(lock));
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
            arguments.addAll(List.of(taskId, record, state.status().hasEnded() ? "1" : ""));
            chars += record.length();
            if (chars > MAX_CHARS) {
                converted += convert(arguments);
                arguments = new ArrayList<>(List.of(lock));
                chars = 0;
            }
        }
        return converted + convert(arguments);
    }

    private int convert(List<String> arguments) {
        return ((Long) CONVERT_TASKS.runSync(redis, arguments).get(0)).intValue();
    }

    /** Null if it cannot be read. */
    private static @Nullable String convert(Map<String, String> hash) {
        TaskState state = TaskState.read(hash, TaskState.corrupt(hash));
        try {
            return state == null ? null : TaskRecord.converted(state, "failing".equals(hash.get("status")));
        } catch (RuntimeException e) {
            return null;
        }
    }

    private void convertHeld(String lock, String key) {
        record Entry(
                @JsonProperty("attempt") int attempt,
                @JsonProperty("assigned_at") @Nullable Instant assignedAt,
                @JsonProperty("deadline") @Nullable Instant deadline,
                @JsonProperty("origin") @Nullable String origin) {}
        List<String> arguments = new ArrayList<>(List.of(lock, key));
        redis.sync().hgetall(key).forEach((taskId, json) -> {
            if (!json.startsWith("{")) {
                return;
            }
            try {
                Entry entry = Json.read(json, Entry.class);
                if (entry.assignedAt() != null && entry.deadline() != null) {
                    arguments.addAll(List.of(
                            taskId,
                            json,
                            TaskRecord.inflightEntry(
                                    entry.attempt(), entry.assignedAt(), entry.deadline(), entry.origin())));
                }
            } catch (Json.MalformedMessageException e) {
                // Recovery examines it.
                log.atDebug().addKeyValue("task_id", taskId).log("Not converted: {}", e.getMessage());
            }
        });
        CONVERT_HELD.runSync(redis, arguments);
    }
}
