package io.aitbc.coordinator.intake;

import io.aitbc.coordinator.redis.Claims;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.redis.Script;
import io.aitbc.coordinator.taskstate.TaskState;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/** Claims on task ids, so that of concurrent submissions under one id only one is enqueued. Thread-safe. */
final class SubmissionClaims {
    private static final Script CLAIM = Script.load(SubmissionClaims.class, "claim");
    /** Batch limit: Redis serves nobody else while a script runs. */
    private static final int MAX_BATCH = 500;

    private static final long WAIT_SECONDS = 2;

    private final Redis redis;
    private final Claims claims;

    SubmissionClaims(Redis redis) {
        this.redis = redis;
        this.claims = new Claims(redis);
    }

    /**
     * Redis's answer about a submitted task.
     *
     * @param isBusy while another caller is enqueueing it
     * @param existing the task accepted earlier under this id; null if there is none
     */
    record Claim(boolean isBusy, @Nullable TaskState existing) {
        static final Claim OURS = new Claim(false, null);
        private static final Claim BUSY = new Claim(true, null);

        private static Claim of(String taskId, String answer) {
            return switch (answer) {
                case "claimed" -> OURS;
                case "busy" -> BUSY;
                default -> new Claim(false, TaskState.read(taskId, answer));
            };
        }

        /** Whether the caller is to enqueue it. */
        boolean isOurs() {
            return this == OURS;
        }
    }

    /**
     * Claims tasks that are about to be enqueued, by id. Release with {@link #release}.
     *
     * @param holder unique for each submission
     */
    Map<String, Claim> claim(String holder, Collection<String> taskIds, Duration ttl) {
        List<String> ids = List.copyOf(taskIds);
        Map<List<String>, CompletableFuture<List<Object>>> asked = new LinkedHashMap<>();
        for (int from = 0; from < ids.size(); from += MAX_BATCH) {
            List<String> some = ids.subList(from, Math.min(ids.size(), from + MAX_BATCH));
            List<String> arguments = new ArrayList<>(some.size() + 2);
            arguments.add(holder);
            arguments.add(String.valueOf(ttl.toMillis()));
            arguments.addAll(some);
            asked.put(some, CLAIM.run(redis, arguments));
        }
        Map<String, Claim> claims = new HashMap<>();
        asked.forEach((some, answer) -> {
            List<Object> texts = Redis.await(answer, WAIT_SECONDS);
            for (int i = 0; i < some.size(); i++) {
                claims.put(some.get(i), Claim.of(some.get(i), (String) texts.get(i)));
            }
        });
        return claims;
    }

    /** See {@link Claims#release}. */
    CompletableFuture<?> release(String holder, Collection<String> taskIds) {
        return claims.release(holder, taskIds.stream().map(Keys::submission).toList());
    }
}
