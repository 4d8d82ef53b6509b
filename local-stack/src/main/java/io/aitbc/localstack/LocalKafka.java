package io.aitbc.localstack;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import kafka.server.KafkaConfig;
import kafka.server.KafkaRaftServer;
import kafka.tools.StorageTool;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule;
import org.apache.kafka.common.security.scram.ScramLoginModule;
import org.apache.kafka.common.utils.Time;

/** A Kafka broker with its own controller (KRaft) in this JVM, on the loopback interface. */
public final class LocalKafka implements AutoCloseable {
    private static final String HOST = "127.0.0.1";
    private static final int MAX_REPLICAS = 3;
    /** Constant, so that a folder formatted by an earlier run is recognised. */
    private static final String CLUSTER_ID = "YWdlbnRjb29yZGluYXRvcg";

    /**
     * A broker with its own controller.
     *
     * @param host by which the other nodes of its cluster reach it
     * @param port for clients
     * @param controllerPort for traffic between brokers and controllers
     * @param brokersPort for traffic between brokers, if there are several
     */
    public record Node(int id, String host, int port, int controllerPort, int brokersPort) {
        /** Nodes on free ports, with the ids 1, 2, ... */
        public static List<Node> free(int count) {
            return IntStream.rangeClosed(1, count)
                    .mapToObj(id ->
                            new Node(id, HOST, LocalStack.freePort(), LocalStack.freePort(), LocalStack.freePort()))
                    .toList();
        }

        /** A node that the others reach by another name, which each of their JVMs may resolve to another address. */
        public Node reachedBy(String name) {
            return new Node(id, name, port, controllerPort, brokersPort);
        }

        private static Node parse(String text) {
            String[] parts = text.split(":", -1);
            return new Node(
                    Integer.parseInt(parts[0]),
                    parts[1],
                    Integer.parseInt(parts[2]),
                    Integer.parseInt(parts[3]),
                    Integer.parseInt(parts[4]));
        }

        @Override
        public String toString() {
            return id + ":" + host + ":" + port + ":" + controllerPort + ":" + brokersPort;
        }
    }

    /** Kafka's default, which tests override because they start many groups with a single member. */
    private static final Map<String, String> DEFAULT_GROUP_SETTINGS =
            Map.of("group.initial.rebalance.delay.ms", "3000");

    private final int port;
    private final KafkaRaftServer server;

    private LocalKafka(int port, KafkaRaftServer server) {
        this.port = port;
        this.server = server;
    }

    /**
     * Runs a node of a cluster until the process is terminated. Its settings for groups are Kafka's defaults, so that a takeover takes as long as
     * elsewhere.
     *
     * @param args its folder, its id, all nodes in the form of {@link Node#toString()}, comma-separated, then one
     *     {@code <port>=<proxy port>} for each proxied listener
     */
    public static void main(String[] args) throws InterruptedException {
        List<Node> cluster =
                Arrays.stream(args[2].split(",", -1)).map(Node::parse).toList();
        Node own = cluster.stream()
                .filter(node -> args[1].equals("" + node.id))
                .findFirst()
                .orElseThrow();
        Map<Integer, Integer> proxied = new LinkedHashMap<>();
        for (String pair : List.of(args).subList(3, args.length)) {
            String[] ports = pair.split("=", -1);
            proxied.put(Integer.parseInt(ports[0]), Integer.parseInt(ports[1]));
        }
        LocalKafka kafka = startNode(Path.of(args[0]), own, cluster, proxied, DEFAULT_GROUP_SETTINGS);
        Runtime.getRuntime().addShutdownHook(new Thread(kafka::close));
        new CountDownLatch(1).await();
    }

    /**
     * Starts a broker on the data of an earlier run, or on a newly formatted folder.
     *
     * @param controllerPort for traffic between the broker and its controller
     * @throws IllegalStateException if the folder cannot be formatted
     */
    public static LocalKafka start(Path folder, int port, int controllerPort) {
        return start(folder, port, controllerPort, Map.of());
    }

    /**
     * Like {@link #start(Path, int, int)}, with additional listeners for clients that connect through a proxy.
     *
     * @param proxied additional listener port → proxy port; the proxy port is the one advertised to clients
     */
    public static LocalKafka start(Path folder, int port, int controllerPort, Map<Integer, Integer> proxied) {
        return start(folder, port, controllerPort, proxied, Map.of());
    }

    /**
     * Like {@link #start(Path, int, int, Map)}, with additional broker settings.
     *
     * @param settings by their names in {@code server.properties}
     */
    public static LocalKafka start(
            Path folder, int port, int controllerPort, Map<Integer, Integer> proxied, Map<String, String> settings) {
        Node only = alone(port, controllerPort);
        return startNode(folder, only, List.of(only), proxied, settings);
    }

    /**
     * Starts one node of a cluster. Returns once it has joined, for which a majority of the nodes must be starting or running.
     *
     * @param cluster all nodes
     * @param proxied see {@link #start(Path, int, int, Map)}; in the same order for all nodes, as a client learns of those with its own listener
     * @param settings by their names in {@code server.properties}
     */
    public static LocalKafka startNode(
            Path folder, Node node, List<Node> cluster, Map<Integer, Integer> proxied, Map<String, String> settings) {
        Properties properties = properties(folder, node, cluster);
        properties.putAll(settings);
        // A client learns only of brokers that have a listener of the same name.
        int number = 0;
        for (Map.Entry<Integer, Integer> one : proxied.entrySet()) {
            addListener(properties, "PROXIED" + number++, "PLAINTEXT", one.getKey(), HOST + ":" + one.getValue());
        }
        return start(folder, node.port, properties);
    }

    /**
     * Starts a broker that also has listeners with TLS, whose clients may do what ACLs allow. Clients of the plain listener are super
     * users, and create users and ACLs.
     *
     * @param certificates folder with {@code ca.pem} and {@code kafka.pem}, see {@code operations/tls/certificates.sh}
     * @param saslPort for clients with a password (SCRAM) or a token, which is not verified
     * @param tlsPort for clients with a certificate; its common name is the name of the user
     */
    public static LocalKafka startSecured(
            Path folder, int port, int controllerPort, Path certificates, int saslPort, int tlsPort) {
        Node only = alone(port, controllerPort);
        Properties properties = properties(folder, only, List.of(only));
        addListener(properties, "SASL", "SASL_SSL", saslPort, HOST + ":" + saslPort);
        addListener(properties, "TLS", "SSL", tlsPort, HOST + ":" + tlsPort);
        properties.put("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer");
        properties.put("allow.everyone.if.no.acl.found", "false");
        properties.put("super.users", "User:ANONYMOUS");
        properties.put("ssl.keystore.type", "PEM");
        properties.put(
                "ssl.keystore.location", certificates.resolve("kafka.pem").toString());
        properties.put("ssl.truststore.type", "PEM");
        properties.put("ssl.truststore.location", certificates.resolve("ca.pem").toString());
        properties.put("listener.name.tls.ssl.client.auth", "required");
        properties.put("listener.name.tls.ssl.principal.mapping.rules", "RULE:^CN=([^,]+).*$/$1/");
        properties.put("sasl.enabled.mechanisms", "SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER");
        for (String mechanism : List.of("scram-sha-256", "scram-sha-512")) {
            properties.put(
                    "listener.name.sasl." + mechanism + ".sasl.jaas.config",
                    ScramLoginModule.class.getName() + " required;");
        }
        properties.put(
                "listener.name.sasl.oauthbearer.sasl.jaas.config",
                OAuthBearerLoginModule.class.getName() + " required unsecuredLoginStringClaim_sub=\"broker\";");
        return start(folder, port, properties);
    }

    private static Node alone(int port, int controllerPort) {
        return new Node(1, HOST, port, controllerPort, port);
    }

    private static LocalKafka start(Path folder, int port, Properties properties) {
        format(folder, properties);
        KafkaRaftServer server = new KafkaRaftServer(KafkaConfig.fromProps(properties, false), Time.SYSTEM);
        server.startup();
        return new LocalKafka(port, server);
    }

    /** @param advertised the address in {@code advertised.listeners} */
    private static void addListener(Properties properties, String name, String protocol, int port, String advertised) {
        properties.merge("listeners", "," + name + "://" + HOST + ":" + port, LocalKafka::merged);
        properties.merge("advertised.listeners", "," + name + "://" + advertised, LocalKafka::merged);
        properties.merge("listener.security.protocol.map", "," + name + ":" + protocol, LocalKafka::merged);
    }

    public String bootstrapServers() {
        return HOST + ":" + port;
    }

    @Override
    public void close() {
        server.shutdown();
        server.awaitShutdown();
    }

    private static Object merged(Object one, Object other) {
        return one + "" + other;
    }

    private static Properties properties(Path folder, Node node, List<Node> cluster) {
        Properties properties = new Properties();
        properties.put("process.roles", "broker,controller");
        properties.put("node.id", "" + node.id);
        properties.put(
                "controller.quorum.voters",
                cluster.stream()
                        .map(one -> one.id + "@" + one.host + ":" + one.controllerPort)
                        .collect(Collectors.joining(",")));
        properties.put("listeners", "PLAINTEXT://" + HOST + ":" + node.port);
        properties.put("advertised.listeners", "PLAINTEXT://" + HOST + ":" + node.port);
        properties.put("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT");
        addListener(properties, "CONTROLLER", "PLAINTEXT", node.controllerPort, node.host + ":" + node.controllerPort);
        properties.put("controller.listener.names", "CONTROLLER");
        if (cluster.size() > 1) {
            addListener(properties, "BROKERS", "PLAINTEXT", node.brokersPort, node.host + ":" + node.brokersPort);
            properties.put("inter.broker.listener.name", "BROKERS");
        } else {
            properties.put("inter.broker.listener.name", "PLAINTEXT");
        }
        properties.put("log.dirs", folder.resolve("log").toAbsolutePath().toString());
        properties.put("auto.create.topics.enable", "false");
        String replicas = "" + Math.min(MAX_REPLICAS, cluster.size());
        String inSync = cluster.size() >= MAX_REPLICAS ? "2" : "1";
        for (String topic : new String[] {"offsets.topic", "transaction.state.log", "share.coordinator.state.topic"}) {
            properties.put(topic + ".replication.factor", replicas);
        }
        properties.put("default.replication.factor", replicas);
        properties.put("min.insync.replicas", inSync);
        properties.put("transaction.state.log.min.isr", inSync);
        properties.put("share.coordinator.state.topic.min.isr", inSync);
        // There are no other group members to wait for.
        properties.put("group.initial.rebalance.delay.ms", "0");
        // The defaults (50 partitions each, 128 MiB of cleaner buffer) are sized for clusters.
        properties.put("offsets.topic.num.partitions", "5");
        properties.put("transaction.state.log.num.partitions", "5");
        properties.put("share.coordinator.state.topic.num.partitions", "5");
        properties.put("log.cleaner.dedupe.buffer.size", String.valueOf(8 * 1024 * 1024));
        return properties;
    }

    private static void format(Path folder, Properties properties) {
        try {
            Files.createDirectories(folder);
            Path file = folder.resolve("server.properties");
            try (Writer writer = Files.newBufferedWriter(file)) {
                properties.store(writer, null);
            }
            ByteArrayOutputStream output = new ByteArrayOutputStream();
            int code = StorageTool.execute(
                    new String[] {
                        "format", "--ignore-formatted", "--cluster-id", CLUSTER_ID, "--config", file.toString()
                    },
                    new PrintStream(output, true, StandardCharsets.UTF_8));
            if (code != 0) {
                throw new IllegalStateException(
                        "Cannot format Kafka folder " + folder + ": " + output.toString(StandardCharsets.UTF_8));
            }
        } catch (IOException e) {
            throw new UncheckedIOException("Cannot write to Kafka folder " + folder, e);
        }
    }
}
