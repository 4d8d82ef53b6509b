package io.aitbc.benchmarks.peers;

/** BullMQ on a Redis of its own. */
public final class BullPeer extends NodePeer {
    public BullPeer(int agents) {
        super("bullmq.mjs", agents, "bullmq", "ioredis");
    }

    @Override
    int startServer() {
        return addRedis();
    }
}
