package io.aitbc.benchmarks.peers;

import io.aitbc.localstack.LocalRedis;
import io.aitbc.localstack.LocalStack;
import java.nio.file.Path;
import java.util.List;

/** Celery on a Redis of its own; prefork with one process per core, its default. */
public final class CeleryPeer implements Peer {
    private static final String SUBMITTER = "celery_submit.py";

    private final Path folder = Peer.folderWith("celery_agents.py", SUBMITTER);
    private final int port = LocalStack.freePort();
    private final LocalRedis redis = LocalRedis.startInstalled(folder.resolve("redis"), port);
    private final Process workers;

    public CeleryPeer() {
        try {
            workers = Peer.start(python("-m", "celery", "-A", "celery_agents", "worker", "--without-mingle")
                    .directory(folder.toFile()));
        } catch (RuntimeException e) {
            redis.close();
            throw e;
        }
    }

    private ProcessBuilder python(String... arguments) {
        ProcessBuilder builder = new ProcessBuilder(arguments);
        builder.command().add(0, "/usr/bin/python3");
        builder.environment().put("REDIS", "redis://127.0.0.1:" + port + "/0");
        return builder;
    }

    @Override
    public double flood(int tasks) {
        return Double.parseDouble(
                Peer.run(python(SUBMITTER, "" + tasks), folder).strip());
    }

    @Override
    public void close() {
        Peer.closeAll(List.of(redis, () -> Peer.end(workers)));
    }
}
