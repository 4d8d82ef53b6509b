package io.aitbc.coordinator.redis;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** Reads from Redis's {@code INFO} with which settings it can lose or forget what it has acknowledged. */
final class RedisDurability {
    private RedisDurability() {}

    /**
     * What can be lost, one sentence for each setting.
     *
     * @param info the response to {@code INFO}
     */
    static List<String> problems(String info) {
        Map<String, String> fields = info.lines()
                .map(line -> line.split(":", 2))
                .filter(field -> field.length == 2)
                .collect(Collectors.toMap(field -> field[0], field -> field[1], (first, second) -> second));
        List<String> problems = new ArrayList<>();
        String policy = fields.getOrDefault("maxmemory_policy", "noeviction");
        if (Redis.count(fields.get("maxmemory")) > 0 && !policy.equals("noeviction")) {
            problems.add("Redis has maxmemory-policy " + policy
                    + ": it may evict tasks and agents when its memory is full (required: noeviction).");
        }
        if (fields.getOrDefault("aof_enabled", "1").equals("0")) {
            problems.add("Redis has no append-only file: a restart loses what was written since the last snapshot,"
                    + " or everything (required: appendonly yes).");
        }
        if (Redis.count(fields.get("connected_slaves")) > 1 && !fields.containsKey("min_slaves_good_slaves")) {
            // With a single replica, the setting would stop writes while that one is down.
            problems.add("Redis has replicas and min-replicas-to-write 0: a failover can lose what it has acknowledged"
                    + " (recommended: 1).");
        }
        return problems;
    }
}
