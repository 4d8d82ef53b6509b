package io.aitbc.benchmarks.peers;

import java.nio.file.Path;

/** A server with agents and a submitter in the language of its library; the submitter prints tasks per second. */
abstract class ScriptPeer extends Peer {
    private final String[] programs;
    private Path folder;
    private int port;

    /** @param programs the clients, in the resources */
    ScriptPeer(String... programs) {
        this.programs = programs;
    }

    /** Starts the server and returns its port. */
    abstract int startServer();

    /** Installs the library. */
    void install() {}

    /** Runs the agents, until the process is ended. */
    abstract ProcessBuilder agents(int port);

    /** Submits tasks and awaits their results. */
    abstract ProcessBuilder submitter(int port, int tasks);

    @Override
    public final void start() {
        folder = addFolder(programs);
        install();
        port = startServer();
        addProcess(here(agents(port)));
    }

    @Override
    public final double flood(int tasks) {
        return Double.parseDouble(run(here(submitter(port, tasks))).strip());
    }

    final ProcessBuilder here(ProcessBuilder builder) {
        return builder.directory(folder.toFile());
    }
}
