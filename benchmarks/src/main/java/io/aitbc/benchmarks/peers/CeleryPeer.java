package io.aitbc.benchmarks.peers;

/** Celery on a Redis of its own; prefork with one process per core, its default. */
public final class CeleryPeer extends ScriptPeer {
    private static final String SUBMITTER = "celery_submit.py";

    public CeleryPeer() {
        super("celery_agents.py", SUBMITTER);
    }

    @Override
    int startServer() {
        return addRedis();
    }

    @Override
    ProcessBuilder agents(int port) {
        return python(port, "-m", "celery", "-A", "celery_agents", "worker", "--without-mingle");
    }

    @Override
    ProcessBuilder submitter(int port, int tasks) {
        return python(port, SUBMITTER, "" + tasks);
    }

    private static ProcessBuilder python(int port, String... arguments) {
        ProcessBuilder builder = new ProcessBuilder(arguments);
        builder.command().add(0, "/usr/bin/python3");
        builder.environment().put("REDIS", "redis://" + HOST + ":" + port + "/0");
        return builder;
    }
}
