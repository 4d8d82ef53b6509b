package io.aitbc.benchmarks.load;

import io.aitbc.benchmarks.cluster.ChildProcess;
import io.aitbc.benchmarks.cluster.Cluster;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import org.HdrHistogram.Histogram;

/** A system under test that takes tasks from submitters to agents and returns results, with its own topics, clients and agents. */
public abstract sealed class Side implements AutoCloseable permits CoordinatorSide, RawSide {
    private static final Duration TIMEOUT = Duration.ofMinutes(10);

    final ChildProcess agents;
    private final ChildProcess submitter;
    private final Cluster cluster;

    Side(Cluster cluster, String prefix, int agentCount, int capacity) {
        this.cluster = cluster;
        agents = new ChildProcess(BareAgents.class, cluster.bootstrapServers(), prefix, agentCount, capacity);
        submitter = new ChildProcess(Submitter.class, cluster.bootstrapServers(), prefix);
    }

    /** Tasks settled since the last reset. */
    abstract long settled();

    public abstract void reset();

    abstract void pause();

    abstract void resume();

    /** Time from the scheduled submission of each task until it was settled. */
    public abstract Histogram untilSettled(String run);

    /** Processor time by process between the clients, except Kafka. */
    abstract Map<String, Duration> between();

    /** Processor time by process, of all that take part. */
    public Map<String, Duration> cpuByProcess() {
        Map<String, Duration> all = new LinkedHashMap<>();
        all.put("submitter", submitter.cpu());
        all.put("Kafka", cluster.kafkaCpu());
        all.putAll(between());
        all.put("agents", agents.cpu());
        return all;
    }

    /** Submits tasks and awaits Kafka's acknowledgements. */
    public void submit(Submitter.Order order) {
        submitter.ask(order.words());
    }

    /** Tasks per second, from the first submission to the last settlement. */
    public double flood(String run, int count, int groups) {
        return flood(new Submitter.Order(run, count, 0, "all", groups));
    }

    public double flood(Submitter.Order order) {
        reset();
        long first = Timestamps.now();
        submit(order);
        awaitSettled(order.count());
        return order.count() * 1e6 / (Timestamps.now() - first);
    }

    /** Tasks per second while a backlog drains. */
    public double drain(String run, int count, String priority) {
        fillBacklog(new Submitter.Order(run, count, 0, priority, 0));
        long start = Timestamps.now();
        resume();
        awaitSettled(count);
        return count * 1e6 / (Timestamps.now() - start);
    }

    /** Builds up a backlog, until windows are full and the system is idle. */
    void fillBacklog(Submitter.Order order) {
        reset();
        pause();
        submit(order);
        Cluster.pause(Duration.ofSeconds(3));
    }

    public void awaitSettled(long count) {
        Cluster.await(count + " settled tasks", TIMEOUT, () -> settled() >= count);
    }

    /** Time from the scheduled submission of each task until its agent had it, since the last reset. */
    public Histogram untilReached() {
        return Timestamps.decode(agents.ask("figures").get("reached").asString());
    }

    /** The same for urgent tasks. */
    public Histogram urgentUntilReached() {
        return Timestamps.decode(agents.ask("figures").get("urgent").asString());
    }

    @Override
    public void close() {
        submitter.close();
        agents.close();
    }
}
