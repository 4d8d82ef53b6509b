package io.aitbc.coordinator.assign;

import io.aitbc.contracts.Task;
import io.aitbc.contracts.TaskStatus;
import io.aitbc.coordinator.match.Placement;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.match.WaitingTask;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.redis.Script;
import io.aitbc.coordinator.taskstate.TaskRecord;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
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
    private static final Script RESERVE = Script.loadFenced(Reservations.class, "reserve");
    private static final Script END_WAITING = Script.loadFenced(Reservations.class, "end-waiting");

    private final Redis redis;
    private final String coordinatorId;

    /** @param coordinatorId the name of this coordinator in notices about grants */
    public Reservations(Redis redis, String coordinatorId) {
        this.redis = redis;
        this.coordinatorId = coordinatorId;
    }

    /** Judges placements; the verdicts are in the same order. */
    public CompletableFuture<List<Verdict>> reserve(List<Placement> placements, Instant time) {
        // As precise as Redis keeps it, so that an assignment that is published again is the same.
        Instant now = time.truncatedTo(ChronoUnit.MILLIS);
        List<String> all = new ArrayList<>(4 * placements.size());
        long waitedMs = 0;
        for (Placement placement : placements) {
            Task task = placement.waiting().task();
            Position position = placement.waiting().position();
            all.add(task.id());
            all.add(placement.agentId());
            all.add(TaskRecord.assigned(task, placement.agentId(), position, now));
            all.add(TaskRecord.inflightEntry(
                    task.attempt(), now, now.plusSeconds(task.timeoutSeconds()), position.toString()));
            waitedMs += Math.max(0, now.toEpochMilli() - task.acceptedAt().toEpochMilli());
        }
        return RESERVE.run(redis, List.of(ms(now), coordinatorId, String.valueOf(waitedMs), Script.pack(all)))
                .thenApply(answer -> verdicts(placements, answer, now));
    }

    /**
     * Ends tasks that no agent has.
     *
     * @param status cancelled or expired
     * @param clearId the clear command that the tasks are counted for, or empty
     * @return for each task what became of it
     */
    public CompletableFuture<List<Ending>> endWaiting(
            List<WaitingTask> tasks, TaskStatus status, String clearId, Instant now) {
        List<String> arguments = new ArrayList<>(2 + 2 * tasks.size());
        arguments.add(status.wireName());
        arguments.add(clearId);
        for (WaitingTask waiting : tasks) {
            arguments.add(waiting.id());
            arguments.add(
                    TaskRecord.ended(waiting.task(), status, waiting.position().priority(), waiting.position(), now));
        }
        return END_WAITING
                .run(redis, arguments)
                .thenApply(answer -> ((String) answer.get(0))
                        .chars()
                        .mapToObj(letter -> ending((char) letter))
                        .toList());
    }

    /** What became of a task that was to be ended. */
    public enum Ending {
        /** It has ended so, now or when this was asked before. */
        ENDED,
        /** It had ended otherwise, or a later attempt exists. */
        ENDED_BEFORE,
        /** An agent has it after all. */
        LIVE
    }

    private static Ending ending(char letter) {
        return switch (letter) {
            case 'e', 's' -> Ending.ENDED;
            case 'b' -> Ending.ENDED_BEFORE;
            case 'l' -> Ending.LIVE;
            default -> throw new IllegalStateException("unexpected answer of end-waiting.lua: " + letter);
        };
    }

    private static List<Verdict> verdicts(List<Placement> placements, List<Object> answer, Instant now) {
        String rulings = (String) answer.get(0);
        int[] held = held(placements, rulings, ((String) answer.get(1)).split(","));
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
            } else if (ruling == Verdict.Ruling.LIVE || ruling == Verdict.Ruling.WAS_HELD) {
                holder = (String) answer.get(live);
                assignedAt = Instant.ofEpochMilli(Long.parseLong((String) answer.get(live + 1)));
                live += 2;
            }
            verdicts.add(new Verdict(placement, ruling, holder, shared, held[i], assignedAt));
        }
        return verdicts;
    }

    /** How many its agent holds after each placement: at the end, less what was granted after it. */
    private static int[] held(List<Placement> placements, String rulings, String[] atTheEnd) {
        Map<String, Integer> byAgent = new HashMap<>();
        for (Placement placement : placements) {
            byAgent.computeIfAbsent(placement.agentId(), id -> Integer.parseInt(atTheEnd[byAgent.size()]));
        }
        int[] held = new int[placements.size()];
        for (int i = held.length - 1; i >= 0; i--) {
            String agentId = placements.get(i).agentId();
            held[i] = Objects.requireNonNull(byAgent.get(agentId));
            if (ruling(Character.toLowerCase(rulings.charAt(i))) == Verdict.Ruling.GRANTED) {
                byAgent.put(agentId, held[i] - 1);
            }
        }
        return held;
    }

    private static Verdict.Ruling ruling(char letter) {
        return switch (letter) {
            case 'g' -> Verdict.Ruling.GRANTED;
            case 'l' -> Verdict.Ruling.LIVE;
            case 'd' -> Verdict.Ruling.DUPLICATE;
            case 'e' -> Verdict.Ruling.ENDED;
            case 'w' -> Verdict.Ruling.WAS_HELD;
            case 'x' -> Verdict.Ruling.CANCELLED;
            case 'p' -> Verdict.Ruling.EXPIRED;
            case 'f' -> Verdict.Ruling.FULL;
            case 'u' -> Verdict.Ruling.UNAVAILABLE;
            default -> throw new IllegalStateException("unexpected answer of reserve.lua: " + letter);
        };
    }

    private static String ms(Instant time) {
        return String.valueOf(time.toEpochMilli());
    }
}
