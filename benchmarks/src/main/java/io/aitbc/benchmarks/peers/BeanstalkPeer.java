package io.aitbc.benchmarks.peers;

/** beanstalkd with a write-ahead log, which is flushed every second, as Redis's append-only file. */
public final class BeanstalkPeer extends ClientsPeer {
    public BeanstalkPeer(int agents, int capacity) {
        super(BeanstalkAgents.class, BeanstalkSubmitter.class, agents, capacity);
    }

    @Override
    Object startServer() {
        return addServer((folder, port) ->
                new ProcessBuilder("beanstalkd", "-l", HOST, "-p", "" + port, "-b", folder.toString(), "-f", "1000"));
    }
}
