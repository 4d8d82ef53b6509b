package io.aitbc.benchmarks.peers;

/** BullMQ on a Redis of its own. */
public final class BullPeer extends NodePeer {
    public BullPeer(int agents) {
        super("bullmq.mjs", agents, "bullmq@6.7.0", "ioredis@6.0.0");
    }

    @Override
    int startServer() {
        return addRedis();
    }
}
