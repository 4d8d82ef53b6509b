package io.aitbc.coordinator.match;

import io.aitbc.contracts.Priority;
import java.time.Instant;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** The local demand for agents that are full or left to others, to be reported to the other lanes. */
final class LocalWants {
    private final Backlog backlog;
    private final Agents agents;
    private final Aging aging;

    LocalWants(Backlog backlog, Agents agents, Aging aging) {
        this.backlog = backlog;
        this.agents = agents;
        this.aging = aging;
    }

    /** At most {@code limit} groups of tasks, the most urgent first, and as many aged ones, the longest waiting first. */
    List<Want> list(Set<Priority> paused, Instant now, int limit) {
        Stream<Want> aged = backlog.groups().stream()
                .filter(group ->
                        lacksAgents(group, now) && !group.pool.members().isEmpty())
                .flatMap(group -> group.aged(entry -> aging.isAged(entry, now), paused).stream())
                .sorted(TaskGroup.Head.BY_WAITING)
                .limit(limit)
                .map(head -> want(head, now));
        return Stream.concat(mostUrgent(paused, now, limit).stream(), aged)
                .distinct()
                .toList();
    }

    /**
     * Also true if an agent was open but not all tasks got one: under high throughput an agent is open most of the time, though never long
     * enough for all that wait. False if limits keep them back.
     */
    static boolean lacksAgents(TaskGroup group, Instant now) {
        return !group.isEmpty()
                && (group.pool.open.isEmpty() || group.hasUnplaced)
                && group.keptBackBy == null
                && Limits.room(group, now) > 0;
    }

    private Want want(TaskGroup.Head head, Instant now) {
        boolean isAged = aging.isAged(head.entry(), now);
        return new Want(
                head.group().requirements,
                head.level(),
                isAged ? new Want.Aged(head.entry().waitingSince(), head.group().maxTasks(head.level())) : null);
    }

    private List<Want> mostUrgent(Set<Priority> paused, Instant now, int limit) {
        Set<TaskGroup> blocked = backlog.groups().stream()
                .filter(group -> lacksAgents(group, now))
                .collect(Collectors.toCollection(LinkedHashSet::new));
        if (blocked.isEmpty()) {
            return List.of();
        }
        // Groups for which an agent has become free since the last round keep their claim until the next one.
        Set<TaskGroup> wanting = blocked.stream()
                .filter(group -> !group.pool.open.isEmpty())
                .collect(Collectors.toCollection(LinkedHashSet::new));
        for (Member member : agents.all()) {
            for (Pool pool : member.pools) {
                if (!member.candidate.hasRoom(pool.needed)) {
                    for (TaskGroup group : pool.groups) {
                        if (blocked.contains(group)) {
                            wanting.add(group);
                        }
                    }
                }
            }
        }
        return wanting.stream()
                .map(group -> group.nextHead(paused))
                .filter(Objects::nonNull)
                .map(head -> want(head, now))
                .sorted(Comparator.comparingInt(Want::level))
                .limit(limit)
                .toList();
    }
}
