package io.aitbc.resilience;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Registration;
import io.aitbc.contracts.Resources;
import io.aitbc.worker.AgentWorker;
import java.math.BigDecimal;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ThreadLocalRandom;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/** Runs several agents in one process. They share a ledger, in which each entry names its agent. */
final class AgentsProcess {
    private static final Duration HEARTBEAT = Duration.ofSeconds(1);

    private AgentsProcess() {}

    /** Agent behaviour. */
    enum Kind {
        /** Executes its tasks. */
        USUAL,
        /** Accepts tasks and never reports a result. */
        MUTE,
        /** Has a clock that is off by up to three days, in either direction, differently on each reading. */
        CONFUSED
    }

    /**
     * Runs until the process is terminated.
     *
     * @param args bootstrap servers, ledger file, agent id prefix, number of agents, capacity of each agent, {@link Kind}
     */
    public static void main(String[] args) throws InterruptedException {
        String kafka = args[0];
        Ledger ledger = new Ledger(Path.of(args[1]));
        int capacity = Integer.parseInt(args[4]);
        Kind kind = Kind.valueOf(args[5]);
        List<AgentWorker> agents = IntStream.range(0, Integer.parseInt(args[3]))
                .mapToObj(i -> Registration.of(args[2] + "-" + i, "worker", List.of(), capacity)
                        .withResources(Resources.of(
                                Map.of(ProducerProcess.RESOURCE, BigDecimal.valueOf(ProducerProcess.PER_AGENT)))))
                .map(registration -> AgentWorker.builder(
                                kafka, registration, (assignment, context) -> work(assignment, kind, ledger))
                        .heartbeatInterval(HEARTBEAT)
                        .apiKey(Cluster.API_KEY)
                        .clock(kind == Kind.CONFUSED ? new JumpingClock() : Clock.systemUTC())
                        .start())
                .toList();
        Runtime.getRuntime()
                .addShutdownHook(
                        new Thread(() -> agents.parallelStream().forEach(AgentWorker::close), "closing-agents"));
        new CountDownLatch(1).await();
    }

    static @Nullable JsonNode work(Assignment assignment, Kind kind, Ledger ledger) throws InterruptedException {
        ledger.write(Ledger.EventType.STARTED, assignment.taskId(), assignment.attempt(), assignment.agentId());
        if (kind == Kind.MUTE) {
            new CountDownLatch(1).await();
        }
        Thread.sleep(assignment.taskData().path("work_ms").asInt(0));
        if (assignment.attempt() <= assignment.taskData().path("fails").asInt(0)) {
            throw new IllegalStateException("injected failure");
        }
        ledger.write(Ledger.EventType.FINISHED, assignment.taskId(), assignment.attempt(), assignment.agentId());
        return Json.object().put("done", true);
    }

    private static final class JumpingClock extends Clock {
        @Override
        public Instant instant() {
            return Instant.now()
                    .plusSeconds(ThreadLocalRandom.current()
                            .nextLong(
                                    -Duration.ofDays(3).toSeconds(),
                                    Duration.ofDays(3).toSeconds()));
        }

        @Override
        public ZoneId getZone() {
            return ZoneOffset.UTC;
        }

        @Override
        public Clock withZone(ZoneId zone) {
            return this;
        }
    }
}
