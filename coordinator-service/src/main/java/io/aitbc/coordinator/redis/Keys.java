package io.aitbc.coordinator.redis;

/** The names of all keys and channels in Redis. Lua scripts build the per-id keys in the same way. */
public final class Keys {
    /** Set: ids of agents whose status is active. */
    public static final String ACTIVE_AGENTS = "agents:active";
    /** Set: ids of all agents that have a hash. */
    public static final String KNOWN_AGENTS = "agents:known";
    /** Set: ids of the known agents with delivery push. */
    public static final String PUSH_AGENTS = "agents:push";
    /** Sorted set: agent id by time of last heartbeat in ms, for agents from which more are expected. */
    public static final String HEARTBEATS = "agents:heartbeats";
    /** Sorted set: agent id by time of the next check for expired deadlines among its assignments, in ms. */
    public static final String DEADLINES = "agents:deadlines";
    /** List: when tasks ended, in s, with their ids and attempts, one entry per batch; oldest first. */
    public static final String ENDED = "tasks:ended";
    /** Hash: id of an event → when it happened, and more, for events that Kafka may not have yet, see notice.lua. */
    public static final String UNPUBLISHED_EVENTS = "tasks:unpublished-events";
    /** Hash: cluster-wide counters. */
    public static final String TASK_STATS = "stats:tasks";
    /** Hash: coordinator id → latest report of its lane, as JSON. */
    public static final String COORDINATORS = "stats:coordinators";
    /** Hash: coordinator id → number of heartbeats that it has sent to other coordinators. */
    public static final String ALIVE = "stats:alive";
    /** Hash: id of a topic of waiting tasks and partition → its high watermark, noted every ten seconds. */
    public static final String QUEUE_ENDS = "stats:ends";
    /** Channel, see {@link Redis#channel}: notices of changes to agents. */
    public static final String AGENT_EVENTS = "agent_events";
    /** Channel, see {@link Redis#channel}: coordinators' wants, for tasks that wait for full agents. */
    public static final String WANTS = "coordinator_wants";
    /** Channel, see {@link Redis#channel}: agents on which a coordinator yields a slot to aged tasks at another. */
    public static final String SLOT_OFFERS = "coordinator_places_left";

    /** Channel, see {@link Redis#channel}: agents without a topic of their own that have something to claim. */
    public static final String DELIVERIES = "agent_deliveries";

    /** Sorted set: agent id by time of loss in ms, for agents that may still hold earlier assignments. */
    public static final String LOST_AGENTS = "agents:gone";
    /** Sorted set: agent id by time of deregistration in ms, for agents whose topic still exists. */
    public static final String DEPARTED_AGENTS = "agents:departed";
    /** Set: ids of agents with delivery kafka from which nothing has arrived over Kafka yet. */
    public static final String UNREACHED_AGENTS = "agents:unreached";
    /** Number: count of notices published on {@link #AGENT_EVENTS}. */
    public static final String AGENT_EVENT_COUNT = "agents:events";
    /** Text: the format of all keys, and since when Redis holds the complete state, in ms; missing after Redis was emptied. */
    public static final String INDEX_COMPLETE = "index:complete";
    /** Until when Redis has all that was written, in ms by its own clock; set twice a second while the index is complete. */
    public static final String INDEX_WRITTEN = "index:written";
    /** Text: since when a coordinator has been rebuilding the state; expires. */
    public static final String INDEX_REBUILDING = "index:rebuilding";
    /** Text: assignments have just been restored, and some may still be missing; expires. */
    public static final String INDEX_RESTORED = "index:restored";
    /** Hash: counters about agents. */
    public static final String AGENT_STATS = "stats:agents";

    /** Set: names of limits that are used, or whose budget was spent from. */
    public static final String KNOWN_LIMITS = "limits:known";

    /** Set: names, as limits, of resources that are used. */
    public static final String KNOWN_RESOURCES = "resources:known";

    /** Text: since when rates have been counted, in ms. */
    public static final String LIMITS_SINCE = "limits:since";

    /** Text: what is used of limits has just been counted again; expires. */
    public static final String LIMITS_CHECKED = "limits:checked";

    /** Text: written to prove that Redis accepts writes; expires. */
    static final String PROBE = "probe:writable";
    /** Prefix of corrupt keys once quarantined, see guard.lua. */
    public static final String QUARANTINE_PREFIX = "spoilt:";

    /** What {@link #INDEX_COMPLETE} begins with: the number of the format, which increases when an older coordinator could not read the keys. */
    public static final String FORMAT = "2 ";

    private Keys() {}

    public static String agent(String agentId) {
        return "agent:" + agentId;
    }

    public static String inflight(String agentId) {
        return "agent:" + agentId + ":inflight";
    }

    /** Hash: task id → attempt and assignment, as JSON, for assignments that an agent has not confirmed, see claim-assignments.lua. */
    public static String outbox(String agentId) {
        return "outbox:" + agentId;
    }

    /** Hash: task id → attempt, times and instance to which an assignment was served, see claim-assignments.lua. */
    public static String served(String agentId) {
        return "served:" + agentId;
    }

    /** Hash: what is used of a limit, see limits.lua. */
    public static String limit(String limit) {
        return "limit:" + limit;
    }

    /** Hash: task id → units of a limit that its live attempt holds, see limits.lua. */
    public static String held(String limit) {
        return "held:" + limit;
    }

    /** Sorted set: task id and attempt by deadline in ms, of attempts that hold nothing any more, but may still run, see limits.lua. */
    public static String loose(String limit) {
        return "loose:" + limit;
    }

    /** Text: id of the request to note more of a budget in Kafka; expires. */
    public static String noting(String limit) {
        return "limits:noting:" + limit;
    }

    public static String task(String taskId) {
        return "task:" + taskId;
    }

    /** Text: claim of the coordinator that is enqueueing a task of this id; expires. */
    public static String submission(String taskId) {
        return "submission:" + taskId;
    }

    /** Text: claim of the coordinator that is redriving a task; expires. */
    public static String redrive(String taskId) {
        return "redrive:" + taskId;
    }

    /** Text: an agent has just been notified that an attempt was cancelled; expires. */
    public static String cancellation(String assignmentId) {
        return "cancellation:" + assignmentId;
    }

    /** Hash: the number of tasks cancelled by a clear command. */
    public static String clear(String commandId) {
        return "clear:" + commandId;
    }
}
