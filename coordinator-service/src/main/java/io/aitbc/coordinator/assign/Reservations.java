package io.aitbc.coordinator.assign;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Task;
import io.aitbc.coordinator.match.Placement;
import io.aitbc.coordinator.match.WaitingTask;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.redis.Script;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

/**
 * The one atomic step that makes an agent the holder of an attempt, a whole batch in one call. Repeating a call is harmless: what was
 * granted is answered as live. Fails when Redis is away, and then it is unknown what was granted.
 */
public final class Reservations {
    private static final Script RESERVE = Script.beside(Reservations.class, "reserve");
    private static final Script END_WAITING = Script.beside(Reservations.class, "end-waiting");
    private static final int FIELDS_OF_A_VERDICT = 4;

    private final Redis redis;
    private final String coordinatorId;
    private final Duration taskRetention;

    /**
     * @param coordinatorId under which the others hear of what was granted
     * @param taskRetention how long the state of an ended task can be asked for
     */
    public Reservations(Redis redis, String coordinatorId, Duration taskRetention) {
        this.redis = redis;
        this.coordinatorId = coordinatorId;
        this.taskRetention = taskRetention;
    }

    /** Judges placements; the verdicts stand in the same order. */
    public CompletableFuture<List<Verdict>> reserve(List<Placement> placements, Instant now) {
        List<String> arguments = new ArrayList<>(4 + placements.size() * 8);
        arguments.add(ms(now));
        arguments.add(now.toString());
        arguments.add(coordinatorId);
        arguments.add(Json.text(deadlines(placements, now)));
        for (Placement placement : placements) {
            Task task = placement.waiting().task();
            arguments.add(task.taskId());
            arguments.add(task.attempt().toString());
            arguments.add(placement.agentId());
            arguments.add(placement.waiting().position().priority().wireName());
            arguments.add(task.submittedAt().toString());
            arguments.add(ms(task.submittedAt()));
            arguments.add(task.maxAttempts().toString());
            arguments.add(task.timeoutSeconds().toString());
        }
        return RESERVE.run(redis, arguments).thenApply(answer -> verdicts(placements, answer));
    }

    /**
     * Ends tasks that no agent has.
     *
     * @param status {@code cancelled} or {@code expired}
     * @param clearId the clear command whose count the tasks belong to, or empty
     * @return for each task whether it has ended now or before; false if an agent has it after all
     */
    public CompletableFuture<List<Boolean>> endWaiting(
            List<WaitingTask> tasks, String status, String clearId, Instant now) {
        List<String> arguments = new ArrayList<>(4 + tasks.size() * 4);
        arguments.add(status);
        arguments.add(clearId);
        arguments.add(now.toString());
        arguments.add(String.valueOf(taskRetention.toSeconds()));
        for (WaitingTask waiting : tasks) {
            arguments.add(waiting.id());
            arguments.add(waiting.task().attempt().toString());
            arguments.add(waiting.position().priority().wireName());
            arguments.add(waiting.task().submittedAt().toString());
        }
        return END_WAITING
                .run(redis, arguments)
                .thenApply(answer ->
                        answer.stream().map(code -> !code.equals("live")).toList());
    }

    /** By the seconds until then; tasks of one batch mostly have the same. */
    private static Map<Integer, Instant> deadlines(List<Placement> placements, Instant now) {
        Map<Integer, Instant> deadlines = new HashMap<>();
        for (Placement placement : placements) {
            deadlines.computeIfAbsent(placement.waiting().task().timeoutSeconds(), now::plusSeconds);
        }
        return deadlines;
    }

    private static List<Verdict> verdicts(List<Placement> placements, List<Object> answer) {
        List<Verdict> verdicts = new ArrayList<>(placements.size());
        for (int i = 0; i < placements.size(); i++) {
            int at = i * FIELDS_OF_A_VERDICT;
            String assignedAt = (String) answer.get(at + 3);
            verdicts.add(new Verdict(
                    placements.get(i),
                    ruling((String) answer.get(at)),
                    (String) answer.get(at + 1),
                    ((Long) answer.get(at + 2)).intValue(),
                    assignedAt.isEmpty() ? Instant.EPOCH : Instant.parse(assignedAt)));
        }
        return verdicts;
    }

    private static Verdict.Ruling ruling(String code) {
        return switch (code) {
            case "granted" -> Verdict.Ruling.GRANTED;
            case "live" -> Verdict.Ruling.LIVE;
            case "ended" -> Verdict.Ruling.ENDED;
            case "full" -> Verdict.Ruling.FULL;
            case "unavailable" -> Verdict.Ruling.UNAVAILABLE;
            default -> throw new IllegalStateException("reserve.lua answered " + code);
        };
    }

    private static String ms(Instant time) {
        return String.valueOf(time.toEpochMilli());
    }
}
