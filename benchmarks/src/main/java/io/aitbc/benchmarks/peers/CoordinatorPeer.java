package io.aitbc.benchmarks.peers;

import io.aitbc.benchmarks.cluster.Cluster;
import io.aitbc.benchmarks.load.CoordinatorSide;

/** The coordinator itself. */
public final class CoordinatorPeer extends Peer {
    private final int agents;
    private final int capacity;
    private CoordinatorSide side;
    private int floods;

    /** @param capacity of each agent */
    public CoordinatorPeer(int agents, int capacity) {
        this.agents = agents;
        this.capacity = capacity;
    }

    @Override
    public void start() {
        side = add(new CoordinatorSide(add(new Cluster()), agents, capacity)).working();
    }

    @Override
    public double flood(int tasks) {
        return side.flood("flood" + floods++, tasks, 0);
    }
}
