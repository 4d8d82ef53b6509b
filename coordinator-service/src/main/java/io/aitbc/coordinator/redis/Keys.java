package io.aitbc.coordinator.redis;

/** The names of all keys and channels in Redis. The Lua scripts build the per-id ones in the same way. */
public final class Keys {
    /** Set: ids of agents whose status is active. */
    public static final String ACTIVE_AGENTS = "agents:active";
    /** Set: ids of all agents that have a hash. */
    public static final String KNOWN_AGENTS = "agents:known";
    /** Sorted set: agent id by time of last heartbeat in ms, for those that are expected to send more. */
    public static final String HEARTBEATS = "agents:heartbeats";
    /** Sorted set: agent id by when it is looked at whether a deadline of what the agent holds has passed, in ms. */
    public static final String DEADLINES = "agents:deadlines";
    /** List: when tasks were completed, in s, and their ids, those of a batch together; the oldest first. */
    public static final String COMPLETED = "tasks:completed";
    /** Hash: cluster-wide counters. */
    public static final String TASK_STATS = "stats:tasks";
    /** Hash: coordinator id → what it last said of its lane, as JSON. */
    public static final String COORDINATORS = "stats:coordinators";
    /** Channel, see {@link Redis#channel}: what changed about agents. */
    public static final String AGENT_EVENTS = "agent_events";
    /** Channel, see {@link Redis#channel}: which tasks wait for agents that are full, from coordinator to coordinator. */
    public static final String WANTS = "coordinator_wants";
    /** Channel, see {@link Redis#channel}: agents of which a coordinator leaves a place to aged tasks at another. */
    public static final String PLACES_LEFT = "coordinator_places_left";

    /** Sorted set: agent id by when it was lost in ms, for those that may still hold assignments from before. */
    public static final String GONE_AGENTS = "agents:gone";
    /** Sorted set: agent id by when it deregistered in ms, for those whose topic is still there. */
    public static final String DEPARTED_AGENTS = "agents:departed";
    /** Number: how many notices have been given on {@link #AGENT_EVENTS}. */
    public static final String AGENT_EVENT_COUNT = "agents:events";
    /** Text: since when Redis holds all that it should; missing once it has been emptied. */
    public static final String INDEX_COMPLETE = "index:complete";
    /** Text: since when a coordinator fills it again; expires. */
    public static final String INDEX_REBUILDING = "index:rebuilding";
    /** Hash: counters about agents. */
    public static final String AGENT_STATS = "stats:agents";

    /** Text: written to prove that Redis takes writes; expires. */
    static final String PROBE = "probe:writable";
    /** What spoilt keys begin with once they have been set aside, see guard.lua. */
    public static final String SPOILT = "spoilt:";

    private Keys() {}

    public static String agent(String agentId) {
        return "agent:" + agentId;
    }

    public static String inflight(String agentId) {
        return "agent:" + agentId + ":inflight";
    }

    public static String task(String taskId) {
        return "task:" + taskId;
    }

    /** Text: held by whoever is putting a task of this id into its queue; expires. */
    public static String submission(String taskId) {
        return "submission:" + taskId;
    }

    /** Text: held by whoever is bringing a task back; expires. */
    public static String redrive(String taskId) {
        return "redrive:" + taskId;
    }

    /** Text: an agent has just been told that an attempt was cancelled; expires. */
    public static String cancellation(String assignmentId) {
        return "cancellation:" + assignmentId;
    }

    /** Hash: how many tasks a clear command cancelled. */
    public static String clear(String commandId) {
        return "clear:" + commandId;
    }
}
