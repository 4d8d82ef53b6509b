package io.aitbc.benchmarks;

import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** What else one could take, with the same number of tasks and agents, each with its usual durable settings, by small clients of ours. */
@Command(
        name = "peers",
        description = "Tasks per second, beside RabbitMQ, BullMQ and Celery; each needs to be installed.")
final class PeersBenchmark extends Benchmark {
    /** How many agents may hold together. */
    private static final int IN_FLIGHT = 10_000;

    @Option(names = "--tasks", defaultValue = "100000", description = "How many tasks each time; Celery gets a tenth")
    private int tasks;

    @Option(names = "--agents", defaultValue = "100", description = "How many agents, or tasks done at once")
    private int agents;

    @Option(names = "--times", defaultValue = "5", description = "How often")
    private int times;

    @Option(
            names = "--warm-up",
            defaultValue = "1300000",
            description =
                    "How many tasks come before, until the compilers have done what they do; in whole floods; Celery gets one flood")
    private int warmUp;

    @Option(
            names = "--whom",
            split = ",",
            defaultValue = "COORDINATOR,RABBITMQ,BULLMQ,CELERY",
            description = "Who is measured: ${COMPLETION-CANDIDATES}")
    private List<Whom> whom = List.of();

    private enum Whom {
        COORDINATOR("agent-coordinator", "", "") {
            @Override
            Peer start(int agents) {
                return new CoordinatorPeer(agents, IN_FLIGHT);
            }
        },
        RABBITMQ(
                "RabbitMQ, priority queue",
                "apt-get install rabbitmq-server",
                "choice of agent, requirements, capacity across agents, one live attempt, retry with backoff") {
            @Override
            Peer start(int agents) {
                return new RabbitPeer(agents);
            }
        },
        BULLMQ(
                "BullMQ on Redis",
                "node and npm",
                "choice of agent, requirements, capacity of each agent; one Redis holds all there is") {
            @Override
            Peer start(int agents) {
                return new BullPeer(agents);
            }
        },
        CELERY(
                "Celery on Redis",
                "apt-get install python3-celery python3-redis celery",
                "choice of agent, requirements, capacity across agents; one Redis holds all there is") {
            @Override
            Peer start(int agents) {
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
        private final String lacks;

        Whom(String title, String needs, String lacks) {
            this.title = title;
            this.needs = needs;
            this.lacks = lacks;
        }

        /** With the clients that make it work. */
        abstract Peer start(int agents);

        /** How many each time. */
        int tasks(int ofOthers) {
            return ofOthers;
        }

        /** How many floods come before. */
        int warmUp(int ofOthers) {
            return ofOthers;
        }
    }

    @Override
    List<Report> measure() {
        Report report = new Report(
                        "Peers: tasks from submission to result, " + agents + " agents, in turns, median of " + times,
                        "what",
                        "tasks/s",
                        "share of the first",
                        "each time",
                        "what it lacks")
                .bars("tasks/s", 1);
        Map<Whom, Peer> peers = new LinkedHashMap<>();
        Map<Whom, List<Double>> rates = new EnumMap<>(Whom.class);
        try {
            for (Whom one : whom) {
                start(one, peers, report);
            }
            for (int i = 0; i < times; i++) {
                peers.forEach((one, peer) -> {
                    double rate = peer.flood(one.tasks(tasks));
                    System.out.printf(Locale.ROOT, "  %s: %.0f tasks/s%n", one.title, rate);
                    rates.computeIfAbsent(one, none -> new ArrayList<>()).add(rate);
                });
            }
        } finally {
            peers.values().forEach(Peer::close);
        }
        peers.keySet().forEach(one -> {
            List<Double> own = rates.get(one);
            List<Double> ofFirst = rates.get(peers.keySet().iterator().next());
            List<Double> shares = IntStream.range(0, times)
                    .mapToObj(i -> own.get(i) / ofFirst.get(i))
                    .toList();
            report.row(
                    one.title,
                    String.format(Locale.ROOT, "%.0f", Medians.of(own)),
                    String.format(Locale.ROOT, "%.2f", Medians.of(shares)),
                    own.stream()
                            .map(rate -> String.format(Locale.ROOT, "%.0f", rate))
                            .collect(Collectors.joining(", ")),
                    one.lacks);
        });
        return List.of(report);
    }

    /** So that all are ready before the first is measured: what the machine does otherwise comes to all of them. */
    private void start(Whom one, Map<Whom, Peer> peers, Report report) {
        try {
            Peer peer = one.start(agents);
            peers.put(one, peer);
            int floods = one.warmUp((warmUp + tasks - 1) / tasks);
            for (int i = 0; i < floods; i++) {
                peer.flood(one.tasks(tasks));
            }
        } catch (UncheckedIOException | IllegalStateException e) {
            if (one == Whom.COORDINATOR) {
                throw e;
            }
            report.row(one.title, "not measured: " + e.getMessage(), "", "", "needs " + one.needs);
        }
    }
}
