package io.aitbc.benchmarks.peers;

import io.aitbc.localstack.LocalRedis;
import io.aitbc.localstack.LocalStack;
import java.nio.file.Path;
import java.util.List;

/** BullMQ on a Redis of its own. */
public final class BullPeer implements Peer {
    private static final String PROGRAM = "bullmq.mjs";

    private final Path folder = Peer.folderWith(PROGRAM);
    private final int port = LocalStack.freePort();
    private final LocalRedis redis;
    private final Process workers;

    public BullPeer(int agents) {
        Peer.run(new ProcessBuilder("npm", "install", "--no-audit", "--no-fund", "bullmq", "ioredis"), folder);
        redis = LocalRedis.startInstalled(folder.resolve("redis"), port);
        try {
            workers = Peer.start(
                    new ProcessBuilder("node", PROGRAM, "agents", "" + port, "" + agents).directory(folder.toFile()));
        } catch (RuntimeException e) {
            redis.close();
            throw e;
        }
    }

    @Override
    public double flood(int tasks) {
        return Double.parseDouble(Peer.run(new ProcessBuilder("node", PROGRAM, "submit", "" + port, "" + tasks), folder)
                .strip());
    }

    @Override
    public void close() {
        Peer.closeAll(List.of(redis, () -> Peer.end(workers)));
    }
}
