package io.aitbc.benchmarks;

import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import org.HdrHistogram.Histogram;

/** One of those that bring tasks from who submits to agents, and their results back, with an own set of topics, clients and agents. */
abstract sealed class Side implements AutoCloseable permits CoordinatorSide, RawSide {
    private static final Duration TIMEOUT = Duration.ofMinutes(10);

    final ChildProcess agents;
    private final ChildProcess submitter;
    private final Cluster cluster;

    Side(Cluster cluster, String prefix, int agentCount, int capacity) {
        this.cluster = cluster;
        agents = new ChildProcess("agents", cluster.bootstrapServers(), prefix, agentCount, capacity);
        submitter = new ChildProcess("submitter", cluster.bootstrapServers(), prefix);
    }

    /** How many tasks are settled since the last reset. */
    abstract long settled();

    abstract void reset();

    abstract void pause();

    abstract void resume();

    /** From when each task of a run was to be submitted until it was settled. */
    abstract Histogram untilSettled(String run);

    /** Processor time of each process that stands between the clients, besides Kafka. */
    abstract Map<String, Duration> between();

    /** Their sum. */
    Duration cpu() {
        return between().values().stream().reduce(Duration.ZERO, Duration::plus);
    }

    /** Processor time of each process that takes part. */
    Map<String, Duration> cpuByProcess() {
        Map<String, Duration> all = new LinkedHashMap<>();
        all.put("who submits", submitter.cpu());
        all.put("Kafka", cluster.kafkaCpu());
        all.putAll(between());
        all.put("agents", agents.cpu());
        return all;
    }

    /** Submits, and waits until Kafka has it. */
    void submit(Submitter.Order order) {
        submitter.ask(order.words());
    }

    /** Tasks per second, from the first that is submitted to the last that is settled. */
    double flood(String run, int count, int groups) {
        reset();
        long first = Timestamps.now();
        submit(new Submitter.Order(run, count, 0, "all", groups));
        awaitSettled(count);
        return count * 1e6 / (Timestamps.now() - first);
    }

    /** Tasks per second, of tasks that all wait already, from when they may go. */
    double drain(String run, int count, String priority) {
        fillBacklog(new Submitter.Order(run, count, 0, priority, 0));
        long start = Timestamps.now();
        resume();
        awaitSettled(count);
        return count * 1e6 / (Timestamps.now() - start);
    }

    /** Lets tasks wait, until windows are full and everything is quiet. */
    void fillBacklog(Submitter.Order order) {
        reset();
        pause();
        submit(order);
        Cluster.pause(Duration.ofSeconds(3));
    }

    void awaitSettled(long count) {
        Cluster.await(count + " settled tasks", TIMEOUT, () -> settled() >= count);
    }

    /** From when each task was to be submitted until an agent had it, since the last reset. */
    Histogram untilReached() {
        return Timestamps.decode(agents.ask("figures").get("reached").asString());
    }

    /** The same of urgent tasks. */
    Histogram urgentUntilReached() {
        return Timestamps.decode(agents.ask("figures").get("urgent").asString());
    }

    @Override
    public void close() {
        submitter.close();
        agents.close();
    }
}
