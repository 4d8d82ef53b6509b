package io.aitbc.contracts;

import java.util.Arrays;
import java.util.List;
import java.util.regex.Pattern;

/**
 * The names of all topics.
 *
 * @param prefix prepended to each name, at most 37 characters, so that several coordinator clusters can share a broker; empty by
 *     default
 */
public record Topics(String prefix) {
    private static final Pattern PREFIX = Pattern.compile("[A-Za-z0-9._-]{0,37}");

    public Topics {
        if (!PREFIX.matcher(prefix).matches()) {
            throw new IllegalArgumentException(
                    "topic prefix must be at most 37 characters of A-Z a-z 0-9 . _ - but was \"" + prefix + "\"");
        }
    }

    public static Topics unprefixed() {
        return new Topics("");
    }

    public String tasks(Priority priority) {
        return prefix + "tasks." + priority.wireName();
    }

    /** All five task topics, most urgent first. */
    public List<String> tasks() {
        return Arrays.stream(Priority.values()).map(this::tasks).toList();
    }

    /** @param tasksTopic one of the five task topics, see {@link #tasks()} */
    public Priority priorityOf(String tasksTopic) {
        return Priority.parse(tasksTopic.substring((prefix + "tasks.").length()));
    }

    public String assignments(String agentId) {
        return prefix + "assignments." + agentId;
    }

    /** The topic of the assignments of all agents that claim theirs over HTTP, keyed by agent id. */
    public String sharedAssignments() {
        return assignments(Ids.SHARED_ASSIGNMENTS);
    }

    /** The consumer group in which coordinators read {@link #sharedAssignments}. */
    public String deliveryGroup() {
        return prefix + "agent-coordinator.delivery";
    }

    /** The consumer group in which an agent reads its assignments. */
    public String agentGroup(String agentId) {
        return prefix + "agent." + agentId;
    }

    public String results() {
        return prefix + "tasks.results";
    }

    /** The topic of what happened to tasks, keyed by task id. */
    public String events() {
        return prefix + "tasks.events";
    }

    public String deadLetter() {
        return prefix + "tasks.dead-letter";
    }

    public String heartbeats() {
        return prefix + "agents.heartbeat";
    }

    public String control() {
        return prefix + "coordinator.control";
    }

    /** The topic of API keys, of which it holds hashes only. */
    public String keys() {
        return prefix + "coordinator.keys";
    }

    /** The topic that holds which records of the task topics are done. */
    public String ledger() {
        return prefix + "coordinator.ledger";
    }

    /** The topic that says who did what. */
    public String audit() {
        return prefix + "coordinator.audit";
    }
}
