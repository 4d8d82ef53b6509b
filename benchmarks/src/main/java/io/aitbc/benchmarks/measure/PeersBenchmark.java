package io.aitbc.benchmarks.measure;

import io.aitbc.benchmarks.peers.BeanstalkPeer;
import io.aitbc.benchmarks.peers.BullPeer;
import io.aitbc.benchmarks.peers.CeleryPeer;
import io.aitbc.benchmarks.peers.CoordinatorPeer;
import io.aitbc.benchmarks.peers.NatsPeer;
import io.aitbc.benchmarks.peers.Peer;
import io.aitbc.benchmarks.peers.PostgresPeer;
import io.aitbc.benchmarks.peers.RabbitPeer;
import io.aitbc.benchmarks.peers.RedisStreamsPeer;
import io.aitbc.benchmarks.peers.ShareGroupPeer;
import io.aitbc.benchmarks.report.Medians;
import io.aitbc.benchmarks.report.Report;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * Alternatives with the same number of tasks and agents, driven by small clients of ours. Each is set up so that it loses as much as the
 * coordinator's Kafka and Redis: nothing if a process is killed, seconds if the machine crashes. All run at once and take turns, so a
 * machine with less than 16 GiB measures a few at a time ({@code --whom}).
 */
@Command(name = "peers", description = "Tasks per second, compared with other queues; each must be installed.")
public final class PeersBenchmark extends Benchmark {
    /** Capacity of all agents together. */
    private static final int IN_FLIGHT = 10_000;

    /** What a crash of the machine loses if a server leaves it to the operating system to write to the disk. */
    private static final String UNFLUSHED = "what the operating system has not flushed";
    /** What it loses if a server flushes every second. */
    private static final String LAST_SECOND = "the last second";

    @Option(names = "--tasks", defaultValue = "100000", description = "Tasks per measurement; a tenth for Celery")
    private int tasks;

    @Option(names = "--agents", defaultValue = "100", description = "Agents, or concurrent tasks")
    private int agents;

    @Option(names = "--times", defaultValue = "5", description = "Repetitions")
    private int times;

    @Option(
            names = "--warm-up",
            defaultValue = "1300000",
            description = "Tasks before the first measurement, for JIT compilation, in whole runs; one run for Celery")
    private int warmUp;

    @Option(
            names = "--whom",
            split = ",",
            defaultValue = "COORDINATOR,KAFKA_SHARE,RABBITMQ,NATS,BEANSTALKD,REDIS_STREAMS,POSTGRES,BULLMQ,CELERY",
            description = "Peers: ${COMPLETION-CANDIDATES}")
    private Set<PeerKind> whom = Set.of();

    private enum PeerKind {
        COORDINATOR("agent-coordinator", "", UNFLUSHED + " (Kafka), " + LAST_SECOND + " (Redis)", "") {
            @Override
            Peer create(int agents, int capacity) {
                return new CoordinatorPeer(agents, capacity);
            }
        },
        KAFKA_SHARE(
                "Kafka share group",
                "",
                UNFLUSHED,
                "priority, choice of agent, requirements, one live attempt, retry with backoff") {
            @Override
            Peer create(int agents, int capacity) {
                return new ShareGroupPeer(agents, capacity);
            }
        },
        RABBITMQ(
                "RabbitMQ, priority queue",
                "apt-get install rabbitmq-server",
                "nothing: it flushes before it confirms",
                "choice of agent, requirements, capacity across agents, one live attempt, retry with backoff") {
            @Override
            Peer create(int agents, int capacity) {
                return new RabbitPeer(agents, capacity);
            }
        },
        NATS(
                "NATS JetStream, work queue",
                "apt-get install nats-server",
                UNFLUSHED,
                "priority, choice of agent, requirements, one live attempt") {
            @Override
            Peer create(int agents, int capacity) {
                return new NatsPeer(agents, capacity);
            }
        },
        BEANSTALKD(
                "beanstalkd",
                "apt-get install beanstalkd",
                LAST_SECOND,
                "choice of agent, requirements, one live attempt, limit of attempts; one server holds all there is") {
            @Override
            Peer create(int agents, int capacity) {
                return new BeanstalkPeer(agents, capacity);
            }
        },
        REDIS_STREAMS(
                "Redis Streams, consumer group",
                "",
                LAST_SECOND,
                "priority, choice of agent, requirements, one live attempt, retry with backoff; one Redis holds all there is") {
            @Override
            Peer create(int agents, int capacity) {
                return new RedisStreamsPeer(agents, capacity);
            }
        },
        POSTGRES(
                "Graphile Worker on PostgreSQL",
                "apt-get install postgresql, node and npm",
                UNFLUSHED + "; the database may be corrupt",
                "choice of agent, requirements, one live attempt; a lost agent is noticed after four hours") {
            @Override
            Peer create(int agents, int capacity) {
                return new PostgresPeer(agents);
            }
        },
        BULLMQ(
                "BullMQ on Redis",
                "node and npm",
                LAST_SECOND,
                "choice of agent, requirements, capacity of each agent; one Redis holds all there is") {
            @Override
            Peer create(int agents, int capacity) {
                return new BullPeer(agents);
            }
        },
        CELERY(
                "Celery on Redis",
                "apt-get install python3-celery python3-redis celery",
                LAST_SECOND,
                "choice of agent, requirements, capacity across agents; one Redis holds all there is") {
            @Override
            Peer create(int agents, int capacity) {
                return new CeleryPeer();
            }

            @Override
            int tasks(int ofOthers) {
                return Math.max(1_000, ofOthers / 10);
            }

            @Override
            int warmUp(int ofOthers) {
                return 1;
            }
        };

        private final String title;
        private final String needs;
        private final String machineCrash;
        private final String lacks;

        /** @param machineCrash what a crash of the machine loses */
        PeerKind(String title, String needs, String machineCrash, String lacks) {
            this.title = title;
            this.needs = needs;
            this.machineCrash = machineCrash;
            this.lacks = lacks;
        }

        abstract Peer create(int agents, int capacity);

        /** Tasks per run. */
        int tasks(int ofOthers) {
            return ofOthers;
        }

        /** Runs before the first measurement. */
        int warmUp(int ofOthers) {
            return ofOthers;
        }
    }

    @Override
    List<Report> measure() {
        Report report = new Report(
                        "Peers: tasks from submission to result, " + agents + " agents, in turn, median of " + times,
                        "peer",
                        "tasks/s",
                        "share of the coordinator's",
                        "runs",
                        "features it lacks")
                .bars("tasks/s", 1);
        Map<PeerKind, Peer> peers = new EnumMap<>(PeerKind.class);
        Map<PeerKind, List<Double>> rates = new EnumMap<>(PeerKind.class);
        try {
            // All are ready before the first is measured, so that other load on the machine affects all of them.
            for (PeerKind one : whom) {
                attempt(one, peers, report, () -> {
                    Peer peer = one.create(agents, IN_FLIGHT / agents);
                    peers.put(one, peer);
                    peer.start();
                    warmUp(one, peer);
                });
            }
            for (int i = 0; i < times; i++) {
                for (PeerKind one : List.copyOf(peers.keySet())) {
                    attempt(one, peers, report, () -> {
                        double rate = peers.get(one).flood(one.tasks(tasks));
                        System.out.printf(Locale.ROOT, "  %s: %.0f tasks/s%n", one.title, rate);
                        rates.computeIfAbsent(one, none -> new ArrayList<>()).add(rate);
                    });
                }
            }
        } finally {
            peers.keySet().forEach(one -> close(one, peers.get(one)));
        }
        Report durability = new Report(
                "Durability: a crash of a server's process loses nothing that was acknowledged",
                "peer",
                "a crash of the machine loses");
        for (PeerKind one : peers.keySet()) {
            report(one, rates.get(one), rates.get(PeerKind.COORDINATOR), report);
            durability.row(one.title, one.machineCrash);
        }
        return List.of(report, durability);
    }

    private void warmUp(PeerKind one, Peer peer) {
        int floods = one.warmUp((warmUp + tasks - 1) / tasks);
        for (int i = 0; i < floods; i++) {
            peer.flood(one.tasks(tasks));
        }
    }

    /** A peer that is not installed, or fails, is left out from then on. */
    private static void attempt(PeerKind one, Map<PeerKind, Peer> peers, Report report, Runnable action) {
        try {
            action.run();
        } catch (RuntimeException e) {
            report.row(one.title, "not measured: " + e.getMessage(), "", "", "needs " + one.needs);
            Peer peer = peers.remove(one);
            if (peer != null) {
                close(one, peer);
            }
        }
    }

    private static void close(PeerKind one, Peer peer) {
        try {
            peer.close();
        } catch (RuntimeException e) {
            System.err.println(one.title + " did not end cleanly: " + e);
        }
    }

    private static void report(PeerKind one, List<Double> own, @Nullable List<Double> coordinators, Report report) {
        String share = coordinators == null || coordinators.size() < own.size()
                ? ""
                : rounded(
                        "%.2f",
                        Medians.of(IntStream.range(0, own.size())
                                .mapToObj(i -> own.get(i) / coordinators.get(i))
                                .toList()));
        String all = own.stream().map(rate -> rounded("%.0f", rate)).collect(Collectors.joining(", "));
        report.row(one.title, rounded("%.0f", Medians.of(own)), share, all, one.lacks);
    }

    private static String rounded(String form, double value) {
        return String.format(Locale.ROOT, form, value);
    }
}
