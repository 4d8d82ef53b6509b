package io.aitbc.coordinator.assign;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Task;
import io.aitbc.contracts.TaskStatus;
import io.aitbc.coordinator.match.Placement;
import io.aitbc.coordinator.match.WaitingTask;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.redis.Script;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;

/**
 * Reserves attempts: one atomic step makes agents the holders, for a whole batch per call. Idempotent: a repeated call answers LIVE for
 * the attempts already granted. Fails if Redis is unavailable; it is then unknown which attempts were granted.
 */
public final class Reservations {
    private static final Script RESERVE = Script.load(Reservations.class, "reserve");
    private static final Script END_WAITING = Script.load(Reservations.class, "end-waiting");

    private final Redis redis;
    private final String coordinatorId;
    private final Duration taskRetention;

    /**
     * @param coordinatorId the name of this coordinator in notices about grants
     * @param taskRetention how long the state of an ended task can be queried
     */
    public Reservations(Redis redis, String coordinatorId, Duration taskRetention) {
        this.redis = redis;
        this.coordinatorId = coordinatorId;
        this.taskRetention = taskRetention;
    }

    /** Judges placements; the verdicts are in the same order. */
    public CompletableFuture<List<Verdict>> reserve(List<Placement> placements, Instant now) {
        List<String> arguments = List.of(
                ms(now),
                now.toString(),
                coordinatorId,
                Json.text(deadlines(placements, now)),
                Json.text(placements.stream().map(Reservations::scriptArguments).toList()));
        return RESERVE.run(redis, arguments).thenApply(answer -> verdicts(placements, answer, now));
    }

    private static String[] scriptArguments(Placement placement) {
        Task task = placement.waiting().task();
        String[] arguments = {
            task.taskId(),
            task.attempt().toString(),
            placement.agentId(),
            placement.waiting().position().priority().wireName(),
            task.acceptedAt().toString(),
            ms(task.acceptedAt()),
            task.maxAttempts().toString(),
            task.timeoutSeconds().toString(),
            placement.waiting().position().toString()
        };
        if (task.fairnessKey() == null) {
            return arguments;
        }
        String[] withKey = Arrays.copyOf(arguments, arguments.length + 1);
        withKey[arguments.length] = task.fairnessKey();
        return withKey;
    }

    /**
     * Ends tasks that no agent has.
     *
     * @param status cancelled or expired
     * @param clearId the clear command that the tasks are counted for, or empty
     * @return for each task whether it has ended, now or before; false if an agent has it after all
     */
    public CompletableFuture<List<Boolean>> endWaiting(
            List<WaitingTask> tasks, TaskStatus status, String clearId, Instant now) {
        List<String> arguments = new ArrayList<>(4 + tasks.size() * 5);
        arguments.add(status.wireName());
        arguments.add(clearId);
        arguments.add(now.toString());
        arguments.add(String.valueOf(taskRetention.toSeconds()));
        for (WaitingTask waiting : tasks) {
            arguments.add(waiting.id());
            arguments.add(waiting.task().attempt().toString());
            arguments.add(waiting.position().priority().wireName());
            arguments.add(waiting.task().acceptedAt().toString());
            arguments.add(Objects.requireNonNullElse(waiting.task().fairnessKey(), ""));
        }
        return END_WAITING
                .run(redis, arguments)
                .thenApply(answer ->
                        answer.stream().map(code -> !code.equals("live")).toList());
    }

    /** Deadlines by timeout in seconds; most tasks of a batch share one. */
    private static Map<Integer, Instant> deadlines(List<Placement> placements, Instant now) {
        Map<Integer, Instant> deadlines = new HashMap<>();
        for (Placement placement : placements) {
            deadlines.computeIfAbsent(placement.waiting().task().timeoutSeconds(), now::plusSeconds);
        }
        return deadlines;
    }

    private static List<Verdict> verdicts(List<Placement> placements, List<Object> answer, Instant now) {
        String rulings = (String) answer.get(0);
        String[] held = ((String) answer.get(1)).split(",");
        List<Verdict> verdicts = new ArrayList<>(placements.size());
        int live = 2;
        for (int i = 0; i < placements.size(); i++) {
            Placement placement = placements.get(i);
            char letter = rulings.charAt(i);
            Verdict.Ruling ruling = ruling(Character.toLowerCase(letter));
            boolean shared = Character.isUpperCase(letter);
            String holder = "";
            Instant assignedAt = Instant.EPOCH;
            if (ruling == Verdict.Ruling.GRANTED) {
                holder = placement.agentId();
                assignedAt = now;
            } else if (ruling == Verdict.Ruling.LIVE) {
                holder = (String) answer.get(live);
                assignedAt = time((String) answer.get(live + 1), now);
                live += 2;
            }
            verdicts.add(new Verdict(placement, ruling, holder, shared, Integer.parseInt(held[i]), assignedAt));
        }
        return verdicts;
    }

    /** Falls back if the time is corrupt, so that one task does not fail the whole batch. */
    private static Instant time(String text, Instant otherwise) {
        try {
            return Instant.parse(text);
        } catch (DateTimeException e) {
            return otherwise;
        }
    }

    private static Verdict.Ruling ruling(char letter) {
        return switch (letter) {
            case 'g' -> Verdict.Ruling.GRANTED;
            case 'l' -> Verdict.Ruling.LIVE;
            case 'd' -> Verdict.Ruling.DUPLICATE;
            case 'e' -> Verdict.Ruling.ENDED;
            case 'f' -> Verdict.Ruling.FULL;
            case 'u' -> Verdict.Ruling.UNAVAILABLE;
            default -> throw new IllegalStateException("unexpected answer of reserve.lua: " + letter);
        };
    }

    private static String ms(Instant time) {
        return String.valueOf(time.toEpochMilli());
    }
}
