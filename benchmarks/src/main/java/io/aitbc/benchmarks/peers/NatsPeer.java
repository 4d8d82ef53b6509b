package io.aitbc.benchmarks.peers;

import java.nio.file.Path;
import java.util.stream.Stream;

/** A work queue of NATS JetStream, stored in files. */
public final class NatsPeer extends ClientsPeer {
    public NatsPeer(int agents, int capacity) {
        super(NatsAgents.class, NatsSubmitter.class, agents, capacity);
    }

    @Override
    Object startServer() {
        int port = addServer((folder, free) -> new ProcessBuilder(
                program("nats-server", Stream.of(Path.of("/usr/sbin"))),
                "--addr",
                HOST,
                "--port",
                "" + free,
                "--jetstream",
                "--store_dir",
                folder.toString()));
        return "nats://" + HOST + ":" + port;
    }
}
