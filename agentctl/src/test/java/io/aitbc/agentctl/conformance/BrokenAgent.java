package io.aitbc.agentctl.conformance;

import io.aitbc.contracts.Json;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** An agent with one fault, named by its argument. It sleeps for {@code task_data.seconds}. */
final class BrokenAgent {
    enum Fault {
        NONE,
        /** It gives back what it has no slot for, which is no fault. */
        REJECTS_EXCESS,
        /** It claims no more than it runs, which is no fault. */
        CLAIMS_ONE_AT_A_TIME,
        /** It answers a repeated assignment with its report, which is no fault. It does not say when it ran. */
        REPEATS_ITS_REPORT,
        RUNS_TOO_MANY,
        RUNS_AGAIN,
        /** It does not say when. */
        RUNS_AGAIN_UNTIL_REPORTED,
        /** It runs what is served to it again for that reason. */
        NEVER_CONFIRMS,
        REPORTS_NO_AGENT,
        REPORTS_ANOTHER_AGENT,
        REPORTS_NO_ATTEMPT,
        IGNORES_CANCELLATIONS,
        SILENT_WHILE_BUSY,
        SENDS_HEARTBEATS_TO_A_WRONG_PATH,
        FAILS_UNKNOWN_FIELDS,
        DIES_OF_A_BAD_ASSIGNMENT,
        SILENT_ABOUT_A_BAD_ASSIGNMENT,
        COMMITS_FIRST,
        NEVER_COMMITS,
        DROPS_THE_SIGNATURE,
        LOSES_WORK,
        DOES_NOT_DEREGISTER,
        LEAVES_AT_A_WRONG_PATH
    }

    private static final int CAPACITY = 2;
    private static final Set<String> KNOWN = Set.of(
            "assignment_id",
            "task_id",
            "attempt",
            "agent_id",
            "priority",
            "task_data",
            "requirements",
            "max_attempts",
            "timeout_seconds",
            "expires_at",
            "submitted_at",
            "assigned_at",
            "deadline");

    private final String id = System.getenv("AGENT_ID");
    private final Fault fault;
    private final HttpClient client = HttpClient.newHttpClient();
    private final ExecutorService threads = Executors.newCachedThreadPool();
    private final Semaphore slots;
    private final Set<String> seen = ConcurrentHashMap.newKeySet();
    private final Map<String, Thread> running = new ConcurrentHashMap<>();
    private final Map<String, JsonNode> held = new ConcurrentHashMap<>();
    private final Map<String, CompletableFuture<ObjectNode>> reports = new ConcurrentHashMap<>();
    private volatile boolean stopping;

    private BrokenAgent(Fault fault) {
        this.fault = fault;
        this.slots = new Semaphore(fault == Fault.RUNS_TOO_MANY ? 1_000 : CAPACITY);
    }

    public static void main(String[] args) throws Exception {
        Fault fault = Fault.valueOf(args[0]);
        BrokenAgent agent = new BrokenAgent(fault);
        if (System.getenv("KAFKA") != null) {
            agent.runOverKafka();
        } else {
            Runtime.getRuntime().addShutdownHook(new Thread(agent::stop));
            agent.run();
        }
    }

    private void run() throws InterruptedException {
        call(
                "POST",
                "/agents/register",
                Json.object()
                        .put("agent_id", id)
                        .put("agent_type", "worker")
                        .put("capacity", CAPACITY)
                        .put("delivery", "pull"));
        while (!stopping) {
            if (!held.isEmpty() && fault == Fault.SILENT_WHILE_BUSY) {
                TimeUnit.MILLISECONDS.sleep(20);
                continue;
            } else if (!held.isEmpty() && fault == Fault.CLAIMS_ONE_AT_A_TIME) {
                call("POST", "/agents/" + id + "/heartbeat", Json.object());
                TimeUnit.MILLISECONDS.sleep(20);
                continue;
            } else if (!held.isEmpty() && fault == Fault.SENDS_HEARTBEATS_TO_A_WRONG_PATH) {
                call("POST", "/agent/" + id + "/heartbeat", Json.object());
                TimeUnit.MILLISECONDS.sleep(20);
                continue;
            }
            ObjectNode claim = Json.object()
                    .put("max", fault == Fault.CLAIMS_ONE_AT_A_TIME ? 1 : 10)
                    .put("wait_seconds", 20);
            if (fault == Fault.NEVER_CONFIRMS) {
                TimeUnit.MILLISECONDS.sleep(300);
            } else {
                claim.set("received", Json.tree(held.keySet()));
            }
            JsonNode answer = call("POST", "/agents/" + id + "/assignments/claim", claim);
            if (fault != Fault.IGNORES_CANCELLATIONS) {
                answer.path("cancelled").forEach(one -> {
                    held.remove(one.asString());
                    Thread thread = running.get(one.asString());
                    if (thread != null) {
                        thread.interrupt();
                    }
                });
            }
            answer.path("assignments").forEach(this::take);
        }
    }

    private void take(JsonNode assignment) {
        String assignmentId = assignment.get("assignment_id").asString();
        CompletableFuture<ObjectNode> report = reports.computeIfAbsent(assignmentId, key -> new CompletableFuture<>());
        if (seen.add(assignmentId)
                || fault == Fault.RUNS_AGAIN
                || fault == Fault.NEVER_CONFIRMS
                || fault == Fault.RUNS_AGAIN_UNTIL_REPORTED && !report.isDone()) {
            held.put(assignmentId, assignment);
            threads.execute(() -> work(assignmentId, assignment));
        } else if (fault == Fault.REPEATS_ITS_REPORT || fault == Fault.RUNS_AGAIN_UNTIL_REPORTED) {
            report.thenAcceptAsync(body -> send(assignment, body), threads);
        }
    }

    private void work(String assignmentId, JsonNode assignment) {
        slots.acquireUninterruptibly();
        String startedAt = Instant.now().toString();
        String error = null;
        try {
            running.put(assignmentId, Thread.currentThread());
            JsonNode seconds = assignment.at("/task_data/seconds");
            if (!seconds.isNumber()) {
                if (fault == Fault.DIES_OF_A_BAD_ASSIGNMENT) {
                    Runtime.getRuntime().halt(1);
                } else if (fault == Fault.SILENT_ABOUT_A_BAD_ASSIGNMENT) {
                    return;
                }
                error = "no seconds";
            } else if (fault == Fault.FAILS_UNKNOWN_FIELDS && !KNOWN.containsAll(assignment.propertyNames())) {
                error = "unknown field";
            } else {
                TimeUnit.MILLISECONDS.sleep((long) (seconds.asDouble() * 1_000));
            }
        } catch (InterruptedException e) {
            return;
        } finally {
            running.remove(assignmentId);
            slots.release();
        }
        if (held.remove(assignmentId) != null
                || fault == Fault.NEVER_CONFIRMS
                || fault == Fault.RUNS_AGAIN_UNTIL_REPORTED) {
            report(assignment, error == null ? "completed" : "failed", error, startedAt);
        }
    }

    private void report(JsonNode assignment, String status, String error, String startedAt) {
        ObjectNode report = Json.object()
                .put("attempt", assignment.get("attempt").asInt())
                .put("agent_id", fault == Fault.REPORTS_ANOTHER_AGENT ? "another" : id)
                .put("status", status)
                .put("started_at", startedAt);
        if (fault == Fault.REPORTS_NO_AGENT) {
            report.remove("agent_id");
        } else if (fault == Fault.REPORTS_NO_ATTEMPT) {
            report.remove("attempt");
        }
        if (fault == Fault.REPEATS_ITS_REPORT || fault == Fault.RUNS_AGAIN_UNTIL_REPORTED) {
            report.remove("started_at");
        }
        if (error != null) {
            report.put("error", error);
        }
        send(assignment, report);
        Objects.requireNonNull(reports.get(assignment.get("assignment_id").asString()))
                .complete(report);
    }

    private void send(JsonNode assignment, ObjectNode report) {
        call("POST", "/tasks/" + assignment.get("task_id").asString() + "/results", report);
    }

    private void stop() {
        stopping = true;
        if (fault != Fault.LOSES_WORK) {
            held.values()
                    .forEach(one ->
                            report(one, "rejected", "stopping", Instant.now().toString()));
        }
        held.clear();
        if (fault == Fault.LEAVES_AT_A_WRONG_PATH) {
            call("POST", "/agents/" + id + "/leave", Json.object().put("status", "inactive"));
        } else if (fault != Fault.DOES_NOT_DEREGISTER) {
            call("DELETE", "/agents/" + id, Json.object());
        }
    }

    private JsonNode call(String method, String path, ObjectNode body) {
        try {
            HttpRequest request = HttpRequest.newBuilder(URI.create(System.getenv("COORDINATOR_URL") + path))
                    .header("Content-Type", "application/json")
                    .method(method, HttpRequest.BodyPublishers.ofString(body.toString()))
                    .build();
            return Json.MAPPER.readTree(
                    client.send(request, HttpResponse.BodyHandlers.ofString()).body());
        } catch (IOException e) {
            return Json.object();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return Json.object();
        }
    }

    private void runOverKafka() throws InterruptedException {
        String prefix = System.getenv("AITBC_TOPICS_PREFIX");
        Map<String, Object> servers = Map.of("bootstrap.servers", System.getenv("KAFKA"));
        Map<String, Object> config = Map.of(
                "bootstrap.servers",
                System.getenv("KAFKA"),
                "group.id",
                prefix + "agent." + id,
                "auto.offset.reset",
                "earliest",
                "enable.auto.commit",
                false);
        try (KafkaProducer<String, String> producer =
                        new KafkaProducer<>(servers, new StringSerializer(), new StringSerializer());
                KafkaConsumer<String, String> consumer =
                        new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(List.of(prefix + "assignments." + id));
            while (true) {
                ObjectNode heartbeat = Json.object().put("agent_id", id);
                heartbeat
                        .putObject("registration")
                        .put("agent_id", id)
                        .put("agent_type", "worker")
                        .put("capacity", CAPACITY);
                producer.send(new ProducerRecord<>(prefix + "agents.heartbeat", id, heartbeat.toString()));
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(100))) {
                    if (fault == Fault.COMMITS_FIRST) {
                        consumer.commitSync();
                    }
                    JsonNode assignment = Json.MAPPER.readTree(record.value());
                    if (fault == Fault.RUNS_TOO_MANY || fault == Fault.REJECTS_EXCESS) {
                        threads.execute(() -> workOverKafka(producer, assignment));
                    } else {
                        workOverKafka(producer, assignment);
                    }
                }
            }
        }
    }

    private void workOverKafka(KafkaProducer<String, String> producer, JsonNode assignment) {
        boolean hasSlot = slots.tryAcquire();
        if (hasSlot) {
            LockSupport.parkNanos((long) (assignment.at("/task_data/seconds").asDouble() * 1e9));
            slots.release();
        }
        ObjectNode report = Json.object()
                .put("task_id", assignment.get("task_id").asString())
                .put("attempt", assignment.get("attempt").asInt())
                .put("agent_id", id)
                .put("status", hasSlot ? "completed" : "rejected");
        if (assignment.has("signature") && fault != Fault.DROPS_THE_SIGNATURE) {
            report.set("signature", assignment.get("signature"));
        }
        producer.send(new ProducerRecord<>(
                System.getenv("AITBC_TOPICS_PREFIX") + "tasks.results",
                assignment.get("task_id").asString(),
                report.toString()));
    }
}
