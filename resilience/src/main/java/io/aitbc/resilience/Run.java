package io.aitbc.resilience;

import static io.aitbc.resilience.Pauses.pause;
import static org.awaitility.Awaitility.await;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Topics;
import io.aitbc.localstack.LocalSentinel;
import io.aitbc.localstack.LocalStack;
import io.aitbc.localstack.ManagedProcess;
import io.lettuce.core.RedisClient;
import io.lettuce.core.RedisURI;
import io.lettuce.core.api.StatefulRedisConnection;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.BinaryOperator;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.kafka.clients.CommonClientConfigs;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.awaitility.core.ConditionTimeoutException;
import org.jspecify.annotations.Nullable;
import org.springframework.util.FileSystemUtils;
import tools.jackson.databind.JsonNode;

/** One run: a new cluster under a steady load, faults in an order determined by a seed, and an audit once all tasks have ended. */
final class Run {
    static final int TASKS_PER_SECOND = 150;

    private static final int AGENTS_PER_PROCESS = 5;
    private static final int DEFAULT_CAPACITY = 8;
    private static final int DISK_MIB = 256;
    private static final int MOST_CUT = 64 * 1024;
    private static final String FIRST_BROKER = "kafka-1";
    private static final Duration END_TIMEOUT = Duration.ofMinutes(4);

    private final List<Fault> faults;
    private final long seed;
    private final Duration load;
    private final int coordinatorCount;
    private final Path folder;
    private final List<String> settings;
    private final Consumer<Cluster> observer;
    private final Timeline timeline = new Timeline();
    private final List<ManagedProcess> agents = new ArrayList<>();
    private final List<String> problems = new ArrayList<>();
    private int capacity = DEFAULT_CAPACITY;
    private boolean diskIsLimited;
    private boolean halfPulls;
    private @Nullable Path previous;
    private int brokerCount = 1;
    private boolean brokersAreLinked;
    private Cluster cluster;

    /**
     * The outcome of a run.
     *
     * @param wrongCounts one sentence each
     * @param drainMs from the last submission to the last completion
     */
    record Outcome(
            List<Fault> faults,
            long seed,
            int coordinators,
            long loadMs,
            Audit.Findings findings,
            List<String> wrongCounts,
            long drainMs,
            List<Timeline.Event> events) {
        boolean isClean() {
            return findings.areClean() && wrongCounts.isEmpty();
        }
    }

    /**
     * @param load minimum duration of load and fault injection; each fault is injected at least once
     * @param settings additional arguments of the coordinators
     */
    Run(List<Fault> faults, long seed, Duration load, int coordinatorCount, Path folder, List<String> settings) {
        this(faults, seed, load, coordinatorCount, folder, settings, cluster -> {});
    }

    /**
     * Creates a run with additional coordinator settings and an observer.
     *
     * @param settings additional arguments of the coordinators
     * @param observer called after each fault
     */
    Run(
            List<Fault> faults,
            long seed,
            Duration load,
            int coordinatorCount,
            Path folder,
            List<String> settings,
            Consumer<Cluster> observer) {
        this.faults = faults;
        this.seed = seed;
        this.load = load;
        this.coordinatorCount = coordinatorCount;
        this.folder = folder;
        this.settings = settings;
        this.observer = observer;
    }

    Cluster cluster() {
        return cluster;
    }

    List<ManagedProcess> agents() {
        return agents;
    }

    void during(String what, Runnable action) {
        timeline.during(what, action);
    }

    /** Records a problem detected by a fault itself. */
    void recordProblem(String sentence) {
        problems.add(sentence);
    }

    /** Limits the agents to a total of about 100 tasks per second. */
    void useSmallAgents() {
        capacity = 1;
    }

    /** Half of the agents claim their assignments over HTTP. */
    void usePullAgents() {
        halfPulls = true;
    }

    /** At least that many brokers; with three, topics have three replicas, of which two must be in sync. */
    void useBrokers(int count) {
        brokerCount = Math.max(brokerCount, count);
    }

    /** Brokers reach each other through proxies. */
    void linkBrokers() {
        brokersAreLinked = true;
    }

    /** The Redis that is the primary now. */
    LocalSentinel.Server primary() {
        try (RedisClient client = RedisClient.create(cluster.redisUrl());
                StatefulRedisConnection<String, String> connection = client.connect()) {
            String info = connection.sync().info("server");
            return cluster.sentinel().servers().stream()
                    .filter(server -> info.contains("tcp_port:" + server.port()))
                    .findFirst()
                    .orElseThrow();
        }
    }

    /** The replicas no longer receive what is written. The Sentinels correct that after 10 s, and replace a primary all the same. */
    void detachReplicas(LocalSentinel.Server primary) {
        try (RedisClient client = RedisClient.create(cluster.redisUrl())) {
            client.connect(RedisURI.create(primary.url())).sync().configSet("min-replicas-to-write", "0");
            int nowhere = LocalStack.freePort();
            for (LocalSentinel.Server server : cluster.sentinel().servers()) {
                if (server.port() != primary.port()) {
                    client.connect(RedisURI.create(server.url())).sync().replicaof("127.0.0.1", nowhere);
                }
            }
        }
    }

    /** @param jar an executable jar of the previous release of the coordinator */
    void usePrevious(Path jar) {
        previous = jar;
    }

    private void roll(@Nullable Path release, Random random) {
        cluster.useRelease(release);
        for (Cluster.Coordinator coordinator : cluster.coordinators()) {
            during(
                    (release == null ? "this release: " : "previous release: ")
                            + coordinator.process().name(),
                    () -> {
                        coordinator.process().terminate();
                        coordinator.process().start();
                        coordinator.running().awaitHealthy();
                    });
            pause(random, 4, 8);
        }
    }

    /** @throws UnsupportedOperationException if there is no previous release */
    void checkPrevious() {
        if (previous == null) {
            throw new UnsupportedOperationException("the previous release is built by `resilience upgrade`");
        }
    }

    /** Replaces the coordinators by those of this release, and back. */
    void upgradeAndDowngrade(Random random) {
        roll(null, random);
        roll(previous, random);
    }

    /** @throws UnsupportedOperationException if a file system cannot be mounted on this machine */
    void limitDisk() {
        Path disk = folder.resolve("data").resolve(FIRST_BROKER);
        try {
            Files.createDirectories(disk);
            if (run("mount", "-t", "tmpfs", "-o", "size=" + DISK_MIB + "m", "tmpfs", disk.toString()) != 0) {
                throw new UnsupportedOperationException("cannot mount a file system of limited size");
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        diskIsLimited = true;
    }

    void fillDisk() {
        run("dd", "if=/dev/zero", "of=" + ballast(), "bs=64k", "status=none");
    }

    void freeDisk() {
        try {
            Files.deleteIfExists(ballast());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /**
     * Cuts up to 64 KiB off the last segments of a stopped broker, which it has not flushed, but not off the log of its controller, which it
     * writes through to the disk.
     */
    void cutLogs(ManagedProcess broker, Random random) {
        Path logs =
                cluster.data("kafka-" + (cluster.brokers().indexOf(broker) + 1)).resolve("log");
        try (Stream<Path> files = Files.walk(logs)) {
            files.filter(file -> file.toString().endsWith(".log"))
                    .filter(file -> !file.getParent().endsWith("__cluster_metadata-0"))
                    // Names are offsets of the same length.
                    .collect(Collectors.toMap(
                            Path::getParent,
                            Function.identity(),
                            BinaryOperator.maxBy(Comparator.<Path>naturalOrder()),
                            TreeMap::new))
                    .values()
                    .forEach(file -> cut(file, file.toFile().length() - random.nextInt(MOST_CUT)));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The file to which Redis appends now. */
    Path appendOnlyFile() {
        try (Stream<Path> files = Files.walk(cluster.data("redis"))) {
            return files.filter(file -> file.toString().endsWith(".incr.aof"))
                    .max(Comparator.comparingLong(file -> file.toFile().lastModified()))
                    .orElseThrow();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Shortens a file; 0 if the size is negative. */
    static void cut(Path file, long size) {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
            channel.truncate(Math.max(0, size));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private Path ballast() {
        return cluster.data(FIRST_BROKER).resolve("ballast");
    }

    private static int run(String... command) {
        try {
            return new ProcessBuilder(command)
                    .redirectErrorStream(true)
                    .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                    .start()
                    .waitFor();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    void awaitBrokers() {
        for (String server : cluster.bootstrapServers().split(",")) {
            String[] address = server.split(":");
            await("the broker").atMost(Duration.ofMinutes(3)).until(() -> {
                try (Socket socket = new Socket()) {
                    socket.connect(new InetSocketAddress(address[0], Integer.parseInt(address[1])), 1_000);
                    return true;
                } catch (IOException e) {
                    return false;
                }
            });
        }
    }

    /** Publishes malformed records to every topic that coordinators consume. */
    void publishGarbage(int count, Random random) {
        Topics topics = Topics.unprefixed();
        List<String> targets = new ArrayList<>(topics.tasks());
        targets.addAll(List.of(topics.results(), topics.heartbeats(), topics.control()));
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(
                Map.of(CommonClientConfigs.BOOTSTRAP_SERVERS_CONFIG, cluster.bootstrapServers()),
                new ByteArraySerializer(),
                new ByteArraySerializer())) {
            for (int i = 0; i < count; i++) {
                byte[] value = new byte[random.nextInt(300)];
                random.nextBytes(value);
                byte[] text = ("{\"task_id\": \"poison-" + i + "\", \"task_data\": [" + random.nextInt())
                        .getBytes(StandardCharsets.UTF_8);
                producer.send(new ProducerRecord<>(
                        targets.get(random.nextInt(targets.size())), random.nextBoolean() ? value : text));
            }
        }
    }

    /** @throws UnsupportedOperationException if one of the faults is not possible on this machine */
    Outcome play() {
        try {
            // Ledgers and topics of an earlier run in this folder would be counted as part of this run.
            for (String name : Cluster.FOLDERS) {
                FileSystemUtils.deleteRecursively(folder.resolve(name));
            }
            Files.createDirectories(folder);
            faults.forEach(fault -> {
                useBrokers(fault.brokers());
                fault.prepare(this);
            });
            boolean hasSentinel = faults.stream().anyMatch(Fault::needsReplicas);
            try (Cluster started = new Cluster(
                    folder, brokerCount, brokersAreLinked, hasSentinel, coordinatorCount, settings, previous)) {
                cluster = started;
                return playOnCluster();
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } finally {
            if (diskIsLimited) {
                run("umount", folder.resolve("data").resolve(FIRST_BROKER).toString());
            }
        }
    }

    private Outcome playOnCluster() throws IOException {
        Random random = new Random(seed);
        agents.add(cluster.agents("agents-0", AGENTS_PER_PROCESS, capacity, AgentsProcess.Kind.USUAL));
        agents.add(
                halfPulls
                        ? cluster.pullAgents("agents-1", AGENTS_PER_PROCESS, capacity)
                        : cluster.agents("agents-1", AGENTS_PER_PROCESS, capacity, AgentsProcess.Kind.USUAL));
        await("agents to be registered")
                .atMost(Duration.ofMinutes(1))
                .until(() -> any("/registry/stats")
                                .map(stats -> stats.at("/stats/active_agents").asInt())
                                .orElse(0)
                        == 2 * AGENTS_PER_PROCESS);
        await("the limit to be defined")
                .atMost(Duration.ofMinutes(1))
                .until(() ->
                        cluster.coordinators().get(0).defineLimit(ProducerProcess.LIMIT, ProducerProcess.CONCURRENCY));
        long start = System.nanoTime();
        ManagedProcess producer = cluster.producer("producer", TASKS_PER_SECOND, seed);
        pause(random, 5, 6);
        long warmAt = System.currentTimeMillis();
        Deque<Fault> next = new ArrayDeque<>(shuffled(random));
        while (!next.isEmpty() || System.nanoTime() - start < load.toNanos()) {
            if (next.isEmpty()) {
                next.addAll(shuffled(random));
            }
            next.remove().inject(this, random);
            pause(random, 2, 4);
            observer.accept(cluster);
        }
        producer.terminate();
        long loadMs = (System.nanoTime() - start) / 1_000_000;
        long drainFrom = System.nanoTime();
        try {
            await("all tasks to be done")
                    .atMost(END_TIMEOUT)
                    .pollInterval(Duration.ofMillis(500))
                    .until(() -> unfinished().isEmpty());
        } catch (ConditionTimeoutException e) {
            System.out.println(
                    "  unfinished: " + unfinished().stream().limit(10).toList());
        }
        long drainMs = (System.nanoTime() - drainFrom) / 1_000_000;
        List<String> wrongCounts = wrongCounts();
        Evidence evidence = Evidence.collect(cluster.bootstrapServers(), cluster.ledgers());
        Outcome outcome = new Outcome(
                faults,
                seed,
                coordinatorCount,
                loadMs,
                Audit.of(evidence, Cluster.HEARTBEAT_TIMEOUT.toMillis(), warmAt),
                wrongCounts,
                drainMs,
                timeline.events());
        Charts.draw(outcome, evidence, folder);
        Files.write(folder.resolve("report.json"), Json.bytes(outcome));
        return outcome;
    }

    private List<Fault> shuffled(Random random) {
        List<Fault> order = new ArrayList<>(faults);
        Collections.shuffle(order, random);
        return order;
    }

    /** Returns accepted tasks that no agent has finished yet. */
    private Set<String> unfinished() {
        List<Ledger.Line> lines = Ledger.readAll(cluster.ledgers());
        Set<String> open = tasks(lines, Ledger.EventType.ACKED);
        open.removeAll(tasks(lines, Ledger.EventType.FINISHED));
        return open;
    }

    private static Set<String> tasks(List<Ledger.Line> lines, Ledger.EventType what) {
        return lines.stream()
                .filter(line -> line.what() == what)
                .map(Ledger.Line::taskId)
                .collect(Collectors.toCollection(HashSet::new));
    }

    /**
     * Returns problems recorded by faults, tasks started from aborted transactions, and differences between the coordinators' counts and
     * the clients' ledgers that remain after time to settle.
     */
    private List<String> wrongCounts() {
        List<String> wrong = new ArrayList<>(problems);
        tasks(Ledger.readAll(cluster.ledgers()), Ledger.EventType.STARTED).stream()
                .filter(id -> id.startsWith(Intruder.ABORTED))
                .forEach(id -> wrong.add(id + " was started, though its transaction was aborted"));
        for (Cluster.Coordinator coordinator : cluster.coordinators()) {
            try {
                await().atMost(Duration.ofSeconds(60))
                        .until(() -> wrongCounts(coordinator).isEmpty());
            } catch (ConditionTimeoutException e) {
                wrong.addAll(wrongCounts(coordinator));
            }
        }
        return wrong;
    }

    private List<String> wrongCounts(Cluster.Coordinator coordinator) {
        String name = coordinator.process().name();
        Optional<JsonNode> health = coordinator.get("/health");
        Optional<JsonNode> status = coordinator.get("/tasks/status");
        Optional<JsonNode> queues = coordinator.get("/tasks/queues");
        if (health.isEmpty() || status.isEmpty() || queues.isEmpty()) {
            return List.of(name + " is not healthy");
        }
        List<String> wrong = new ArrayList<>();
        queues.get().get("queue_sizes").properties().forEach(size -> {
            if (size.getValue().asInt() != 0) {
                wrong.add(name + " reports " + size.getValue() + " tasks waiting in queue " + size.getKey());
            }
        });
        int done = tasks(Ledger.readAll(cluster.ledgers()), Ledger.EventType.FINISHED)
                .size();
        int completed = status.get().at("/stats/tasks_completed").asInt();
        if (completed != done && faults.stream().noneMatch(Fault::forgetsCounts)) {
            wrong.add(name + " reports " + completed + " completed tasks, the ledgers " + done);
        }
        return wrong;
    }

    private Optional<JsonNode> any(String path) {
        return cluster.coordinators().get(0).get(path);
    }

    void deleteData() {
        cluster.deleteData();
    }
}
