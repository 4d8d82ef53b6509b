package io.aitbc.coordinator.taskstate;

import io.aitbc.coordinator.redis.Keys;
import io.lettuce.core.api.sync.RedisCommands;
import java.util.LinkedHashMap;
import java.util.Map;

/** The record of a task in Redis, by field. */
public final class StoredTask {
    private StoredTask() {}

    /** Writes a record with the given fields, changing one that is there. */
    public static void put(RedisCommands<String, String> redis, String taskId, Map<String, String> fields) {
        Map<String, String> all = new LinkedHashMap<>();
        if (redis.exists(Keys.task(taskId)) == 1) {
            all.putAll(fields(redis, taskId));
        }
        all.putAll(fields);
        redis.set(
                Keys.task(taskId),
                TaskRecord.converted(TaskState.read(all, Map.of()), "failing".equals(all.get("status"))));
    }

    /** Its fields; empty if the task is unknown. */
    public static Map<String, String> fields(RedisCommands<String, String> redis, String taskId) {
        String record = redis.get(Keys.task(taskId));
        return record == null ? Map.of() : TaskState.read(taskId, record).fields();
    }

    /** Its status; {@code unknown} if there is none. */
    public static String status(RedisCommands<String, String> redis, String taskId) {
        return fields(redis, taskId).getOrDefault("status", "unknown");
    }
}
