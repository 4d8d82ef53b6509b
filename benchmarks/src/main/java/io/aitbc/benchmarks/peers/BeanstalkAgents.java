package io.aitbc.benchmarks.peers;

import io.aitbc.benchmarks.cluster.ChildProcess;
import io.aitbc.benchmarks.peers.BeanstalkConnection.Job;
import java.io.IOException;
import java.util.List;
import java.util.Map;

/** Agents on beanstalkd. An agent reserves tasks, puts their results into a tube, and deletes the tasks once that is acknowledged. */
final class BeanstalkAgents {
    private BeanstalkAgents() {}

    /** @param args the port, the number of agents and their capacity */
    public static void main(String[] args) throws IOException {
        int capacity = Integer.parseInt(args[2]);
        for (int i = 0; i < Integer.parseInt(args[1]); i++) {
            BeanstalkConnection connection =
                    new BeanstalkConnection(args[0], BeanstalkConnection.TASKS, BeanstalkConnection.RESULTS);
            Background.start("agent-" + i, () -> work(connection, capacity));
        }
        ChildProcess.listen(order -> Map.of());
    }

    private static void work(BeanstalkConnection connection, int capacity) throws IOException {
        while (true) {
            List<Job> tasks = connection.reserve(capacity);
            for (Job task : tasks) {
                connection.put(0, Bodies.result(task.body()));
            }
            connection.awaitPuts();
            for (Job task : tasks) {
                connection.delete(task);
            }
        }
    }
}
