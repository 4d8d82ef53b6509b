package io.aitbc.coordinator.assign;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Limit;
import io.aitbc.contracts.Task;
import io.aitbc.contracts.TaskStatus;
import io.aitbc.coordinator.limit.AgentResource;
import io.aitbc.coordinator.limit.LimitBook;
import io.aitbc.coordinator.match.Placement;
import io.aitbc.coordinator.match.Position;
import io.aitbc.coordinator.match.WaitingTask;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.redis.Script;
import io.aitbc.coordinator.taskstate.TaskRecord;
import io.aitbc.coordinator.usage.LimitUsage;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * Reserves attempts: one atomic step makes agents the holders, for a whole batch per call. Idempotent: a repeated call answers LIVE for
 * the attempts already granted. Fails if Redis is unavailable; it is then unknown which attempts were granted.
 */
public final class Reservations {
    private static final Script RESERVE = Script.loadFencedWithLimits(Reservations.class, "reserve");
    private static final Script END_WAITING = Script.loadFencedWithLimits(Reservations.class, "end-waiting");

    private final Redis redis;
    private final String coordinatorId;

    /** @param coordinatorId the name of this coordinator in notices about grants */
    public Reservations(Redis redis, String coordinatorId) {
        this.redis = redis;
        this.coordinatorId = coordinatorId;
    }

    /** Judges placements when no limits are defined; the verdicts are in the same order. */
    public CompletableFuture<List<Verdict>> reserve(List<Placement> placements, Instant time) {
        return reserve(placements, LimitBook.EMPTY, time).thenApply(Judgement::verdicts);
    }

    /**
     * Judges placements.
     *
     * @param limits the definitions that they are based on
     */
    public CompletableFuture<Judgement> reserve(List<Placement> placements, LimitBook limits, Instant time) {
        // As precise as Redis keeps it, so that an assignment that is published again is the same.
        Instant now = time.truncatedTo(ChronoUnit.MILLIS);
        List<String> all = new ArrayList<>(4 * placements.size());
        long waitedMs = 0;
        for (Placement placement : placements) {
            Task task = placement.waiting().task();
            Position position = placement.waiting().position();
            all.add(task.id());
            all.add(placement.agentId());
            all.add(TaskRecord.assigned(task, placement.held(), placement.agentId(), position, now));
            all.add(TaskRecord.inflightEntry(
                    task.attempt(), now, now.plusSeconds(task.timeoutSeconds()), position.toString()));
            waitedMs += Math.max(0, now.toEpochMilli() - task.acceptedAt().toEpochMilli());
        }
        long began = System.nanoTime();
        return RESERVE.run(
                        redis,
                        List.of(
                                ms(now),
                                coordinatorId,
                                String.valueOf(waitedMs),
                                Script.pack(all),
                                limits.version(),
                                definitions(placements, limits, now)))
                .thenApply(answer -> new Judgement(
                        verdicts(placements, answer, now),
                        LimitUsage.parse((String) answer.get(2), now.plusNanos(System.nanoTime() - began)),
                        requests((String) answer.get(3))));
    }

    private static Object definitions(List<Placement> placements, LimitBook limits, Instant now) {
        Set<String> names = new LinkedHashSet<>();
        for (Placement placement : placements) {
            names.addAll(placement.uses().keySet());
        }
        List<String> definitions = new ArrayList<>();
        for (String name : names) {
            Limit limit = limits.definition(name);
            if (limit != null) {
                Limit.Rate rate = limit.rate();
                Limit.Budget budget = limit.budget();
                definitions.add(name);
                definitions.add(text(limit.concurrency()));
                definitions.add(text(rate == null ? null : rate.intervalMicros()));
                definitions.add(text(rate == null ? null : rate.burst()));
                definitions.add(text(budget == null ? null : budget.units()));
                definitions.add(budget == null ? "" : budget.period(now));
            }
        }
        return definitions.isEmpty() ? "" : Script.pack(definitions);
    }

    private static String text(@Nullable Number number) {
        return number == null ? "" : number.toString();
    }

    private static List<Judgement.BudgetRequest> requests(String members) {
        List<Judgement.BudgetRequest> requests = new ArrayList<>();
        if (!members.isEmpty()) {
            Json.MAPPER
                    .readTree("{" + members + "}")
                    .forEachEntry((name, request) -> requests.add(new Judgement.BudgetRequest(
                            name, request.path(0).asString(), request.path(1).asLong())));
        }
        return requests;
    }

    /**
     * Ends tasks that no agent has.
     *
     * @param status cancelled, expired or failed
     * @param note the clear command that the tasks are counted for, or empty; why they failed, if they did
     * @param limits the definitions that they failed because of
     * @return for each task what became of it
     */
    public CompletableFuture<List<Ending>> endWaiting(
            List<WaitingTask> tasks, TaskStatus status, String note, LimitBook limits, Instant now) {
        List<String> arguments = new ArrayList<>(3 + 2 * tasks.size());
        arguments.add(status.wireName());
        boolean failed = status == TaskStatus.FAILED;
        arguments.add(failed ? "" : note);
        arguments.add(failed ? limits.version() : "-");
        for (WaitingTask waiting : tasks) {
            arguments.add(waiting.id());
            String record =
                    TaskRecord.ended(waiting.task(), status, waiting.position().priority(), waiting.position(), now);
            arguments.add(failed ? TaskRecord.withError(record, note) : record);
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
        LIVE,
        /** The caller does not know the present definitions of limits. */
        OUTDATED
    }

    private static Ending ending(char letter) {
        return switch (letter) {
            case 'e', 's' -> Ending.ENDED;
            case 'b' -> Ending.ENDED_BEFORE;
            case 'l' -> Ending.LIVE;
            case 'o' -> Ending.OUTDATED;
            default -> throw new IllegalStateException("unexpected answer of end-waiting.lua: " + letter);
        };
    }

    private static List<Verdict> verdicts(List<Placement> placements, List<Object> answer, Instant now) {
        String rulings = (String) answer.get(0);
        int[] held = held(placements, rulings, ((String) answer.get(1)).split(","));
        List<Verdict> verdicts = new ArrayList<>(placements.size());
        int more = 4;
        for (int i = 0; i < placements.size(); i++) {
            Placement placement = placements.get(i);
            char letter = rulings.charAt(i);
            Verdict.Ruling ruling = ruling(Character.toLowerCase(letter));
            boolean shared = Character.isUpperCase(letter);
            String holder = "";
            String why = "";
            Map<String, Long> uses = placement.uses();
            Instant assignedAt = Instant.EPOCH;
            if (ruling == Verdict.Ruling.GRANTED) {
                holder = placement.agentId();
                assignedAt = now;
            } else if (ruling == Verdict.Ruling.LIVE || ruling == Verdict.Ruling.WAS_HELD) {
                holder = (String) answer.get(more);
                assignedAt = Instant.ofEpochMilli(Long.parseLong((String) answer.get(more + 1)));
                more += 2;
                if (ruling == Verdict.Ruling.LIVE) {
                    uses = uses((String) answer.get(more));
                    more++;
                }
            } else if (ruling == Verdict.Ruling.LIMITED || ruling == Verdict.Ruling.FAILED) {
                why = (String) answer.get(more);
                more++;
            }
            verdicts.add(new Verdict(placement, ruling, holder, shared, held[i], assignedAt, uses, why));
        }
        return verdicts;
    }

    private static Map<String, Long> uses(String object) {
        if (object.isEmpty()) {
            return Map.of();
        }
        Map<String, Long> uses = new LinkedHashMap<>();
        Json.MAPPER.readTree(object).forEachEntry((name, units) -> uses.put(name, units.asLong()));
        return AgentResource.removed(uses);
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
            case 'z' -> Verdict.Ruling.FAILED;
            case 'm' -> Verdict.Ruling.LIMITED;
            case 'o' -> Verdict.Ruling.OUTDATED;
            default -> throw new IllegalStateException("unexpected answer of reserve.lua: " + letter);
        };
    }

    private static String ms(Instant time) {
        return String.valueOf(time.toEpochMilli());
    }
}
