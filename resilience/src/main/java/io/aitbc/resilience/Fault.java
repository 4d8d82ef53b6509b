package io.aitbc.resilience;

import static io.aitbc.resilience.Pauses.pause;

import io.aitbc.localstack.LocalSentinel;
import io.aitbc.localstack.ManagedProcess;
import io.aitbc.resilience.Cluster.Coordinator;
import io.lettuce.core.RedisClient;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import org.netcrusher.tcp.TcpCrusher;

/** A fault to inject into a cluster. Each fault leaves the cluster intact. */
enum Fault {
    NONE("none") {
        @Override
        void inject(Run run, Random random) {
            pause(random, 5, 6);
        }
    },
    COORDINATOR_KILLED("coordinator killed (SIGKILL), restarted later") {
        @Override
        void inject(Run run, Random random) {
            ManagedProcess process = any(run.cluster().coordinators(), random).process();
            run.during("kill -9 " + process.name(), () -> {
                process.kill();
                pause(random, 1, 12);
            });
            process.start();
        }
    },
    COORDINATOR_PAUSED("coordinator paused (SIGSTOP) for 4 to 25 s") {
        @Override
        void inject(Run run, Random random) {
            ManagedProcess process = any(run.cluster().coordinators(), random).process();
            run.during("pause " + process.name(), () -> {
                process.pause();
                pause(random, 4, 25);
                process.resume();
            });
        }
    },
    ROLLING_RESTART("rolling restart of all coordinators") {
        @Override
        void inject(Run run, Random random) {
            for (Coordinator coordinator : run.cluster().coordinators()) {
                run.during("restart " + coordinator.process().name(), () -> {
                    coordinator.process().terminate();
                    coordinator.process().start();
                    coordinator.running().awaitHealthy();
                });
                pause(random, 1, 3);
            }
        }
    },
    UPGRADE("rolling upgrade of all coordinators from the previous release, and back") {
        @Override
        void prepare(Run run) {
            run.checkPrevious();
        }

        @Override
        void inject(Run run, Random random) {
            run.upgradeAndDowngrade(random);
        }
    },
    AGENTS_KILLED("half of the agents killed, restarted later") {
        @Override
        void inject(Run run, Random random) {
            ManagedProcess process = any(run.agents(), random);
            run.during("kill -9 " + process.name(), () -> {
                process.kill();
                pause(random, 1, 14);
            });
            process.start();
        }
    },
    AGENTS_PAUSED("half of the agents paused until their tasks are requeued, then resumed") {
        @Override
        void inject(Run run, Random random) {
            ManagedProcess process = any(run.agents(), random);
            run.during("pause " + process.name(), () -> {
                process.pause();
                pause(random, 10, 14);
                process.resume();
            });
        }
    },
    AGENT_MUTE("an agent takes tasks and never reports") {
        @Override
        void inject(Run run, Random random) {
            ManagedProcess mute =
                    run.cluster().agents("mute-" + random.nextInt(1_000_000), 1, 8, AgentsProcess.Kind.MUTE);
            run.during("mute agent", () -> pause(random, 10, 15));
            mute.kill();
        }
    },
    AGENT_CLOCK_JUMPS("clocks of some agents jump by days") {
        @Override
        void inject(Run run, Random random) {
            ManagedProcess confused =
                    run.cluster().agents("confused-" + random.nextInt(1_000_000), 3, 4, AgentsProcess.Kind.CONFUSED);
            run.during("jumping clocks", () -> pause(random, 10, 15));
            confused.terminate();
        }
    },
    BROKER_KILLED("broker killed, restarted later") {
        @Override
        void inject(Run run, Random random) {
            ManagedProcess broker = any(run.cluster().brokers(), random);
            run.during("kill -9 " + broker.name(), () -> {
                broker.kill();
                pause(random, 0, 4);
                broker.start();
                run.awaitBrokers();
            });
        }
    },
    REPLICA_KILLED("one of three brokers killed under load, and restarted when its partitions have new leaders", 3) {
        @Override
        void inject(Run run, Random random) {
            ManagedProcess broker = any(run.cluster().brokers(), random);
            run.during("kill -9 " + broker.name(), () -> {
                broker.kill();
                pause(random, 12, 20);
            });
            broker.start();
            run.awaitBrokers();
        }
    },
    MOST_REPLICAS_KILLED("two of three brokers killed, restarted later", 3) {
        @Override
        void inject(Run run, Random random) {
            List<ManagedProcess> killed = new ArrayList<>(run.cluster().brokers());
            killed.remove(random.nextInt(killed.size()));
            run.during("kill -9 two brokers", () -> {
                killed.forEach(ManagedProcess::kill);
                pause(random, 5, 12);
                killed.forEach(ManagedProcess::start);
                run.awaitBrokers();
            });
        }
    },
    REPLICA_PAUSED("one of three brokers unresponsive (SIGSTOP) for 10 to 20 s", 3) {
        @Override
        void inject(Run run, Random random) {
            ManagedProcess broker = any(run.cluster().brokers(), random);
            run.during("pause " + broker.name(), () -> {
                broker.pause();
                pause(random, 10, 20);
                broker.resume();
            });
        }
    },
    CONTROLLER_KILLED("the active one of three controllers killed, restarted later", 3) {
        @Override
        void inject(Run run, Random random) {
            ManagedProcess broker = run.cluster().activeController();
            run.during("kill -9 " + broker.name() + ", the active controller", () -> {
                broker.kill();
                pause(random, 5, 15);
            });
            broker.start();
            run.awaitBrokers();
        }
    },
    REPLICA_PARTITIONED("one of three brokers partitioned from the others: refused, or no answer", 3) {
        @Override
        void prepare(Run run) {
            run.linkBrokers();
        }

        @Override
        void inject(Run run, Random random) {
            ManagedProcess broker = any(run.cluster().brokers(), random);
            disconnect(run, run.cluster().links(broker), broker.name() + " from the others", random, 12, 20);
        }
    },
    REPLICA_POWER_CUT("one of three brokers killed, and what it wrote last is lost, as in a power cut", 3) {
        @Override
        void inject(Run run, Random random) {
            ManagedProcess broker = any(run.cluster().brokers(), random);
            run.during("power cut of " + broker.name(), () -> {
                broker.kill();
                run.cutLogs(broker, random);
                pause(random, 0, 15);
            });
            broker.start();
            run.awaitBrokers();
        }
    },
    REPLICAS_RESTARTED("rolling restart of three brokers", 3) {
        @Override
        void inject(Run run, Random random) {
            for (ManagedProcess broker : run.cluster().brokers()) {
                run.during("restart " + broker.name(), () -> {
                    broker.terminate();
                    broker.start();
                    run.awaitBrokers();
                });
                pause(random, 5, 8);
            }
        }
    },
    BROKER_DISK_FULL("disk of the broker full, until space is freed") {
        @Override
        void prepare(Run run) {
            run.limitDisk();
        }

        @Override
        void inject(Run run, Random random) {
            run.during("disk full", () -> {
                run.fillDisk();
                pause(random, 3, 6);
                run.freeDisk();
                ManagedProcess broker = run.cluster().brokers().get(0);
                if (!broker.isAlive()) {
                    broker.start();
                }
                run.awaitBrokers();
            });
        }
    },
    REDIS_KILLED("Redis killed, restarted with its file") {
        @Override
        void inject(Run run, Random random) {
            ManagedProcess redis = run.cluster().redis();
            run.during("kill -9 redis", () -> {
                redis.kill();
                pause(random, 0, 6);
                redis.start();
            });
        }
    },
    REDIS_POWER_CUT("Redis killed, and the last 1 to 3 s of its append-only file are lost, as in a power cut") {
        @Override
        void inject(Run run, Random random) {
            ManagedProcess redis = run.cluster().redis();
            run.during("power cut of redis", () -> {
                Path file = run.appendOnlyFile();
                long size = file.toFile().length();
                pause(random, 1, 3);
                redis.kill();
                // Not at the end of a command.
                Run.cut(file, size - 1 - random.nextInt(20));
                redis.start();
            });
            pause(random, 5, 8);
        }
    },
    REDIS_EMPTIED("FLUSHALL") {
        @Override
        boolean forgetsCounts() {
            return true;
        }

        @Override
        void inject(Run run, Random random) {
            run.during("FLUSHALL", () -> {
                try (RedisClient client = RedisClient.create(run.cluster().redisUrl())) {
                    client.connect().sync().flushall();
                }
            });
            pause(random, 5, 8);
        }
    },
    REDIS_PAUSED("Redis unresponsive for 10 s") {
        @Override
        void inject(Run run, Random random) {
            ManagedProcess redis = run.cluster().redis();
            run.during("pause redis", () -> {
                redis.pause();
                pause(random, 10, 10);
                redis.resume();
            });
        }
    },
    REDIS_UNREACHABLE("coordinator partitioned from Redis: refused, or no answer") {
        @Override
        void inject(Run run, Random random) {
            Coordinator coordinator = any(run.cluster().coordinators(), random);
            disconnect(
                    run, List.of(coordinator.toRedis()), coordinator.process().name() + " from redis", random, 3, 14);
        }
    },
    BROKER_UNREACHABLE("coordinator partitioned from the broker: refused, or no answer") {
        @Override
        void inject(Run run, Random random) {
            Coordinator coordinator = any(run.cluster().coordinators(), random);
            disconnect(run, coordinator.toKafka(), coordinator.process().name() + " from Kafka", random, 3, 14);
        }
    },
    AGENTS_UNREACHABLE("half of the agents pull, and are partitioned from a coordinator: refused, or no answer") {
        @Override
        void prepare(Run run) {
            run.usePullAgents();
        }

        @Override
        void inject(Run run, Random random) {
            Coordinator coordinator = any(run.cluster().coordinators(), random);
            disconnect(
                    run,
                    List.of(coordinator.fromAgents()),
                    "agents from " + coordinator.process().name(),
                    random,
                    3,
                    14);
        }
    },
    REDIS_REPLACED("Redis with two replicas: primary killed, replaced by a replica, restarted later", 1, true) {
        @Override
        void inject(Run run, Random random) {
            ManagedProcess primary = run.primary().process();
            run.during("kill -9 " + primary.name(), () -> {
                primary.kill();
                pause(random, 5, 15);
            });
            primary.start();
        }
    },
    REDIS_REPLACED_LATE("the same, and the replica lacks the last 1 to 3 s of writes", 1, true) {
        @Override
        void inject(Run run, Random random) {
            LocalSentinel.Server primary = run.primary();
            run.during("kill -9 " + primary.process().name() + ", ahead of its replicas", () -> {
                run.detachReplicas(primary);
                pause(random, 1, 3);
                primary.process().kill();
                pause(random, 5, 15);
            });
            primary.process().start();
        }
    },
    REDIS_SPLIT("primary paused until a replica has replaced it, then resumed: two primaries", 1, true) {
        @Override
        void inject(Run run, Random random) {
            ManagedProcess primary = run.primary().process();
            run.during("pause " + primary.name(), () -> {
                primary.pause();
                pause(random, 4, 20);
                primary.resume();
            });
            pause(random, 5, 10);
        }
    },
    REDIS_REFUSES_WRITES("Redis refuses every write (`maxmemory`)") {
        @Override
        void inject(Run run, Random random) {
            run.during("redis full", () -> {
                try (RedisClient client = RedisClient.create(run.cluster().redisUrl())) {
                    var redis = client.connect().sync();
                    redis.configSet("maxmemory", "1");
                    pause(random, 5, 12);
                    redis.configSet("maxmemory", "0");
                }
            });
        }
    },
    REDIS_SPOILT("keys of tasks and agents overwritten with other types") {
        @Override
        void inject(Run run, Random random) {
            run.during("corrupted keys", () -> Intruder.corruptKeys(run.cluster(), random));
        }
    },
    TRANSACTION_HANGS("a client keeps a transaction open on results, heartbeats and a queue for 15 to 25 s") {
        @Override
        void inject(Run run, Random random) {
            run.during("open transaction", () -> Intruder.hangInTransaction(run.cluster(), random));
        }
    },
    TRANSACTIONS_END("producers commit and abort transactions") {
        @Override
        void inject(Run run, Random random) {
            run.during("transactions", () -> Intruder.submitInTransactions(run.cluster(), random));
        }
    },
    HALF_REQUESTS("500 connections send half a request") {
        @Override
        void inject(Run run, Random random) {
            Coordinator coordinator = any(run.cluster().coordinators(), random);
            run.during(
                    "incomplete requests to " + coordinator.process().name(),
                    () -> Intruder.sendIncompleteRequests(run.cluster(), coordinator, random)
                            .ifPresent(run::recordProblem));
        }
    },
    COMMANDS_RACE("ten callers send each command at once to all coordinators") {
        @Override
        void inject(Run run, Random random) {
            run.during("racing commands", () -> Intruder.raceCommands(run.cluster(), random));
        }
    },
    POISON("thousands of malformed records") {
        @Override
        void inject(Run run, Random random) {
            run.during("poison", () -> run.publishGarbage(3_000, random));
        }
    },
    FLOOD("ten times the capacity of the agents for a minute, then more agents") {
        @Override
        void prepare(Run run) {
            run.useSmallAgents();
        }

        @Override
        void inject(Run run, Random random) {
            ManagedProcess flood =
                    run.cluster().producer("flood-" + random.nextInt(1_000_000), 1_100, random.nextLong());
            run.during("flood", () -> pause(random, 60, 60));
            flood.terminate();
            run.cluster().agents("more-" + random.nextInt(1_000_000), 10, 60, AgentsProcess.Kind.USUAL);
        }
    };

    private final String description;
    private final int brokers;
    private final boolean needsReplicas;

    Fault(String description) {
        this(description, 1);
    }

    Fault(String description, int brokers) {
        this(description, brokers, false);
    }

    /**
     * @param brokers the least number that it makes sense with
     * @param needsReplicas whether it needs a Redis with replicas, which Sentinels replace
     */
    Fault(String description, int brokers, boolean needsReplicas) {
        this.description = description;
        this.brokers = brokers;
        this.needsReplicas = needsReplicas;
    }

    boolean needsReplicas() {
        return needsReplicas;
    }

    int brokers() {
        return brokers;
    }

    /** Whether it is possible on a cluster with one Redis, and no other release. */
    boolean hasUsualCluster() {
        return this != UPGRADE && !needsReplicas;
    }

    String description() {
        return description;
    }

    String wireName() {
        return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    /** Prepares a run before its cluster is started. */
    void prepare(Run run) {}

    abstract void inject(Run run, Random random);

    /** Returns whether the fault discards counters and the states of ended tasks, which is documented behaviour. */
    boolean forgetsCounts() {
        return false;
    }

    private static <T> T any(List<T> all, Random random) {
        return all.get(random.nextInt(all.size()));
    }

    /** @param least in seconds, like {@code most} */
    private static void disconnect(Run run, List<TcpCrusher> ways, String what, Random random, int least, int most) {
        if (random.nextBoolean()) {
            run.during("disconnect " + what, () -> {
                ways.forEach(TcpCrusher::close);
                pause(random, least, most);
                ways.forEach(TcpCrusher::open);
            });
        } else {
            run.during("no answer to " + what, () -> {
                ways.forEach(TcpCrusher::freeze);
                pause(random, least, most);
                ways.forEach(TcpCrusher::unfreeze);
            });
        }
    }
}
