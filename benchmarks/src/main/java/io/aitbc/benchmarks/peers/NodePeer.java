package io.aitbc.benchmarks.peers;

import java.util.List;

/** A library for Node.js, used by one program that is both agents and submitter. */
abstract class NodePeer extends ScriptPeer {
    private final String program;
    private final int agents;
    private final List<String> packages;

    /** @param packages of npm, with their versions */
    NodePeer(String program, int agents, String... packages) {
        super(program);
        this.program = program;
        this.agents = agents;
        this.packages = List.of(packages);
    }

    @Override
    final void install() {
        ProcessBuilder npm = new ProcessBuilder("npm", "install", "--no-audit", "--no-fund");
        npm.command().addAll(packages);
        run(here(npm));
    }

    @Override
    final ProcessBuilder agents(int port) {
        return new ProcessBuilder("node", program, "agents", "" + port, "" + agents);
    }

    @Override
    final ProcessBuilder submitter(int port, int tasks) {
        return new ProcessBuilder("node", program, "submit", "" + port, "" + tasks);
    }
}
