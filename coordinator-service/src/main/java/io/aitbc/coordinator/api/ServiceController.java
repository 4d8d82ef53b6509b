package io.aitbc.coordinator.api;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import io.aitbc.coordinator.Coordinator;
import io.aitbc.coordinator.SettingsCheck;
import io.aitbc.coordinator.background.Problem;
import io.aitbc.coordinator.dispatch.ClusterControl;
import io.aitbc.coordinator.dispatch.Dispatcher;
import io.aitbc.coordinator.dispatch.LaneStats;
import io.aitbc.coordinator.history.HistoryLoop;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.kafka.SharedTopics;
import io.aitbc.coordinator.queue.OpenTransactions;
import io.aitbc.coordinator.redis.Keys;
import io.aitbc.coordinator.redis.Redis;
import io.aitbc.coordinator.security.AccessRules;
import io.lettuce.core.RedisException;
import io.swagger.v3.oas.annotations.Operation;
import io.swagger.v3.oas.annotations.responses.ApiResponse;
import io.swagger.v3.oas.annotations.tags.Tag;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Instant;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.DescribeClusterOptions;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.SaslAuthenticationException;
import org.jspecify.annotations.Nullable;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.beans.factory.annotation.Qualifier;
import org.springframework.boot.info.BuildProperties;
import org.springframework.core.NestedExceptionUtils;
import org.springframework.core.io.ClassPathResource;
import org.springframework.http.HttpStatus;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.servlet.mvc.method.annotation.RequestMappingHandlerMapping;

@RestController
@Tag(name = "service", description = "Health, metrics and endpoints of this coordinator")
class ServiceController {
    private static final String NAME = "agent-coordinator";
    private static final String DESCRIPTION = "Dispatches tasks to agents by priority, requirements and load";
    private static final int WAIT_MS = 2_000;

    private final Admin kafka;
    private final Redis redis;
    private final Coordinator coordinator;
    private final SettingsCheck settingsCheck;
    private final SharedTopics topics;
    private final ClusterControl control;
    private final Dispatcher dispatcher;
    private final OpenTransactions transactions;
    private final HistoryLoop history;
    private final String version;
    private final @Nullable String traceUrl;
    private final ObjectProvider<RequestMappingHandlerMapping> mappings;
    private final Clock clock;

    ServiceController(
            Admin kafka,
            Redis redis,
            Coordinator coordinator,
            SettingsCheck settingsCheck,
            SharedTopics topics,
            ClusterControl control,
            Dispatcher dispatcher,
            OpenTransactions transactions,
            HistoryLoop history,
            ApiSettings settings,
            ObjectProvider<BuildProperties> build,
            @Qualifier("requestMappingHandlerMapping") ObjectProvider<RequestMappingHandlerMapping> mappings,
            Clock clock) {
        this.kafka = kafka;
        this.redis = redis;
        this.coordinator = coordinator;
        this.settingsCheck = settingsCheck;
        this.topics = topics;
        this.control = control;
        this.dispatcher = dispatcher;
        this.transactions = transactions;
        this.history = history;
        this.traceUrl = settings.traceUrl().isEmpty() ? null : settings.traceUrl();
        BuildProperties properties = build.getIfAvailable();
        this.version = properties == null ? "unbuilt" : String.valueOf(properties.getVersion());
        this.mappings = mappings;
        this.clock = clock;
    }

    @JsonInclude(JsonInclude.Include.NON_NULL)
    record State(
            @JsonProperty("state") String state,
            @JsonProperty("detail") @Nullable String detail) {
        static final State UP = new State("up", null);

        /** @param detail a problem that does not affect the state */
        static State up(String detail) {
            return new State("up", detail);
        }

        static State down(String detail) {
            return new State("down", detail);
        }

        boolean up() {
            return state.equals("up");
        }

        /** @param warnings sentences that are worth a look while it is up */
        State with(List<String> warnings) {
            return !up() || detail != null || warnings.isEmpty() ? this : up(String.join(" ", warnings));
        }
    }

    record HealthResponse(
            @JsonProperty("status") String status,
            @JsonProperty("service") String service,
            @JsonProperty("version") String version,
            @JsonProperty("kafka") State kafka,
            @JsonProperty("redis") State redis,
            @JsonProperty("dispatch") State dispatch,
            @JsonProperty("topics") State topics,
            @JsonProperty("threads") State threads,
            @JsonProperty("history") State history,
            @JsonProperty("timestamp") Instant timestamp) {}

    @GetMapping({"/health", "/v1/health"})
    @Operation(
            summary = "Health check: 503 if Kafka, Redis, dispatch, topics or threads are down",
            description =
                    "Kafka is up if a probe record can be produced and consumed, Redis if it accepts a write; their `detail` then names unsafe"
                            + " settings. `topics` is down while"
                            + " a shared topic is missing or has no leader, `threads` while a thread fails, is stuck or has ended. `topics` also names"
                            + " open transactions that hold back records, and `dispatch` a backlog that is full. `history` is off, up, or down while"
                            + " its database cannot be written; then searches fail, and the status stays healthy.")
    @ApiResponse(responseCode = "200", description = "Healthy")
    @ApiResponse(responseCode = "503", description = "Unhealthy")
    ResponseEntity<HealthResponse> health() throws InterruptedException {
        State ofKafka = kafkaState().with(settingsCheck.findings().kafka());
        State ofRedis = redisState().with(settingsCheck.findings().redis());
        State ofDispatch = dispatchState(ofRedis);
        State ofTopics = topicsState();
        State ofThreads = threadsState();
        boolean healthy = ofKafka.up() && ofRedis.up() && ofDispatch.up() && ofTopics.up() && ofThreads.up();
        return ResponseEntity.status(healthy ? HttpStatus.OK : HttpStatus.SERVICE_UNAVAILABLE)
                .body(new HealthResponse(
                        healthy ? "healthy" : "unhealthy",
                        NAME,
                        version,
                        ofKafka,
                        ofRedis,
                        ofDispatch,
                        ofTopics,
                        ofThreads,
                        historyState(),
                        clock.instant()));
    }

    record Index(
            @JsonProperty("service") String service,
            @JsonProperty("description") String description,
            @JsonProperty("version") String version,
            @JsonProperty("docs") String docs,
            @JsonProperty("dashboard") String dashboard,
            @JsonProperty("live") String live,

            @JsonProperty("trace") @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable
            String trace,

            @JsonProperty("endpoints") List<String> endpoints) {}

    @GetMapping({"/", "/v1"})
    @Operation(summary = "List all endpoints")
    Index index() {
        List<String> endpoints = mappings.getObject().getHandlerMethods().entrySet().stream()
                .filter(entry ->
                        entry.getValue().getBeanType().getPackageName().startsWith(Coordinator.class.getPackageName()))
                .flatMap(entry -> entry.getKey().getPatternValues().stream()
                        .filter(path -> !path.startsWith("/v1"))
                        .map(path -> entry.getKey()
                                        .getMethodsCondition()
                                        .getMethods()
                                        .iterator()
                                        .next() + " " + AccessRules.documented(path)))
                .sorted()
                .toList();
        return new Index(NAME, DESCRIPTION, version, "/docs", "/dashboard", "/ws", traceUrl, endpoints);
    }

    /** As text: a resource would be served in ranges, and refuse bad ones without a problem document. */
    @GetMapping(path = "/asyncapi.yaml", produces = "application/yaml;charset=UTF-8")
    @Operation(
            summary =
                    "Get the AsyncAPI document of all topics; its schemas are files such as /schemas/claim.schema.json")
    String asyncApi() throws IOException {
        return new ClassPathResource("asyncapi.yaml").getContentAsString(StandardCharsets.UTF_8);
    }

    private State kafkaState() throws InterruptedException {
        try {
            kafka.describeCluster(new DescribeClusterOptions().timeoutMs(WAIT_MS))
                    .clusterId()
                    .get(WAIT_MS + 500, TimeUnit.MILLISECONDS);
        } catch (ExecutionException e) {
            // What follows may be no sentence.
            return State.down(
                    e.getCause() instanceof SaslAuthenticationException
                            ? "it refuses the credentials: " + KafkaClients.reason(e)
                            : KafkaClients.reason(e));
        } catch (TimeoutException e) {
            return State.down("no response within " + WAIT_MS + " ms");
        } catch (KafkaException e) {
            return State.down(String.valueOf(e.getMessage()));
        }
        return coordinator.isStarted() ? probeState() : State.UP;
    }

    private State probeState() throws InterruptedException {
        try {
            control.probe().get();
            return State.UP;
        } catch (ExecutionException e) {
            return State.down(
                    e.getCause() instanceof TimeoutException
                            ? "it responds, but a probe record was not consumed within 2 s"
                            : "it responds, but does not accept a probe record: " + KafkaClients.reason(e));
        }
    }

    private State topicsState() {
        Set<String> missing = coordinator.isStarted() ? topics.missing() : Set.of();
        if (!missing.isEmpty()) {
            return State.down("missing topics, recreated as soon as Kafka permits: " + String.join(", ", missing));
        }
        Set<TopicPartition> leaderless = topics.leaderless();
        if (!leaderless.isEmpty()) {
            return State.down("partitions without a leader: "
                    + leaderless.stream().map(TopicPartition::toString).sorted().collect(Collectors.joining(", ")));
        }
        // A restart of this coordinator would not help, so it stays up.
        return transactions.newest().values().stream()
                .sorted(Comparator.comparing(open -> open.partition().toString()))
                .map(OpenTransactions.OpenTransaction::sentence)
                .reduce((one, other) -> one + "; " + other)
                .map(State::up)
                .orElse(State.UP);
    }

    private State threadsState() {
        List<Problem> problems = coordinator.problems();
        return problems.isEmpty()
                ? State.UP
                : State.down(problems.stream().map(Problem::sentence).collect(Collectors.joining("; ")));
    }

    /** Search fails without it, and nothing else, so it does not make the coordinator unhealthy. */
    private State historyState() {
        return history.isOff()
                ? new State("off", null)
                : history.failure()
                        .map(failure -> State.down("events are not written: " + failure))
                        .orElse(State.UP);
    }

    private State redisState() {
        try {
            redis.checkWritable();
            return State.UP;
        } catch (RedisException e) {
            // "Unable to connect" alone would hide a wrong password.
            return State.down(
                    String.valueOf(NestedExceptionUtils.getMostSpecificCause(e).getMessage()));
        }
    }

    /** @param ofRedis if Redis is down, the state of its index is unknown */
    private State dispatchState(State ofRedis) {
        if (!coordinator.isStarted()) {
            String waitingFor = coordinator.waitingFor();
            return State.down("not started yet" + (waitingFor == null ? "" : ", waiting for " + waitingFor));
        }
        if (!dispatcher.isRunning()) {
            return State.down("starting, or restarting after an unexpected error (see the log)");
        }
        try {
            String mark = ofRedis.up() ? redis.readText(Keys.INDEX_COMPLETE) : Keys.FORMAT;
            if (mark == null) {
                return State.down("rebuilding Redis from Kafka");
            }
            redis.checkFormat();
            if (!mark.startsWith(Keys.FORMAT)) {
                return State.down("converting the data of version 0.1 in Redis");
            }
            if (ofRedis.up() && redis.indexMark() == null) {
                return State.down(
                        "Redis may have lost its last writes, as it was restarted or replaced: verifying them against Kafka");
            }
            LaneStats lane = dispatcher.stats();
            // A restart of this coordinator would not help, so it stays up.
            return lane.backlogFull()
                    ? State.up("the backlog is full: " + lane.waiting()
                            + " tasks wait here, and no more are read until some of them are assigned or have ended")
                    : State.UP;
        } catch (IllegalStateException e) {
            return State.down("Redis: " + e.getMessage());
        } catch (RedisException e) {
            // Redis failed between the two checks.
            return State.down("unknown: " + e.getMessage());
        }
    }
}
