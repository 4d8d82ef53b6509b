package io.aitbc.resilience;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Json;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** Runs several agents that claim their assignments over HTTP in one process. They share a ledger. */
final class PullAgentsProcess {
    private static final int CLAIM_SECONDS = 5;
    private static final Duration TIMEOUT = Duration.ofSeconds(CLAIM_SECONDS + 5);
    private static final HttpClient HTTP =
            HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(2)).build();

    private final List<String> coordinators;
    private final Ledger ledger;
    private final String agentId;
    private final int capacity;
    private final String instanceId = UUID.randomUUID().toString();
    private final ExecutorService handlers = Executors.newCachedThreadPool();
    /** Which coordinator is called: the next one, after each failure. */
    private final AtomicInteger calls;

    private final Set<String> seen = ConcurrentHashMap.newKeySet();
    private final Set<String> held = ConcurrentHashMap.newKeySet();

    private PullAgentsProcess(List<String> coordinators, Ledger ledger, String agentId, int capacity, int first) {
        this.coordinators = coordinators;
        this.ledger = ledger;
        this.agentId = agentId;
        this.capacity = capacity;
        this.calls = new AtomicInteger(first);
    }

    /**
     * Runs until the process is terminated.
     *
     * @param args URLs of coordinators, comma-separated; ledger file, agent id prefix, number of agents, capacity of each agent
     */
    public static void main(String[] args) throws InterruptedException {
        List<String> coordinators = List.of(args[0].split(","));
        Ledger ledger = new Ledger(Path.of(args[1]));
        for (int i = 0; i < Integer.parseInt(args[3]); i++) {
            PullAgentsProcess agent =
                    new PullAgentsProcess(coordinators, ledger, args[2] + "-" + i, Integer.parseInt(args[4]), i);
            new Thread(agent::run, "claims-" + agent.agentId).start();
        }
        new CountDownLatch(1).await();
    }

    private record Answer(int status, JsonNode body) {}

    private void run() {
        boolean isRegistered = false;
        while (true) {
            try {
                isRegistered = isRegistered || register();
                isRegistered &= claim();
            } catch (IOException e) {
                calls.incrementAndGet();
                pause();
            } catch (InterruptedException e) {
                return;
            }
        }
    }

    private boolean register() throws IOException, InterruptedException {
        ObjectNode registration = Json.object()
                .put("agent_id", agentId)
                .put("agent_type", "worker")
                .put("capacity", capacity)
                .put("delivery", "pull");
        registration.putObject("resources").put(ProducerProcess.RESOURCE, ProducerProcess.PER_AGENT);
        return call("/agents/register", registration).status() == 200;
    }

    /** Returns false if the agent is unknown. */
    private boolean claim() throws IOException, InterruptedException {
        ObjectNode claim = Json.object()
                .put("max", capacity)
                .put("wait_seconds", CLAIM_SECONDS)
                .put("instance_id", instanceId);
        claim.set("received", Json.tree(new ArrayList<>(held)));
        Answer answer = call("/agents/" + agentId + "/assignments/claim", claim);
        if (answer.status() != 200) {
            calls.incrementAndGet();
            pause();
            return answer.status() != 404;
        }
        for (JsonNode json : answer.body().path("assignments")) {
            Assignment assignment = Json.read(json, Assignment.class);
            if (seen.add(assignment.assignmentId() + " " + assignment.assignedAt())) {
                held.add(assignment.assignmentId());
                handlers.execute(() -> work(assignment));
            }
        }
        return true;
    }

    private void work(Assignment assignment) {
        ObjectNode report = Json.object().put("attempt", assignment.attempt()).put("agent_id", agentId);
        try {
            JsonNode result = AgentsProcess.work(assignment, AgentsProcess.Kind.USUAL, ledger);
            report.put("status", "completed").set("result", result);
        } catch (IllegalStateException e) {
            report.put("status", "failed").put("error", e.getMessage());
        } catch (InterruptedException e) {
            return;
        }
        while (!isReported(assignment, report)) {
            pause();
        }
        held.remove(assignment.assignmentId());
    }

    /** Also if the report has no effect, because the attempt is over. */
    private boolean isReported(Assignment assignment, ObjectNode report) {
        try {
            int status =
                    call("/tasks/" + assignment.taskId() + "/results", report).status();
            return status == 202 || status == 404 || status == 409;
        } catch (IOException e) {
            calls.incrementAndGet();
            return false;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return true;
        }
    }

    private Answer call(String path, ObjectNode body) throws IOException, InterruptedException {
        String url = coordinators.get(Math.floorMod(calls.get(), coordinators.size()));
        HttpResponse<byte[]> response = HTTP.send(
                HttpRequest.newBuilder(URI.create(url + path))
                        .timeout(TIMEOUT)
                        .header("Content-Type", "application/json")
                        .header("X-API-Key", Cluster.API_KEY)
                        .POST(HttpRequest.BodyPublishers.ofByteArray(Json.bytes(body)))
                        .build(),
                HttpResponse.BodyHandlers.ofByteArray());
        JsonNode json = response.statusCode() == 200 ? Json.MAPPER.readTree(response.body()) : Json.object();
        if (response.statusCode() >= 500) {
            throw new IOException(url + " responds with status " + response.statusCode());
        }
        return new Answer(response.statusCode(), json);
    }

    private static void pause() {
        try {
            TimeUnit.MILLISECONDS.sleep(200);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
