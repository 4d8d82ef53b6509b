package io.aitbc.benchmarks.peers;

import io.aitbc.benchmarks.peers.BeanstalkConnection.Job;
import java.io.IOException;

/** Submits tasks to {@link BeanstalkAgents} and reads their results. */
final class BeanstalkSubmitter {
    private static final int PRIORITIES = 5;
    private static final int RESULTS_AT_ONCE = 1_000;

    private BeanstalkSubmitter() {}

    /** @param args the port */
    public static void main(String[] args) throws IOException {
        BeanstalkConnection tasks = connect(args[0]);
        BeanstalkConnection results = connect(args[0]);
        Floods floods = new Floods();
        Background.start("results", () -> read(results, floods));
        floods.listen((from, to) -> {
            for (int i = from; i < to; i++) {
                tasks.put(i % PRIORITIES, Bodies.task(i));
            }
            tasks.awaitPuts();
        });
    }

    private static BeanstalkConnection connect(String port) throws IOException {
        return new BeanstalkConnection(port, BeanstalkConnection.RESULTS, BeanstalkConnection.TASKS);
    }

    private static void read(BeanstalkConnection connection, Floods floods) throws IOException {
        while (true) {
            for (Job result : connection.reserve(RESULTS_AT_ONCE)) {
                floods.received(result.body());
                connection.delete(result);
            }
        }
    }
}
