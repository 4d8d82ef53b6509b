package io.aitbc.benchmarks.peers;

import io.aitbc.benchmarks.cluster.Cluster;
import io.aitbc.benchmarks.load.CoordinatorSide;
import java.util.List;

/** The coordinator itself. */
public final class CoordinatorPeer implements Peer {
    private final Cluster cluster = new Cluster();
    private final CoordinatorSide side;
    private int floods;

    public CoordinatorPeer(int agents, int inFlight) {
        try {
            side = new CoordinatorSide(cluster, agents, inFlight / agents).working();
        } catch (RuntimeException e) {
            cluster.close();
            throw e;
        }
    }

    @Override
    public double flood(int tasks) {
        return side.flood("flood" + floods++, tasks, 0);
    }

    @Override
    public void close() {
        Peer.closeAll(List.of(cluster, side));
    }
}
