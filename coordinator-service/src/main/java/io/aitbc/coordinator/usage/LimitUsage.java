package io.aitbc.coordinator.usage;

import io.aitbc.contracts.Json;
import io.aitbc.coordinator.limit.LimitBook;
import io.aitbc.coordinator.limit.LimitState;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.redis.Script;
import io.lettuce.core.MapScanCursor;
import io.lettuce.core.Range;
import io.lettuce.core.ScanArgs;
import io.lettuce.core.ScanCursor;
import io.lettuce.core.SetArgs;
import io.lettuce.core.ValueScanCursor;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import tools.jackson.databind.JsonNode;

/** What is used of limits, in Redis. The scripts that grant and end attempts count it, see {@code limits.lua}. */
public final class LimitUsage {
    private static final Script SET_VERSION = Script.loadForConversion(LimitUsage.class, "set-version");
    private static final Script NOTE_BUDGET = Script.loadWithLimits(LimitUsage.class, "note-budget");
    private static final Script READ = Script.loadWithLimits(LimitUsage.class, "read-limits");
    private static final Script OPEN = Script.loadWithLimits(LimitUsage.class, "open-limit");
    private static final Script CHECK = Script.loadWithLimits(LimitUsage.class, "check-limit");

    private static final int CHECKED_AT_ONCE = 500;
    /** Limits in a check, and resources. */
    private static final int MAX_CHECKED = 1_000;
    /** Redis serves nobody else while a script runs. */
    private static final int READ_AT_ONCE = 200;

    private static final long CHECK_INTERVAL_MS = 60_000;

    /** As in {@code reserve.lua}. */
    private static final long NOTING_MS = 15_000;

    private final Redis redis;
    /** Where the next check of a set of names continues, by its key. */
    private final Map<String, ScanCursor> checked = new ConcurrentHashMap<>();

    public LimitUsage(Redis redis) {
        this.redis = redis;
    }

    /**
     * Sets which definitions reservations must be based on.
     *
     * @param topic id of the topic that holds the definitions
     * @param version see {@link LimitBook#version}
     */
    public CompletableFuture<?> setVersion(String topic, String version) {
        return SET_VERSION.run(redis, List.of(topic, version));
    }

    /** Whether the caller alone is to note more of a budget in Kafka, under this id. */
    public CompletableFuture<Boolean> requestNote(String name, String id) {
        return redis.async()
                .set(Keys.noting(name), id, SetArgs.Builder.nx().px(NOTING_MS))
                .toCompletableFuture()
                .thenApply("OK"::equals);
    }

    /**
     * Raises what may be spent of a budget, once it is noted in Kafka.
     *
     * @param before what was noted before in this period: it counts as spent if Redis does not know how much was
     * @param request its id; without effect if another was made since
     */
    public CompletableFuture<?> noteBudget(String name, String period, long before, long units, String request) {
        return NOTE_BUDGET.run(redis, List.of(name, period, String.valueOf(before), String.valueOf(units), request));
    }

    /** What is used of limits, by name; those of which nothing is used are absent. */
    public Map<String, LimitState> read(Collection<String> names, Instant now) {
        Map<String, LimitState> states = new LinkedHashMap<>();
        List<String> all = List.copyOf(names);
        for (int from = 0; from < all.size(); from += READ_AT_ONCE) {
            List<String> texts =
                    READ.runSync(redis, all.subList(from, Math.min(all.size(), from + READ_AT_ONCE))).stream()
                            .map(String.class::cast)
                            .toList();
            states.putAll(parse(String.join(",", texts), now));
        }
        return states;
    }

    /** Since when rates have been counted: their buckets were empty then. */
    public Instant completeSince() {
        return Instant.ofEpochMilli(Redis.count(redis.sync().get(Keys.LIMITS_SINCE)));
    }

    /** Lets a limit give units again that an agent has closed. */
    public void open(String name) {
        OPEN.runSync(redis, List.of(name));
    }

    /** Names of limits that are used, or were, at most about {@code most}, in no particular order. */
    public Set<String> known(int most) {
        Set<String> names = new TreeSet<>();
        ValueScanCursor<String> page = null;
        do {
            ScanCursor from = page == null ? ScanCursor.INITIAL : page;
            page = redis.sync().sscan(Keys.KNOWN_LIMITS, from, ScanArgs.Builder.limit(most));
            names.addAll(page.getValues());
        } while (!page.isFinished() && names.size() < most);
        return names;
    }

    /** Reads states as a script returns them: members of a JSON object. */
    public static Map<String, LimitState> parse(String members, Instant now) {
        return members.isEmpty() ? Map.of() : states(Json.MAPPER.readTree("{" + members + "}"), now);
    }

    /** Reads the states in a notice. */
    public static Map<String, LimitState> states(JsonNode object, Instant now) {
        Map<String, LimitState> states = new LinkedHashMap<>();
        object.forEachEntry((name, state) -> states.put(
                name,
                LimitState.at(
                        now,
                        state.path(0).asLong(),
                        state.path(1).asDouble(),
                        state.path(2).asString(),
                        state.path(3).asLong(),
                        state.path(4).asLong(),
                        state.path(5).asLong())));
        return states;
    }

    /** An attempt that holds units of a limit. */
    public record Holder(String taskId, long units) {}

    /** How many attempts hold no units any more, because they were cancelled or their agents lost, but may still run until their deadlines. */
    public long possiblyRunning(String name, Instant now) {
        return redis.sync()
                .zcount(
                        Keys.loose(name),
                        Range.from(Range.Boundary.including(now.toEpochMilli()), Range.Boundary.unbounded()));
    }

    /** Attempts that hold units of a limit, at most about {@code most}, in no particular order. */
    public List<Holder> holders(String name, int most) {
        List<Holder> holders = new ArrayList<>();
        redis.sync()
                .hscan(Keys.held(name), ScanArgs.Builder.limit(most))
                .getMap()
                .forEach((taskId, held) -> {
                    if (holders.size() < most) {
                        holders.add(new Holder(taskId, units(held)));
                    }
                });
        return holders;
    }

    /** 0 if the entry is corrupt. */
    private static long units(String held) {
        return held.matches("\\d{1,18} \\S+") ? Long.parseLong(held.substring(0, held.indexOf(' '))) : 0;
    }

    /**
     * Counts again what live attempts hold, because records or entries may have been set aside as corrupt. Of all coordinators, one does so a minute.
     *
     * @return how many entries were removed
     */
    public int check() {
        if (redis.sync().set(Keys.LIMITS_CHECKED, "", SetArgs.Builder.nx().px(CHECK_INTERVAL_MS)) == null) {
            return 0;
        }
        return checkSome(Keys.KNOWN_LIMITS) + checkSome(Keys.KNOWN_RESOURCES);
    }

    private int checkSome(String known) {
        int removed = 0;
        ScanCursor start = checked.getOrDefault(known, ScanCursor.INITIAL);
        ValueScanCursor<String> names = redis.sync().sscan(known, start, ScanArgs.Builder.limit(MAX_CHECKED));
        for (String name : names.getValues()) {
            // First: a script sets a key of the wrong type aside, a scan fails.
            check(name, Set.of());
            MapScanCursor<String, String> held = null;
            do {
                ScanCursor from = held == null ? ScanCursor.INITIAL : held;
                held = redis.sync().hscan(Keys.held(name), from, ScanArgs.Builder.limit(CHECKED_AT_ONCE));
                if (!held.getMap().isEmpty()) {
                    removed += check(name, held.getMap().keySet());
                }
            } while (!held.isFinished());
            check(name, Set.of());
        }
        checked.put(known, names.isFinished() ? ScanCursor.INITIAL : names);
        return removed;
    }

    private int check(String name, Collection<String> holders) {
        List<String> arguments = new ArrayList<>(List.of(name));
        arguments.addAll(holders);
        return ((Long) CHECK.runSync(redis, arguments).get(0)).intValue();
    }
}
