package io.aitbc.benchmarks.measure;

import io.aitbc.benchmarks.cluster.Cluster;
import io.aitbc.benchmarks.load.PlainAgents;
import io.aitbc.benchmarks.report.Report;
import io.aitbc.contracts.Delivery;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Location;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Registration;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Resources;
import io.aitbc.contracts.Task;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.balance.LoadBalancingStrategy;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringSerializer;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Distribution of the same tasks over the same unequal agents, by strategy. */
@Command(name = "strategies", description = "Distribution of tasks over unequal agents, by strategy.")
public final class StrategyBenchmark extends Benchmark {
    private static final Duration TIMEOUT = Duration.ofMinutes(2);
    private static final List<Location> CITIES =
            List.of(new Location(52.37, 4.89), new Location(1.35, 103.82), new Location(38.95, -77.45));

    @Option(names = "--tasks", defaultValue = "1000", description = "Tasks per strategy")
    private int tasks;

    @Option(names = "--per-second", defaultValue = "250", description = "Tasks per second")
    private int perSecond;

    @Override
    List<Report> measure() {
        Map<LoadBalancingStrategy, Map<String, Integer>> counts = new LinkedHashMap<>();
        List<PlainAgents.Traits> agents = agents();
        try (Cluster cluster = new Cluster("--aitbc.registry.min-health-score=0");
                PlainAgents running = new PlainAgents(cluster.bootstrapServers(), agents)) {
            Cluster.await(
                    "all agents",
                    TIMEOUT,
                    () -> cluster.get("/load-balancer/stats")
                                    .at("/stats/active_agents")
                                    .asInt()
                            == agents.size());
            running.work();
            for (LoadBalancingStrategy strategy : LoadBalancingStrategy.values()) {
                cluster.put("/load-balancer/strategy", "{\"strategy\":\"" + strategy.wireName() + "\"}");
                Map<String, Integer> before = running.counts();
                submit(cluster, strategy);
                Cluster.await(strategy.wireName(), TIMEOUT, () -> sum(running.counts()) - sum(before) >= tasks);
                Map<String, Integer> got = running.counts();
                before.forEach((id, count) -> got.merge(id, -count, Integer::sum));
                counts.put(strategy, got);
                System.out.println(strategy.wireName() + " " + got);
            }
        }
        return List.of(table(agents, counts));
    }

    private Report table(List<PlainAgents.Traits> agents, Map<LoadBalancingStrategy, Map<String, Integer>> counts) {
        List<String> columns = new ArrayList<>(List.of("agent", "capacity", "weight", "takes, ms", "cpu", "near city"));
        counts.keySet().forEach(strategy -> columns.add(strategy.wireName()));
        Report report = new Report(
                tasks + " tasks at " + perSecond
                        + "/s from three cities with 100 affinity keys, over ten unequal agents",
                columns.toArray(String[]::new));
        for (PlainAgents.Traits agent : agents) {
            Registration is = agent.registration();
            List<Object> row = new ArrayList<>(List.of(
                    is.agentId(),
                    is.capacity(),
                    is.weight(),
                    agent.takes().toMillis(),
                    agent.cpu(),
                    CITIES.indexOf(is.location()) + 1));
            counts.values().forEach(ofAgents -> row.add(ofAgents.get(is.agentId())));
            report.row(row.toArray());
        }
        return report;
    }

    private static List<PlainAgents.Traits> agents() {
        int[] capacities = {2, 4, 8, 16, 32, 2, 4, 8, 16, 32};
        List<PlainAgents.Traits> agents = new ArrayList<>();
        for (int i = 0; i < capacities.length; i++) {
            agents.add(new PlainAgents.Traits(
                    new Registration(
                            "agent-" + i,
                            "worker",
                            List.of(),
                            List.of(),
                            Json.object(),
                            Json.object(),
                            List.of(),
                            "1.0.0",
                            capacities[i],
                            1.0 + i % 5,
                            null,
                            CITIES.get(i % 3),
                            null,
                            null,
                            Resources.NONE,
                            Delivery.KAFKA),
                    // The second five are slower and have more other load.
                    Duration.ofMillis(i < 5 ? 20 : 80),
                    i < 5 ? 0.2 : 0.6));
        }
        return agents;
    }

    private void submit(Cluster cluster, LoadBalancingStrategy strategy) {
        Random random = new Random(1);
        try (KafkaProducer<String, byte[]> producer = new KafkaProducer<>(
                Map.of("bootstrap.servers", cluster.bootstrapServers()),
                new StringSerializer(),
                new ByteArraySerializer())) {
            long start = System.nanoTime();
            for (int i = 0; i < tasks; i++) {
                long early = start + i * 1_000_000_000L / perSecond - System.nanoTime();
                Cluster.pause(Duration.ofNanos(Math.max(0, early)));
                String id = strategy.wireName() + "-" + i;
                Requirements wanted = new Requirements(
                        null,
                        List.of(),
                        List.of(),
                        List.of(),
                        null,
                        null,
                        CITIES.get(random.nextInt(CITIES.size())),
                        null,
                        "key-" + random.nextInt(100),
                        null,
                        Resources.NONE,
                        Map.of());
                producer.send(new ProducerRecord<>(
                        Topics.unprefixed().tasks(Priority.NORMAL),
                        id,
                        Json.bytes(Task.of(id, Json.object(), wanted))));
            }
        }
    }

    private static int sum(Map<String, Integer> counts) {
        return counts.values().stream().mapToInt(Integer::intValue).sum();
    }
}
