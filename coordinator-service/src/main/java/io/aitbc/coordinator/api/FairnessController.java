package io.aitbc.coordinator.api;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import io.aitbc.contracts.Ids;
import io.aitbc.contracts.Task;
import io.aitbc.coordinator.audit.AuditNote;
import io.aitbc.coordinator.dispatch.ClusterControl;
import io.aitbc.coordinator.match.WaitingKey;
import io.aitbc.coordinator.stats.ClusterStats;
import io.swagger.v3.oas.annotations.Operation;
import io.swagger.v3.oas.annotations.Parameter;
import io.swagger.v3.oas.annotations.media.Content;
import io.swagger.v3.oas.annotations.media.Schema;
import io.swagger.v3.oas.annotations.tags.Tag;
import jakarta.servlet.http.HttpServletRequest;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.springframework.web.bind.annotation.DeleteMapping;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PutMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RestController;
import tools.jackson.databind.node.ObjectNode;

/** Fairness keys: who waits, and the weights that operators set. */
@RestController
@RequestMapping({"/fairness", "/v1/fairness"})
@Tag(name = "cluster")
final class FairnessController {
    /** Each coordinator keeps them all in memory. */
    private static final int MAX_WEIGHTS = 10_000;

    private static final String KEY = "The fairness key; it may contain slashes";

    private final ClusterControl control;
    private final ClusterStats stats;
    private final Clock clock;

    FairnessController(ClusterControl control, ClusterStats stats, Clock clock) {
        this.control = control;
        this.stats = stats;
        this.clock = clock;
    }

    /**
     * @param fairnessKey empty for tasks without one
     * @param weight as set by operators; absent if the weights of tasks apply
     * @param waiting number of waiting tasks that are due; absent if the key may be below those with the most in a coordinator
     * @param oldestAge how long the longest-waiting of them has waited; absent if none waits
     */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    record FairnessKey(
            @JsonProperty("fairness_key") String fairnessKey,
            @JsonProperty("weight") @Nullable Double weight,
            @JsonProperty("waiting") @Nullable Integer waiting,
            @JsonProperty("oldest_age_seconds") @Nullable Double oldestAge) {}

    record FairnessKeys(
            @JsonProperty("status") String status,
            @JsonProperty("keys") List<FairnessKey> keys,
            @JsonProperty("timestamp") Instant timestamp) {}

    @GetMapping
    @Operation(
            summary = "List the fairness keys that wait, and the weights that are set",
            description = "The 100 keys with the most waiting tasks of each coordinator, as of the last second.")
    FairnessKeys fairnessKeys() {
        Instant now = clock.instant();
        Map<String, Double> weights = control.fairnessWeights();
        List<FairnessKey> keys = new ArrayList<>();
        for (WaitingKey waiting : stats.waitingKeys()) {
            keys.add(new FairnessKey(
                    waiting.key(),
                    weights.remove(waiting.key()),
                    waiting.tasks(),
                    Math.max(0, Duration.between(waiting.oldest(), now).toMillis()) / 1_000.0));
        }
        Integer others = stats.areWaitingKeysComplete() ? 0 : null;
        weights.forEach((key, weight) -> keys.add(new FairnessKey(key, weight, others, null)));
        return new FairnessKeys("success", keys, now);
    }

    record Weight(@JsonProperty("weight") @Nullable Double weight) {
        Weight {
            if (weight == null || !(weight >= Task.MIN_FAIRNESS_WEIGHT && weight <= Task.MAX_FAIRNESS_WEIGHT)) {
                throw new IllegalArgumentException("weight must be a number from 0.001 to 1000");
            }
        }
    }

    @JsonInclude(JsonInclude.Include.NON_NULL)
    record WeightSet(
            @JsonProperty("status") String status,
            @JsonProperty("message") String message,
            @JsonProperty("fairness_key") String fairnessKey,
            @JsonProperty("weight") @Nullable Double weight,
            @JsonProperty("timestamp") Instant timestamp) {}

    @PutMapping("/{*fairness_key}")
    @Operation(
            summary = "Set the weight of a fairness key",
            description =
                    "From the next placement on, for all its tasks. Takes precedence over `fairness_weight` of tasks.")
    WeightSet setFairnessWeight(
            @Parameter(description = KEY) @PathVariable("fairness_key") String path,
            @io.swagger.v3.oas.annotations.parameters.RequestBody(
                            content = @Content(schema = @Schema(implementation = Weight.class)))
                    @RequestBody
                    ObjectNode body,
            HttpServletRequest request)
            throws InterruptedException {
        String key = key(path, request);
        double weight = Objects.requireNonNull(
                Body.read(body, Weight.class, true).message().weight());
        Map<String, Double> weights = control.fairnessWeights();
        if (weights.size() >= MAX_WEIGHTS && !weights.containsKey(key)) {
            throw Problems.conflict("weights of " + MAX_WEIGHTS + " keys are set, which is the limit");
        }
        AuditNote.current().put("weight", weight);
        control.setFairnessWeight(key, weight);
        return new WeightSet("success", "The weight of " + key + " is " + weight, key, weight, clock.instant());
    }

    @DeleteMapping("/{*fairness_key}")
    @Operation(summary = "Remove the weight of a fairness key: those of its tasks apply again")
    WeightSet removeFairnessWeight(
            @Parameter(description = KEY) @PathVariable("fairness_key") String path, HttpServletRequest request)
            throws InterruptedException {
        String key = key(path, request);
        if (!control.fairnessWeights().containsKey(key)) {
            throw Problems.notFound("no weight is set for this fairness key");
        }
        control.setFairnessWeight(key, null);
        return new WeightSet("success", "The weight of " + key + " was removed", key, null, clock.instant());
    }

    /** Clients and servers treat some characters in paths in ways of their own: another key would be changed. */
    private static String key(String path, HttpServletRequest request) {
        String raw = request.getRequestURI();
        String key = path.isEmpty() ? path : path.substring(1);
        if (raw.contains(";")
                || raw.contains("//")
                || key.contains(";")
                || key.contains("%")
                || key.contains("\\")
                || Stream.of(key.split("/", -1)).anyMatch(one -> one.equals(".") || one.equals(".."))) {
            throw Problems.unprocessable("this key cannot be named in a path: give its tasks a fairness_weight");
        }
        try {
            return Ids.checkFairnessKey(key);
        } catch (IllegalArgumentException e) {
            throw Problems.unprocessable(e.getMessage());
        }
    }
}
