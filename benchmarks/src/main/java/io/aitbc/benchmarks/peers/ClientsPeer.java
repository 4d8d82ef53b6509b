package io.aitbc.benchmarks.peers;

import io.aitbc.benchmarks.cluster.ChildProcess;

/** A server with agents and a submitter in Java, each in a process of its own. */
abstract class ClientsPeer extends Peer {
    private final Class<?> agents;
    private final Class<?> submitter;
    private final int count;
    private final int capacity;
    private ChildProcess submitting;

    /**
     * @param agents the class that runs them: its arguments are the server's address, their number and their capacity
     * @param submitter the class that runs {@link Floods}: its argument is the server's address
     * @param capacity of each agent
     */
    ClientsPeer(Class<?> agents, Class<?> submitter, int count, int capacity) {
        this.agents = agents;
        this.submitter = submitter;
        this.count = count;
        this.capacity = capacity;
    }

    /** Starts the server and returns its address. */
    abstract Object startServer();

    @Override
    public final void start() {
        Object address = startServer();
        // They create the queues.
        add(new ChildProcess(agents, address, count, capacity)).ask("ready");
        submitting = add(new ChildProcess(submitter, address));
    }

    @Override
    public final double flood(int tasks) {
        return submitting.ask(tasks).get("perSecond").asDouble();
    }
}
