package io.aitbc.benchmarks.peers;

/** Streams of Redis with a consumer group, on a Redis of their own. */
public final class RedisStreamsPeer extends ClientsPeer {
    public RedisStreamsPeer(int agents, int capacity) {
        super(RedisStreamsAgents.class, RedisStreamsSubmitter.class, agents, capacity);
    }

    @Override
    Object startServer() {
        return "redis://" + HOST + ":" + addRedis();
    }
}
