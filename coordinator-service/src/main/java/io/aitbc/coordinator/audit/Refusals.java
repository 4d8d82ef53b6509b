package io.aitbc.coordinator.audit;

import io.aitbc.contracts.AuditRecord;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Keeps a flood of refusals from filling the topic: of those that are alike, one is recorded in full, and the others are counted until they
 * are drained. Beyond {@value #MAX_GROUPS} different ones, the others are counted together. Thread-safe.
 */
final class Refusals {
    static final int MAX_GROUPS = 20;

    private final Map<Group, Repeated> groups = new LinkedHashMap<>();

    private record Group(
            AuditRecord.@Nullable Caller caller,
            @Nullable String remoteAddress,
            @Nullable String forwardedFor,
            @Nullable String action,
            int status) {}

    private record Repeated(AuditRecord latest, long count) {}

    /** Takes a refusal, and returns whether it is to be recorded now. */
    synchronized boolean add(AuditRecord refusal) {
        Group own = new Group(
                refusal.caller(), refusal.remoteAddress(), refusal.forwardedFor(), refusal.action(), refusal.status());
        if (!groups.containsKey(own) && groups.size() >= MAX_GROUPS) {
            Group others = new Group(null, null, null, null, refusal.status());
            count(others, ofOthers(refusal));
            return false;
        }
        if (groups.containsKey(own)) {
            count(own, refusal);
            return false;
        }
        groups.put(own, new Repeated(refusal, 0));
        return true;
    }

    private void count(Group group, AuditRecord refusal) {
        Repeated before = groups.get(group);
        groups.put(group, new Repeated(refusal, before == null ? 1 : before.count + 1));
    }

    private static AuditRecord ofOthers(AuditRecord refusal) {
        return new AuditRecord(
                refusal.id(),
                refusal.at(),
                null,
                null,
                null,
                null,
                null,
                refusal.status(),
                "more callers, addresses and actions than are recorded one by one",
                null);
    }

    /** What was counted since the last call. */
    synchronized List<AuditRecord> drain() {
        List<AuditRecord> counted = new ArrayList<>();
        groups.values().stream()
                .filter(group -> group.count > 0)
                .forEach(group -> counted.add(group.latest.withCount(group.count)));
        groups.clear();
        return counted;
    }
}
